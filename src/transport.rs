//! One request at a time to the server, over `fetch`.

use std::cell::RefCell;

use futures_util::future::{Either, select};
use gloo_timers::future::TimeoutFuture;
use js_sys::Array;
use tidesync_engine::interface::{RequestOutcome, TokenReason, TransportFailure};
use wasm_bindgen::{JsCast, JsValue, prelude::wasm_bindgen};
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    AbortController, AbortSignal, Headers, Request, RequestCache, RequestCredentials, RequestInit,
    RequestRedirect, Response,
};

use crate::{host::Host, object::get};

#[wasm_bindgen]
extern "C" {
    /// The global one, of a window and of a worker alike.
    #[wasm_bindgen(js_name = fetch)]
    fn fetch(request: &Request) -> js_sys::Promise;
}

/// What a push needs beside its texts.
pub(crate) struct Push {
    pub(crate) first: u32,
    pub(crate) last: u32,
    pub(crate) envelope: String,
    pub(crate) subject: String,
    pub(crate) token: TokenReason,
    pub(crate) timeout_ms: u32,
}

/// Sends pushes to one server.
pub(crate) struct Transport {
    push_url: String,
    under_way: RefCell<Option<AbortController>>,
}

impl Transport {
    pub(crate) fn new(url: &str) -> Self {
        let push_url = [url.trim_end_matches('/'), "/api/sync/push"].concat();
        Self {
            push_url,
            under_way: RefCell::new(None),
        }
    }

    /// Gives up the request that is under way, if there is one.
    pub(crate) fn abort(&self) {
        if let Some(controller) = self.under_way.take() {
            controller.abort();
        }
    }

    /// Sends operations and waits for the answer; the time limit covers the token, the request and
    /// the whole body of the answer (F31).
    pub(crate) async fn push(&self, host: &Host, texts: &Array, push: Push) -> RequestOutcome {
        let Ok(controller) = AbortController::new() else {
            return failed(TransportFailure::Network);
        };
        self.under_way.replace(Some(controller.clone()));
        let timeout = TimeoutFuture::new(push.timeout_ms);
        let signal = controller.signal();
        let exchange = std::pin::pin!(self.exchange(host, texts, push, &signal));
        let outcome = match select(exchange, timeout).await {
            Either::Left((Ok(outcome), _)) => outcome,
            Either::Left((Err(failure), _)) => failed(failure),
            Either::Right(_) => {
                controller.abort();
                failed(TransportFailure::Timeout)
            }
        };
        // By now it may be a later push that is under way.
        self.under_way
            .borrow_mut()
            .take_if(|under_way| *under_way == controller);
        outcome
    }

    async fn exchange(
        &self,
        host: &Host,
        texts: &Array,
        push: Push,
        signal: &AbortSignal,
    ) -> Result<RequestOutcome, TransportFailure> {
        let token = token(host, push.token, &push.subject).await?;
        unless_aborted(signal)?;
        let body = host.body(&push.envelope, texts, push.first, push.last);
        let body = JsFuture::from(body)
            .await
            .map_err(|_| TransportFailure::NoBatch)?;
        unless_aborted(signal)?;
        let request = self.request(&token, &body, signal).map_err(network)?;
        let response = JsFuture::from(fetch(&request)).await.map_err(network)?;
        answer(response.unchecked_into()).await
    }

    fn request(
        &self,
        token: &str,
        body: &JsValue,
        signal: &AbortSignal,
    ) -> Result<Request, JsValue> {
        let headers = Headers::new()?;
        headers.set("authorization", &["Bearer ", token].concat())?;
        headers.set("content-type", "application/json")?;
        if let Some(encoding) = get(body, "encoding").as_string() {
            headers.set("content-encoding", &encoding)?;
        }
        let init = RequestInit::new();
        init.set_method("POST");
        init.set_headers(&headers);
        init.set_body(&get(body, "body"));
        init.set_cache(RequestCache::NoStore);
        init.set_credentials(RequestCredentials::Omit);
        // A redirect of a push is a captive portal or a mistake: never send a user's data after it.
        init.set_redirect(RequestRedirect::Error);
        init.set_signal(Some(signal));
        Request::new_with_str_and_init(&self.push_url, &init)
    }
}

fn failed(failure: TransportFailure) -> RequestOutcome {
    RequestOutcome::Failed { failure }
}

/// A push that was given up while it waited goes no further.
fn unless_aborted(signal: &AbortSignal) -> Result<(), TransportFailure> {
    if signal.aborted() {
        return Err(TransportFailure::Network);
    }
    Ok(())
}

async fn token(
    host: &Host,
    reason: TokenReason,
    subject: &str,
) -> Result<String, TransportFailure> {
    let reason = match reason {
        TokenReason::Request => "request",
        TokenReason::Expired => "expired",
    };
    let token = JsFuture::from(host.token(reason, subject)).await;
    let token = token.map_err(|_| TransportFailure::TokenFailed)?;
    token.as_string().ok_or(TransportFailure::NoToken)
}

async fn answer(response: Response) -> Result<RequestOutcome, TransportFailure> {
    let body = JsFuture::from(response.text().map_err(network)?)
        .await
        .map_err(network)?;
    Ok(RequestOutcome::Answer {
        status: response.status(),
        retry_after: response.headers().get("retry-after").map_err(network)?,
        body: body.as_string().unwrap_or_default(),
    })
}

/// The browser does not tell scripts why a request failed below HTTP.
fn network(_: JsValue) -> TransportFailure {
    TransportFailure::Network
}
