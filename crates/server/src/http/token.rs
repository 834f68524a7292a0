//! Bearer tokens: JSON web tokens signed with HS256 and one key (SEC4).

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use axum::http::{HeaderMap, header};
use hmac::{Hmac, Mac};
use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::signature::{self, Signer, Verifier};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::access::{Access, Grant};
use crate::config::TokenConfig;

/// Most bytes of a token.
const TOKEN_BYTES_MAX: usize = 8 * 1024;

/// How far the clocks of issuer and server may differ.
const LEEWAY: Duration = Duration::from_secs(30);

/// A token does not hold. Why is not told: it would help to forge one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Its signature is not that of the key: somebody may be guessing the key.
    #[error("the token does not hold")]
    Forged,
    /// There is none, it is signed and has ended, or it is not of the form.
    #[error("the token does not hold")]
    Invalid,
}

/// What the server reads of a token, and writes into a development token.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Claims {
    /// The user.
    pub sub: String,
    /// When the token ends, in seconds since 1970. A number with a fraction is allowed.
    pub exp: f64,
    /// Who signed it.
    #[serde(skip_serializing_if = "Option::is_none", skip_deserializing)]
    pub iss: Option<String>,
    /// For whom.
    #[serde(skip_serializing_if = "Option::is_none", skip_deserializing)]
    pub aud: Option<String>,
    /// The spaces that the user has besides their own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub spaces: BTreeMap<String, Access>,
}

/// What a token that holds says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The user, and their spaces.
    pub grant: Grant,
    /// When the token ceases to hold, by this machine's clock, in milliseconds since 1970.
    pub until_ms: u64,
}

/// Verifies and signs tokens.
pub struct Tokens {
    decoding: DecodingKey,
    encoding: EncodingKey,
    validation: Validation,
    issuer: Option<String>,
    audience: Option<String>,
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Tokens").finish_non_exhaustive()
    }
}

impl Tokens {
    /// Tokens as `config` says.
    #[must_use]
    pub fn new(config: &TokenConfig) -> Self {
        // It fails when this process has a provider: then that one verifies, HS256 just so.
        let _ = PROVIDER.install_default();
        let mut validation = Validation::new(Algorithm::HS256);
        validation.leeway = LEEWAY.as_secs();
        validation.validate_nbf = true;
        validation.set_required_spec_claims(&["exp", "sub"]);
        match &config.issuer {
            Some(issuer) => {
                validation.set_issuer(&[issuer]);
                validation.required_spec_claims.insert("iss".to_owned());
            }
            None => validation.iss = None,
        }
        match &config.audience {
            Some(audience) => {
                validation.set_audience(&[audience]);
                validation.required_spec_claims.insert("aud".to_owned());
            }
            None => validation.validate_aud = false,
        }
        Self {
            decoding: DecodingKey::from_secret(&config.key),
            encoding: EncodingKey::from_secret(&config.key),
            validation,
            issuer: config.issuer.clone(),
            audience: config.audience.clone(),
        }
    }

