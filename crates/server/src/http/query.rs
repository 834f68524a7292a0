//! The parameters that follow an address.

use super::ApiError;

/// Most parameters of a request: more than any address knows.
const PARAMETERS_MAX: usize = 8;

/// The parameters of a request, each at most once.
#[derive(Debug)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads what stands behind the `?`.
    pub(super) fn read(text: Option<&str>) -> Result<Self, ApiError> {
        let mut found: Vec<(String, String)> = Vec::new();
        for pair in text.unwrap_or_default().split('&') {
            if pair.is_empty() {
                continue;
            }
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let pair = decoded(name).zip(decoded(value));
            let (name, value) = pair.ok_or(ApiError::Malformed(
                "a parameter is not percent-encoded text",
            ))?;
            if found.iter().any(|(other, _)| *other == name) {
                return Err(ApiError::Malformed("a parameter is given twice"));
            }
            if found.len() == PARAMETERS_MAX {
                return Err(ApiError::Malformed("there are too many parameters"));
            }
            found.push((name, value));
        }
        Ok(Self(found))
    }

    /// Takes a parameter.
    pub(super) fn take(&mut self, name: &str) -> Option<String> {
        let place = self.0.iter().position(|(found, _)| found == name)?;
        Some(self.0.swap_remove(place).1)
    }

    /// Takes a whole number, or `default` where it is not given.
    pub(super) fn number(&mut self, name: &str, default: u64) -> Result<u64, ApiError> {
        self.take(name).map_or(Ok(default), |text| number(&text))
    }

    /// Takes a whole number that must be given.
    pub(super) fn required(&mut self, name: &str) -> Result<u64, ApiError> {
        let text = self.take(name);
        number(&text.ok_or(ApiError::Malformed("a parameter is missing"))?)
    }

    /// Takes `limit`, from 1 to `max`.
    pub(super) fn limit(&mut self, default: u64, max: usize) -> Result<usize, ApiError> {
        usize::try_from(self.number("limit", default)?)
            .ok()
            .filter(|limit| (1..=max).contains(limit))
            .ok_or(ApiError::Malformed("`limit` is not 1 to 1,000"))
    }

    /// That nothing is left.
    pub(super) fn end(self) -> Result<(), ApiError> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(ApiError::Malformed("the address knows no such parameter"))
        }
    }
}

fn number(text: &str) -> Result<u64, ApiError> {
    let is_digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = is_digits.then(|| text.parse().ok()).flatten();
    number.ok_or(ApiError::Malformed("a parameter is not a whole number"))
}

/// Undoes percent-encoding, as forms have it: `+` is a space. None where it is no text.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'%' => {
                let high = char::from(rest.next()?).to_digit(16)?;
                let low = char::from(rest.next()?).to_digit(16)?;
                bytes.push(u8::try_from(high * 16 + low).ok()?);
            }
            b'+' => bytes.push(b' '),
            _ => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded_and_taken_once() -> Result<(), ApiError> {
        let mut query = Query::read(Some("table=a%20b+c%c3%A9%2B&limit=007&&empty"))?;
        assert_eq!(query.take("table").as_deref(), Some("a b c\u{e9}+"));
        assert_eq!(query.take("table"), None);
        assert_eq!(query.number("limit", 5)?, 7);
        assert_eq!(query.number("limit", 5)?, 5);
        assert_eq!(query.take("empty").as_deref(), Some(""));
        query.end()
    }

    #[test]
    fn what_is_no_parameter_is_refused() {
        for text in ["a=%", "a=%2", "a=%zz", "a=%ff", "a=1&a=2", "%=1"] {
            assert!(Query::read(Some(text)).is_err(), "{text}");
        }
        for text in ["n=", "n=-1", "n=+1", "n=1.5", "n=99999999999999999999"] {
            let number = Query::read(Some(text)).and_then(|mut query| query.number("n", 1));
            assert!(number.is_err(), "{text}");
        }
        let many = |count: usize| (0..count).map(|n| format!("n{n}=1&")).collect::<String>();
        assert!(Query::read(Some(&many(8))).is_ok());
        assert!(Query::read(Some(&many(9))).is_err());
        assert!(Query::read(Some("other=1")).and_then(Query::end).is_err());
        assert!(Query::read(None).and_then(Query::end).is_ok());
    }
}
