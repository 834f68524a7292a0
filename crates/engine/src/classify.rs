//! One total function from what a push brought back to what is to be done.

use tidesync_protocol::wire::{PROTOCOL, code};

use crate::answer::{Answer, epoch, refusal};
use crate::interface::{RequestOutcome, TransportFailure};
use crate::remote::PullAnswer;

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
    /// The place where the last pull ended is gone; the epoch where that is new.
    Restart { epoch: Option<String> },
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
pub(crate) fn classify(
    outcome: RequestOutcome,
    expected: Expected<'_>,
    online: bool,
    wall_ms: u64,
) -> Action {
    match outcome {
        RequestOutcome::Failed { failure } => unanswered(failure, online),
        RequestOutcome::Answer {
            status,
            retry_after,
            body,
        } => {
            let after_ms = retry_after.and_then(|header| retry_after_ms(&header, wall_ms));
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
        return Action::Restart { epoch };
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

/// The wait that a `Retry-After` header asks for; none where it is neither seconds nor a date.
///
/// A date is measured against the device's clock, which may be wrong: the caller's cap bounds what
/// that can do.
pub(crate) fn retry_after_ms(header: &str, wall_ms: u64) -> Option<u64> {
    let header = header.trim();
    if !header.is_empty() && header.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(
            header
                .parse::<u64>()
                .unwrap_or(u64::MAX)
                .saturating_mul(1_000),
        );
    }
    Some(http_date_ms(header)?.saturating_sub(wall_ms))
}

/// `Sun, 06 Nov 1994 08:49:37 GMT` in milliseconds since 1970-01-01 UTC.
fn http_date_ms(text: &str) -> Option<u64> {
    const MONTHS: &[u8] = b"JanFebMarAprMayJunJulAugSepOctNovDec";
    let (_, date) = text.split_once(',')?;
    let mut words = date.strip_prefix(' ')?.split(' ');
    let day: u64 = words.next()?.parse().ok()?;
    let month = words.next()?.as_bytes();
    let month = MONTHS.chunks(3).position(|name| name == month)? as u64;
    let year: u64 = words
        .next()?
        .parse()
        .ok()
        .filter(|year| (1970..10_000).contains(year))?;
    let mut time = words
        .next()?
        .split(':')
        .map(|part| part.parse::<u64>().ok());
    let (hours, minutes, seconds) = (time.next()??, time.next()??, time.next()??);
    if words.next()? != "GMT" || !(1..=31).contains(&day) || hours > 23 || minutes > 59 {
        return None;
    }
    let days = days_before_year(year) + days_before_month(year, month) + day - 1;
    Some((((days * 24 + hours) * 60 + minutes) * 60 + seconds.min(60)) * 1_000)
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn days_before_year(year: u64) -> u64 {
    let leaps = |year: u64| year / 4 - year / 100 + year / 400;
    (year - 1970) * 365 + leaps(year - 1) - leaps(1969)
}

fn days_before_month(year: u64, month: u64) -> u64 {
    const DAYS: [u64; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let days: u64 = DAYS.iter().take(month as usize).sum();
    days + u64::from(month > 1 && is_leap(year))
}
