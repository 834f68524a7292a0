//! Cursors: where a reader is in each of its spaces, as text that only this database can have written.
//! It is signed together with the user, so that nobody makes one up: a cursor that cannot be is how
//! a restored database is recognised.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

/// Bytes of a signature.
const TAG_BYTES: usize = 16;

/// Longest text of a cursor: of as many spaces as a token can name.
const TEXT_BYTES_MAX: usize = 32 * 1024;

/// Where a reader is in a space.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// Its reader has every change up to this version.
    pub(super) seen: u64,
    /// Its reader began from nothing when the space was at this version, and never had a record that
    /// had been deleted by then.
    pub(super) began: u64,
    /// The start of the server that gave version [`Place::known`].
    pub(super) boot: String,
}

impl Place {
    /// The latest version that the reader knows to have been.
    pub(super) fn known(&self) -> u64 {
        self.seen.max(self.began)
    }
}

/// A place in each space, by its name on the wire.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Cursor {
    pub(super) epoch: String,
    pub(super) places: BTreeMap<String, Place>,
    /// About how many changes its reader has not had yet, where some were known to be left.
    pub(super) left: Option<u64>,
}

/// A text is not a cursor of this database and user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum CursorError {
    /// No cursor at all.
    Malformed,
    /// It has the form of one. The epoch that it names.
    Foreign { epoch: String },
}

/// A place as text: seen, boot, and where it began if that is later.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum PlaceText {
    Caught(u64, String),
    Behind(u64, String, u64),
}

#[derive(Serialize, Deserialize)]
struct CursorText {
    e: String,
    s: BTreeMap<String, PlaceText>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    l: Option<u64>,
}

impl From<&Place> for PlaceText {
    fn from(place: &Place) -> Self {
        if place.seen < place.began {
            Self::Behind(place.seen, place.boot.clone(), place.began)
        } else {
            Self::Caught(place.seen, place.boot.clone())
        }
    }
}

impl From<PlaceText> for Place {
    fn from(text: PlaceText) -> Self {
        let (seen, boot, began) = match text {
            PlaceText::Caught(seen, boot) => (seen, boot, seen),
            PlaceText::Behind(seen, boot, began) => (seen, boot, began),
        };
        Self { seen, began, boot }
    }
}

impl Cursor {
    /// As text for `subject`. The same cursor has the same text.
    pub(super) fn to_text(&self, secret: &[u8], subject: &str) -> serde_json::Result<String> {
        let places = self.places.iter();
        let payload = serde_json::to_vec(&CursorText {
            e: self.epoch.clone(),
            s: places
                .map(|(name, place)| (name.clone(), place.into()))
                .collect(),
            l: self.left,
        })?;
        let tag = signed(secret, subject, &payload).map_or_else(Vec::new, |mac| {
            let whole = mac.finalize().into_bytes();
            whole.iter().take(TAG_BYTES).copied().collect()
        });
        let (payload, tag) = (URL_SAFE_NO_PAD.encode(payload), URL_SAFE_NO_PAD.encode(tag));
        Ok(format!("{payload}.{tag}"))
    }

    /// Reads what [`Cursor::to_text`] wrote.
    pub(super) fn from_text(text: &str, secret: &[u8], subject: &str) -> Result<Self, CursorError> {
        if TEXT_BYTES_MAX < text.len() {
            return Err(CursorError::Malformed);
        }
        let (payload, tag) = text.split_once('.').ok_or(CursorError::Malformed)?;
        let decode = |part: &str| {
            URL_SAFE_NO_PAD
                .decode(part)
                .map_err(|_| CursorError::Malformed)
        };
        let (payload, tag) = (decode(payload)?, decode(tag)?);
        let read: CursorText =
            serde_json::from_slice(&payload).map_err(|_| CursorError::Malformed)?;
        let genuine = tag.len() == TAG_BYTES
            && signed(secret, subject, &payload)
                .is_some_and(|mac| mac.verify_truncated_left(&tag).is_ok());
        if !genuine {
            return Err(CursorError::Foreign { epoch: read.e });
        }
        let places = read.s.into_iter();
        Ok(Self {
            epoch: read.e,
            places: places.map(|(name, place)| (name, place.into())).collect(),
            left: read.l,
        })
    }
}

/// The signature's input: the user with their length, so that no two users' inputs are equal.
fn signed(secret: &[u8], subject: &str, payload: &[u8]) -> Option<Hmac<Sha256>> {
    let mac = Hmac::<Sha256>::new_from_slice(secret).ok()?;
    let length = u64::try_from(subject.len()).ok()?;
    Some(
        mac.chain_update(length.to_le_bytes())
            .chain_update(subject)
            .chain_update(payload),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cursor() -> Cursor {
        let place = |seen, began| Place {
            seen,
            began,
            boot: "b".to_owned(),
        };
        Cursor {
            epoch: "e".to_owned(),
            places: [("~", place(3, 3)), ("team", place(3, 9))]
                .map(|(name, place)| (name.to_owned(), place))
                .into(),
            left: Some(5),
        }
    }

    #[test]
    fn a_cursor_is_read_by_the_same_database_and_user_only() -> serde_json::Result<()> {
        let text = cursor().to_text(b"secret", "alice")?;
        assert_eq!(text, cursor().to_text(b"secret", "alice")?);
        assert_eq!(Cursor::from_text(&text, b"secret", "alice"), Ok(cursor()));
        let foreign = Err(CursorError::Foreign {
            epoch: "e".to_owned(),
        });
        assert_eq!(Cursor::from_text(&text, b"secret", "bob"), foreign);
        assert_eq!(Cursor::from_text(&text, b"other", "alice"), foreign);
        Ok(())
    }

    #[test]
    fn a_cursor_that_was_changed_is_none() -> serde_json::Result<()> {
        let text = cursor().to_text(b"secret", "alice")?;
        let (payload, tag) = text.split_once('.').unwrap_or_default();
        let forged = String::from_utf8(URL_SAFE_NO_PAD.decode(payload).unwrap_or_default())
            .unwrap_or_default()
            .replace('3', "7");
        let forged = format!("{}.{tag}", URL_SAFE_NO_PAD.encode(forged));
        assert_ne!(forged, text);
        for (text, malformed) in [
            (forged.as_str(), false),
            (&format!("{payload}."), false),
            (&text[..text.len() - 2], false),
            (payload, true),
            ("", true),
            (".", true),
            ("e30.AAAA", true),
            ("!.!", true),
            (&"x".repeat(TEXT_BYTES_MAX + 1), true),
        ] {
            let read = Cursor::from_text(text, b"secret", "alice");
            let error = read.expect_err("no cursor");
            assert_eq!(error == CursorError::Malformed, malformed, "{text}");
        }
        Ok(())
    }
}
