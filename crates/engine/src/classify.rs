//! One total function from what a push brought back to what is to be done.

use tidesync_protocol::wire::{PROTOCOL, code};

use crate::answer::{Answer, epoch, refusal};
use crate::interface::{RequestOutcome, TransportFailure};
use crate::remote::{PullAnswer, said_of};

/// What was asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Expected<'a> {
    /// Verdicts on the request of this name.
    Push(&'a str),
    /// Changes.
    Pull,
}

/// What is to be done after a push or pull.
#[derive(Debug)]
pub(crate) enum Action {
    /// The server answered; go by its verdicts.
    Settle(Answer),
    /// The server answered with changes.
    Take(PullAnswer),
    /// The server has no such route: it takes pushes only.
    NotOffered,
    /// The place where the last pull ended is gone; the epoch where that is new. And where what is known here
    /// and what the server has part, as JSON, where it says.
    Restart {
        epoch: Option<String>,
        parted: Option<String>,
    },
    /// The server has forgotten what this client has sent before.
    NewClient,
    /// The token does not hold: once more with a new one.
    RefreshToken,
    /// Nobody is signed in, or not the one whose changes these are.
    WaitForSignIn(Reason),
    /// Too large: half of it.
    Halve(Reason),
    /// The server cannot read one of the operations: find it.
    Bisect(Reason),
    /// Later, and not a failure of the server's.
    Wait {
        reason: Reason,
        after_ms: Option<u64>,
    },
    /// Later, and no sooner than the longest wait: this build is too old.
    WaitLong(Reason),
    /// A failure of transport or server.
    Fail {
        reason: Reason,
        after_ms: Option<u64>,
    },
    /// The batch is not in the store.
    Reload,
}

/// Why, for programs and for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reason {
    pub(crate) code: String,
    pub(crate) message: String,
}

impl Reason {
    pub(crate) fn new(code: &str, message: &str) -> Self {
        Self {
            code: code.to_owned(),
            message: message.to_owned(),
        }
    }
}

/// Decides.
pub(crate) fn classify(outcome: RequestOutcome, expected: Expected<'_>, online: bool) -> Action {
    match outcome {
        RequestOutcome::Failed { failure } => unanswered(failure, online),
        RequestOutcome::Answer {
            status,
            retry_after,
            body,
        } => {
            let after_ms = retry_after.and_then(|seconds| retry_after_ms(&seconds));
            answered(status, after_ms, &body, expected)
        }
    }
}

fn unanswered(failure: TransportFailure, online: bool) -> Action {
    match failure {
        TransportFailure::Network if !online => {
            let reason = Reason::new("offline", "the device is offline");
            Action::Wait {
                reason,
                after_ms: None,
            }
        }
        TransportFailure::Network => fail("network", "the server could not be reached", None),
        TransportFailure::Timeout => fail("timeout", "the server did not answer in time", None),
        TransportFailure::NoToken => {
            Action::WaitForSignIn(Reason::new("no-token", "nobody is signed in"))
        }
        TransportFailure::TokenFailed => {
            let reason = Reason::new("token-failed", "getToken failed");
            Action::Wait {
                reason,
                after_ms: None,
            }
        }
        TransportFailure::NoBatch => Action::Reload,
    }
}

fn fail(code: &str, message: &str, after_ms: Option<u64>) -> Action {
    Action::Fail {
        reason: Reason::new(code, message),
        after_ms,
    }
}

fn answered(status: u16, after_ms: Option<u64>, body: &str, expected: Expected<'_>) -> Action {
    let said = refusal(body);
    let known = said.is_some();
    let says = |code: &str| said.as_ref().is_some_and(|said| said.code == code);
    if says(code::CLIENT_EXPIRED) {
        return Action::NewClient;
    }
    if says(code::CURSOR_EXPIRED) || says(code::EPOCH_CHANGED) {
        let epoch = epoch(body).filter(|_| says(code::EPOCH_CHANGED));
        let parted = said_of(body, "parted");
        return Action::Restart { epoch, parted };
    }
    // The bytes of a Blob are refused where the operation that names them would be.
    let no_space = says(code::READ_ONLY) || says(code::WRONG_SPACE);
    let reason = |code: &str, message: &str| match said {
        Some(said) => said,
        None => Reason::new(code, message),
    };
    match status {
        200..=299 => read(body, expected).unwrap_or_else(|| {
            fail(
                "not-the-server",
                "what answered is not a Tidesync server",
                after_ms,
            )
        }),
        404 | 405 | 501 if matches!(expected, Expected::Pull) => Action::NotOffered,
        401 => Action::RefreshToken,
        403 if no_space => Action::Bisect(reason(code::WRONG_SPACE, "refused")),
        403 if known => {
            Action::WaitForSignIn(reason(code::WRONG_SUBJECT, "the server refused the user"))
        }
        // Only the server's own word condemns an operation: a proxy's 400 does not.
        400 | 422 if known => Action::Bisect(reason(code::MALFORMED, "refused")),
        413 => Action::Halve(reason(
            code::TOO_LARGE,
            "the server takes no request this large",
        )),
        426 => Action::WaitLong(Reason::new(
            "upgrade-required",
            "the server no longer speaks this version of the protocol",
        )),
        429 => Action::Wait {
            reason: reason(code::RATE_LIMITED, "too many requests for now"),
            after_ms,
        },
        _ => Action::Fail {
            reason: reason(&status_code(status), "the server failed"),
            after_ms,
        },
    }
}

/// What the server says; none where it is not the server. Anything in between may answer 200.
fn read(body: &str, expected: Expected<'_>) -> Option<Action> {
    match expected {
        // Only the server knows the batch's name.
        Expected::Push(batch) => {
            let answer = Answer::read(body)?;
            let ours = answer.protocol == u64::from(PROTOCOL) && answer.batch == batch;
            ours.then_some(Action::Settle(answer))
        }
        Expected::Pull => PullAnswer::read(body, PROTOCOL).map(Action::Take),
    }
}

fn status_code(status: u16) -> String {
    let mut code = "http-".to_owned();
    code.push_str(&status.to_string());
    code
}

/// The wait that a `Retry-After` header asks for; none where it is no number of seconds.
pub(crate) fn retry_after_ms(seconds: &str) -> Option<u64> {
    let digits = !seconds.is_empty() && seconds.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| {
        let seconds = seconds.parse().unwrap_or(u64::MAX);
        seconds.saturating_mul(1_000)
    })
}
