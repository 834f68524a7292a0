//! Whole-request refusals: one enum, one total mapping to status, code and message. No internal
//! text leaves the server (SEC20).

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tidesync_protocol::wire::{ErrorBody, code};

use crate::push::PushError;
use crate::readers::ReadError;
use crate::store::Parted;
use crate::writer::WriteError;

/// Seconds after which a server that could not take a push may be asked again.
const UNAVAILABLE_RETRY_S: u64 = 2;

/// Why a request is refused as a whole. Nothing of it was done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    /// The body or a header is not of the protocol's form (400).
    #[error("{0}")]
    Malformed(&'static str),
    /// No bearer token, or one that does not hold (401).
    #[error("a valid bearer token is needed")]
    Unauthorized,
    /// The subject or client is another user's (403).
    #[error("{0}")]
    WrongSubject(&'static str),
    /// The space is not one that the token grants (403).
    #[error("the token does not grant the space that the request names")]
    WrongSpace,
    /// The space may be read and not changed (403).
    #[error("the space may be read and not changed")]
    ReadOnly,
    /// The request did not come from this machine (403).
    #[error("development tokens are given to this machine only")]
    NotLocal,
    /// No such route (404).
    #[error("there is no such address")]
    NotFound,
    /// The route has other methods (405).
    #[error("the address does not take this method")]
    MethodNotAllowed,
    /// What the client has sent before is forgotten (409).
    #[error("what this client has sent before is forgotten; it needs a new id")]
    ClientExpired,
    /// A chunk of a blob that goes on at another place (409).
    #[error("the blob goes on at byte {received}")]
    WrongOffset {
        /// At which.
        received: u64,
    },
    /// The bytes of a blob are not those that it is named by (422).
    #[error("the bytes do not have the hash, or the size, that the blob is named by")]
    BlobMismatch,
    /// The place that a cursor names is gone (410).
    #[error("the cursor is too old; pull from scratch")]
    CursorExpired,
    /// The server was restored from an older copy (410).
    #[error("the server was restored from an older copy; pull from scratch, and compare")]
    EpochChanged {
        /// The server's epoch.
        epoch: String,
        /// Where what the client knows and what the server has part.
        parted: Parted,
    },
    /// More than a limit allows (413).
    #[error("{what}; the limit is {limit}")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// An older protocol (426).
    #[error("this server no longer speaks the client's protocol")]
    ProtocolTooOld,
    /// Too many requests (429).
    #[error("too many requests; the next is welcome in {retry_after_s} s")]
    RateLimited {
        /// Seconds until the next is welcome.
        retry_after_s: u64,
    },
    /// A defect of the server (500).
    #[error("the server failed; nothing of the request was done")]
    Internal,
    /// The server cannot take it now (503).
    #[error("the server cannot take the request now")]
    Unavailable,
    /// The request took too long (503).
    #[error("the request took too long")]
    TimedOut,
}

impl ApiError {
    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Malformed(_) => StatusCode::BAD_REQUEST,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::WrongSubject(_) | Self::WrongSpace | Self::ReadOnly | Self::NotLocal => {
                StatusCode::FORBIDDEN
            }
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::ClientExpired | Self::WrongOffset { .. } => StatusCode::CONFLICT,
            Self::BlobMismatch => StatusCode::UNPROCESSABLE_ENTITY,
            Self::CursorExpired | Self::EpochChanged { .. } => StatusCode::GONE,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::ProtocolTooOld => StatusCode::UPGRADE_REQUIRED,
            Self::RateLimited { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Unavailable | Self::TimedOut => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The code for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed(_) => code::MALFORMED,
            Self::Unauthorized => code::UNAUTHORIZED,
            Self::WrongSubject(_) => code::WRONG_SUBJECT,
            Self::WrongSpace => code::WRONG_SPACE,
            Self::NotLocal => "not-local",
            Self::NotFound => "not-found",
            Self::MethodNotAllowed => "method-not-allowed",
            Self::ReadOnly => code::READ_ONLY,
            Self::ClientExpired => code::CLIENT_EXPIRED,
            Self::WrongOffset { .. } => code::WRONG_OFFSET,
            Self::BlobMismatch => code::HASH_MISMATCH,
            Self::CursorExpired => code::CURSOR_EXPIRED,
            Self::EpochChanged { .. } => code::EPOCH_CHANGED,
            Self::TooLarge { .. } => code::TOO_LARGE,
            Self::ProtocolTooOld => code::PROTOCOL_TOO_OLD,
            Self::RateLimited { .. } => code::RATE_LIMITED,
            Self::Internal => code::INTERNAL,
            Self::Unavailable | Self::TimedOut => code::UNAVAILABLE,
        }
    }

    /// The body of the answer.
    #[must_use]
    pub fn body(&self) -> ErrorBody {
        let mut body = ErrorBody {
            code: self.code().to_owned(),
            message: self.to_string(),
            epoch: None,
            parted: Parted::new(),
            received: None,
        };
        if let Self::EpochChanged { epoch, parted } = self {
            body.epoch = Some(epoch.clone());
            body.parted.clone_from(parted);
        }
        if let Self::WrongOffset { received } = self {
            body.received = Some(*received);
        }
        body
    }

    fn retry_after_s(&self) -> Option<u64> {
        match self {
            Self::RateLimited { retry_after_s } => Some(*retry_after_s),
            Self::Unavailable | Self::TimedOut => Some(UNAVAILABLE_RETRY_S),
            Self::Malformed(_)
            | Self::Unauthorized
            | Self::WrongSubject(_)
            | Self::WrongSpace
            | Self::NotLocal
            | Self::NotFound
            | Self::MethodNotAllowed
            | Self::ReadOnly
            | Self::ClientExpired
            | Self::WrongOffset { .. }
            | Self::BlobMismatch
            | Self::CursorExpired
            | Self::EpochChanged { .. }
            | Self::TooLarge { .. }
            | Self::ProtocolTooOld
            | Self::Internal => None,
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status(), Json(self.body())).into_response();
        if let Some(seconds) = self.retry_after_s() {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self == Self::Unauthorized {
            let scheme = HeaderValue::from_static("Bearer");
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, scheme);
        }
        response
    }
}

impl From<PushError> for ApiError {
    fn from(error: PushError) -> Self {
        match error {
            PushError::Malformed(message) => Self::Malformed(message),
            PushError::TooManyOps => Self::TooLarge {
                what: "the push has too many operations",
                limit: tidesync_protocol::wire::PUSH_OPS_MAX,
            },
            PushError::ProtocolTooOld => Self::ProtocolTooOld,
            PushError::WrongSubject => {
                Self::WrongSubject("the push names another user than its token")
            }
        }
    }
}

impl From<ReadError> for ApiError {
    fn from(ReadError: ReadError) -> Self {
        Self::Internal
    }
}

impl From<WriteError> for ApiError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::ForeignClient => Self::WrongSubject("the client belongs to another user"),
            WriteError::ClientExpired => Self::ClientExpired,
            WriteError::QueueFull | WriteError::Stopped | WriteError::Unavailable => {
                Self::Unavailable
            }
            WriteError::Failed => Self::Internal,
        }
    }
}
