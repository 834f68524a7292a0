//! Bodies within the limits (SEC10): the limit on what arrives, the limit inside the decompression, and
//! one budget for all bodies, of requests and of long answers, that are held at one time.

use std::io::Read;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, header};
use bytes::{Bytes, BytesMut};
use flate2::read::MultiGzDecoder;
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::ApiError;

/// The unit of the budget: memory is held in pages of this many bytes.
const PAGE_BYTES: usize = 16 * 1024;

/// How many bytes of bodies the server holds at one time.
#[derive(Debug, Clone)]
pub struct HeldBytes {
    pages: Arc<Semaphore>,
}

impl HeldBytes {
    /// A budget of `bytes`.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        Self {
            pages: Arc::new(Semaphore::new(bytes.div_ceil(PAGE_BYTES))),
        }
    }

    /// The body of an answer, which holds memory until it is on its way.
    pub(super) fn answer(&self, bytes: Vec<u8>) -> Result<Body, ApiError> {
        let mut held = self.hold();
        held.grow_to(bytes.len())?;
        Ok(Body::from(Bytes::from_owner(Answer { bytes, _held: held })))
    }

    fn hold(&self) -> Held {
        Held {
            pages: Arc::clone(&self.pages),
            permit: None,
            bytes: 0,
        }
    }
}

/// The bytes of an answer, and the memory that they hold.
struct Answer {
    bytes: Vec<u8>,
    _held: Held,
}

impl AsRef<[u8]> for Answer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// A share of the budget, given back when dropped.
#[derive(Debug)]
pub(super) struct Held {
    pages: Arc<Semaphore>,
    permit: Option<OwnedSemaphorePermit>,
    bytes: usize,
}

impl Held {
    /// Makes the share `bytes` large, or refuses when the budget is spent.
    fn grow_to(&mut self, bytes: usize) -> Result<(), ApiError> {
        let missing = bytes
            .div_ceil(PAGE_BYTES)
            .saturating_sub(self.bytes.div_ceil(PAGE_BYTES));
        let missing = u32::try_from(missing).map_err(|_| ApiError::Unavailable)?;
        let more = Arc::clone(&self.pages)
            .try_acquire_many_owned(missing)
            .map_err(|_| ApiError::Unavailable)?;
        match &mut self.permit {
            Some(permit) => permit.merge(more),
            None => self.permit = Some(more),
        }
        self.bytes = self.bytes.max(bytes);
        Ok(())
    }
}

/// How a body is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Plain,
    Gzip,
}

impl Encoding {
    /// Reads `Content-Encoding`.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, ApiError> {
        let refused = ApiError::Malformed("the content encoding is neither gzip nor absent");
        let mut values = headers.get_all(header::CONTENT_ENCODING).iter();
        match (values.next().map(|value| value.as_bytes()), values.next()) {
            (None, _) => Ok(Self::Plain),
            (Some(value), None) if value.eq_ignore_ascii_case(b"identity") => Ok(Self::Plain),
            (Some(value), None) if value.eq_ignore_ascii_case(b"gzip") => Ok(Self::Gzip),
            _ => Err(refused),
        }
    }
}

/// A body as it arrived, and the memory it holds.
#[derive(Debug)]
pub(super) struct Arrived {
    bytes: Bytes,
    encoding: Encoding,
    plain_max: usize,
    held: Held,
}

/// Reads `body`, at most `gzip_max` bytes of a gzip body and `plain_max` of a plain one.
pub(super) async fn receive(
    headers: &HeaderMap,
    body: Body,
    (plain_max, gzip_max): (usize, usize),
    budget: &HeldBytes,
) -> Result<Arrived, ApiError> {
    let encoding = Encoding::of(headers)?;
    let (limit, what) = match encoding {
        Encoding::Plain => (plain_max, "the body is too large"),
        Encoding::Gzip => (gzip_max, "the gzip body is too large"),
    };
    let too_large = ApiError::TooLarge { what, limit };
    let announced = axum::body::HttpBody::size_hint(&body).lower();
    if usize::try_from(announced).map_or(true, |announced| limit < announced) {
        return Err(too_large);
    }
    let mut held = budget.hold();
    let bytes = collect(body, limit, too_large, &mut held).await?;
    Ok(Arrived {
        bytes,
        encoding,
        plain_max,
        held,
    })
}

async fn collect(
    mut body: Body,
    limit: usize,
    too_large: ApiError,
    held: &mut Held,
) -> Result<Bytes, ApiError> {
    let mut bytes = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| ApiError::Malformed("the body ended early"))?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        let length = bytes.len() + data.len();
        if limit < length {
            return Err(too_large);
        }
        held.grow_to(length)?;
        bytes.extend_from_slice(&data);
    }
    Ok(bytes.freeze())
}

impl Arrived {
    /// The plain bytes, and the memory that they hold. Takes processor time, not only waiting.
    pub(super) fn decode(mut self) -> Result<(Bytes, Held), ApiError> {
        match self.encoding {
            Encoding::Plain => Ok((self.bytes, self.held)),
            Encoding::Gzip => {
                let plain = inflate(&self.bytes, self.plain_max, &mut self.held)?;
                Ok((plain, self.held))
            }
        }
    }
}

fn inflate(gzip: &[u8], plain_max: usize, held: &mut Held) -> Result<Bytes, ApiError> {
    let mut decoder = MultiGzDecoder::new(gzip);
    let mut plain = BytesMut::new();
    let mut page = vec![0; PAGE_BYTES];
    loop {
        let read = decoder
            .read(&mut page)
            .map_err(|_| ApiError::Malformed("the body is not valid gzip"))?;
        if read == 0 {
            return Ok(plain.freeze());
        }
        let length = plain.len() + read;
        if plain_max < length {
            let what = "the body is too large after decompression";
            return Err(ApiError::TooLarge {
                what,
                limit: plain_max,
            });
        }
        held.grow_to(gzip.len() + length)?;
        plain.extend_from_slice(&page[..read]);
    }
}