    /// What the request's bearer token says.
    ///
    /// # Errors
    /// [`TokenError`] without exactly one token that holds.
    pub fn bearer(&self, headers: &HeaderMap) -> Result<Holder, TokenError> {
        let mut values = headers.get_all(header::AUTHORIZATION).iter();
        let (Some(value), None) = (values.next(), values.next()) else {
            return Err(TokenError::Invalid);
        };
        let (scheme, token) = value
            .to_str()
            .ok()
            .and_then(|value| value.split_once(' '))
            .ok_or(TokenError::Invalid)?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(TokenError::Invalid);
        }
        self.verify(token)
    }

    /// What `token` says.
    ///
    /// # Errors
    /// [`TokenError`] when it does not hold.
    pub fn verify(&self, token: &str) -> Result<Holder, TokenError> {
        if TOKEN_BYTES_MAX < token.len() {
            return Err(TokenError::Invalid);
        }
        let data = decode::<Claims>(token, &self.decoding, &self.validation);
        let data = data.map_err(|error| {
            if matches!(error.kind(), ErrorKind::InvalidSignature) {
                TokenError::Forged
            } else {
                TokenError::Invalid
            }
        })?;
        if !is_plain(&data.header) {
            return Err(TokenError::Invalid);
        }
        let claims = data.claims;
        let ends = Duration::try_from_secs_f64(claims.exp).unwrap_or(Duration::MAX);
        let until_ms = ends.saturating_add(LEEWAY).as_millis();
        Ok(Holder {
            grant: Grant::new(&claims.sub, claims.spaces).map_err(|_| TokenError::Invalid)?,
            until_ms: u64::try_from(until_ms).unwrap_or(u64::MAX),
        })
    }

    /// A token for a user with `spaces` besides their own, that ends after `lifetime`; and when that
    /// is, in milliseconds since 1970.
    ///
    /// # Errors
    /// [`TokenError`] for a user or a space that no token may have, or without a clock.
    pub fn sign(
        &self,
        subject: &str,
        spaces: BTreeMap<String, Access>,
        now: SystemTime,
        lifetime: Duration,
    ) -> Result<(String, u64), TokenError> {
        Grant::new(subject, spaces.clone()).map_err(|_| TokenError::Invalid)?;
        let ends = now
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_err(|_| TokenError::Invalid)?
            + lifetime;
        let seconds = u32::try_from(ends.as_secs()).map_err(|_| TokenError::Invalid)?;
        let claims = Claims {
            sub: subject.to_owned(),
            exp: seconds.into(),
            iss: self.issuer.clone(),
            aud: self.audience.clone(),
            spaces,
        };
        let token = encode(&Header::new(Algorithm::HS256), &claims, &self.encoding)
            .map_err(|_| TokenError::Invalid)?;
        Ok((token, u64::from(seconds) * 1_000))
    }
}

/// A token whose header asks for something that is not done here (an extension that must be
/// understood, encryption, compression, another type) must not pass as one without it.
fn is_plain(header: &Header) -> bool {
    let typ = header
        .typ
        .as_deref()
        .is_none_or(|typ| typ.eq_ignore_ascii_case("jwt"));
    typ && header.crit.is_none()
        && header.enc.is_none()
        && header.zip.is_none()
        && header.cty.is_none()
        && !header.extras.inner().contains_key("b64")
}

/// HS256 and nothing else: what is not linked cannot be confused with it.
static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: |algorithm, key| {
        Ok(Box::new(Hs256::new(*algorithm, key.as_bytes())?) as Box<dyn JwtSigner>)
    },
    verifier_factory: |algorithm, key| {
        let key = key.try_get_as_bytes()?;
        Ok(Box::new(Hs256::new(*algorithm, key)?) as Box<dyn JwtVerifier>)
    },
    key_utils: KeyUtils::new_unimplemented(),
};

struct Hs256(Hmac<Sha256>);

impl Hs256 {
    fn new(algorithm: Algorithm, key: &[u8]) -> Result<Self, Error> {
        if algorithm != Algorithm::HS256 {
            return Err(ErrorKind::InvalidAlgorithm.into());
        }
        let mac = Hmac::new_from_slice(key).map_err(|_| ErrorKind::InvalidKeyFormat)?;
        Ok(Self(mac))
    }

    fn over(&self, message: &[u8]) -> Hmac<Sha256> {
        self.0.clone().chain_update(message)
    }
}

impl Signer<Vec<u8>> for Hs256 {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, signature::Error> {
        Ok(self.over(message).finalize().into_bytes().to_vec())
    }
}

impl JwtSigner for Hs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

impl Verifier<Vec<u8>> for Hs256 {
    /// Takes the same time wherever the signatures differ (SEC26).
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        self.over(message)
            .verify_slice(signature)
            .map_err(|_| signature::Error::new())
    }
}

impl JwtVerifier for Hs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}
