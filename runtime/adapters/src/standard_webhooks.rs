//! Signatures of webhooks by the [Standard Webhooks](https://www.standardwebhooks.com) specification.
//!
//! What is signed is `id.timestamp.body`; the signature is an HMAC-SHA256, written `v1,` and base64.

use std::{fmt, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

/// The header with the message's id, unique to it and the same each time it is delivered.
pub const ID: &str = "webhook-id";
/// The header with the time of this delivery, in whole seconds since 1970.
pub const TIMESTAMP: &str = "webhook-timestamp";
/// The header with the signatures, one or several with a space between.
pub const SIGNATURE: &str = "webhook-signature";

/// How far a delivery's time may be from ours, either way.
const TOLERANCE: Duration = Duration::from_secs(5 * 60);
/// The fewest bytes of a key. A shorter one could be guessed from a single delivery.
const MIN_KEY_BYTES: usize = 16;
/// While keys are being changed a sender signs with both. No more signatures than this are looked at.
const MAX_SIGNATURES: usize = 8;

/// A key that is no key. The text does not hold it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKey {
    /// What follows `whsec_` is not base64.
    #[error("a signing key that begins with whsec_ goes on in base64")]
    Encoding,
    /// It is too short to be safe.
    #[error(
        "a signing key needs {MIN_KEY_BYTES} bytes at least: make one with `openssl rand -base64 32`, and write whsec_ before it"
    )]
    Short,
}

/// A delivery whose signature is missing, wrong, or too old or new.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the webhook-id, webhook-timestamp and webhook-signature headers do not sign this body with this key, now"
)]
pub struct Unsigned;

/// A key that both sides share.
pub struct SigningKey(Hmac<Sha256>);

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(..)")
    }
}

impl SigningKey {
    /// Reads a key: `whsec_` and base64, as the specification writes it, or any other text, whose bytes are then the key.
    ///
    /// # Errors
    /// When it is not base64 after `whsec_`, or has fewer than 16 bytes.
    pub fn parse(text: &SecretString) -> Result<Self, InvalidKey> {
        let text = text.expose_secret().trim();
        let key = match text.strip_prefix("whsec_") {
            Some(encoded) => BASE64_STANDARD
                .decode(encoded)
                .map_err(|_| InvalidKey::Encoding)?,
            None => text.as_bytes().to_vec(),
        };
        if key.len() < MIN_KEY_BYTES {
            return Err(InvalidKey::Short);
        }
        Hmac::new_from_slice(&key)
            .map(Self)
            .map_err(|_| InvalidKey::Short)
    }

    /// The `webhook-signature` of a message that is delivered at `at`, given in whole seconds since 1970.
    #[must_use]
    pub fn sign(&self, id: &str, at: i64, body: &[u8]) -> String {
        let signature = self
            .mac(id.as_bytes(), at.to_string().as_bytes(), body)
            .finalize();
        format!("v1,{}", BASE64_STANDARD.encode(signature.into_bytes()))
    }

    /// Checks a delivery that came in at `now`, in constant time, and says what its id is. `header` looks a header up by
    /// its name in lower case.
    ///
    /// # Errors
    /// When no signature is right, or its time is more than five minutes away.
    pub fn verify<'a>(
        &self,
        header: impl Fn(&str) -> Option<&'a [u8]>,
        body: &[u8],
        now: Timestamp,
    ) -> Result<&'a str, Unsigned> {
        let text = |name| {
            header(name)
                .and_then(|value| std::str::from_utf8(value).ok())
                .ok_or(Unsigned)
        };
        let (id, at, signatures) = (text(ID)?, text(TIMESTAMP)?, text(SIGNATURE)?);
        let seconds: i64 = at.parse().map_err(|_| Unsigned)?;
        if id.is_empty() || now.as_second().abs_diff(seconds) > TOLERANCE.as_secs() {
            return Err(Unsigned);
        }
        let expected = self.mac(id.as_bytes(), at.as_bytes(), body);
        let right = signatures
            .split(' ')
            .take(MAX_SIGNATURES)
            .filter_map(|signature| BASE64_STANDARD.decode(signature.strip_prefix("v1,")?).ok())
            .any(|signature| expected.clone().verify_slice(&signature).is_ok());
        if right { Ok(id) } else { Err(Unsigned) }
    }

    fn mac(&self, id: &[u8], at: &[u8], body: &[u8]) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        for part in [id, b".", at, b".", body] {
            mac.update(part);
        }
        mac
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "whsec_bm90LWEtcmVhbC1zaWduaW5nLWtleS1hdC1hbGw=";

    fn key(text: &str) -> SigningKey {
        SigningKey::parse(&text.into()).unwrap()
    }

    fn verify(
        key: &SigningKey,
        id: &str,
        at: &str,
        signature: &str,
        body: &[u8],
        now: i64,
    ) -> Result<String, Unsigned> {
        let header = |name: &str| match name {
            ID => Some(id.as_bytes()),
            TIMESTAMP => Some(at.as_bytes()),
            SIGNATURE => Some(signature.as_bytes()),
            _ => None,
        };
        key.verify(header, body, Timestamp::from_second(now).unwrap())
            .map(str::to_owned)
    }

    // The example of the specification's own libraries.
    #[test]
    fn a_signature_is_the_one_that_others_make() {
        let key = key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let body = br#"{"test": 2432232314}"#;
        let signature = key.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn what_was_signed_is_taken_and_anything_else_is_not() {
        let key = key(KEY);
        let good = key.sign("msg_1", 1000, b"{}");
        assert_eq!(
            verify(&key, "msg_1", "1000", &good, b"{}", 1000).unwrap(),
            "msg_1"
        );
        for (id, at, signature, body) in [
            ("msg_2", "1000", good.as_str(), &b"{}"[..]),
            ("msg_1", "1001", &good, b"{}"),
            ("msg_1", "1000", &good, b"{ }"),
            ("msg_1", "1000", &good[..good.len() - 4], b"{}"),
            ("msg_1", "1000", &good.replace("v1,", "v1a,"), b"{}"),
            ("msg_1", "1000", "", b"{}"),
            ("msg_1", "1000", "v1,", b"{}"),
            ("msg_1", "soon", &good, b"{}"),
            ("", "1000", &good, b"{}"),
        ] {
            assert_eq!(
                verify(&key, id, at, signature, body, 1000),
                Err(Unsigned),
                "{id} {at} {signature}"
            );
        }
    }

    #[test]
    fn one_right_signature_among_several_is_enough() {
        let (old, new) = (key(KEY), key("another-key-that-is-not-real"));
        let both = format!(
            "v1a,zzzz {} {}",
            new.sign("a", 1000, b""),
            old.sign("a", 1000, b"")
        );
        assert!(verify(&old, "a", "1000", &both, b"", 1000).is_ok());
        assert!(verify(&new, "a", "1000", &both, b"", 1000).is_ok());
        let many = "v1,AAAA ".repeat(MAX_SIGNATURES) + &old.sign("a", 1000, b"");
        assert!(verify(&old, "a", "1000", &many, b"", 1000).is_err());
    }

    #[test]
    fn five_minutes_either_way_is_the_most() {
        let key = key(KEY);
        let signature = key.sign("a", 1000, b"");
        for (now, taken) in [(700, true), (1300, true), (699, false), (1301, false)] {
            assert_eq!(
                verify(&key, "a", "1000", &signature, b"", now).is_ok(),
                taken,
                "{now}"
            );
        }
        let far = i64::MIN.to_string();
        assert!(verify(&key, "a", &far, &key.sign("a", i64::MIN, b""), b"", 1000).is_err());
    }

    #[test]
    fn a_missing_header_is_no_signature() {
        let key = key(KEY);
        assert_eq!(
            key.verify(|_| None, b"", Timestamp::UNIX_EPOCH),
            Err(Unsigned)
        );
    }

    #[test]
    fn a_weak_or_broken_key_is_refused_without_being_told() {
        for (text, why) in [
            ("", InvalidKey::Short),
            ("short", InvalidKey::Short),
            ("whsec_c2hvcnQ=", InvalidKey::Short),
            ("whsec_%%%", InvalidKey::Encoding),
        ] {
            assert_eq!(SigningKey::parse(&text.into()).unwrap_err(), why);
        }
        assert_eq!(format!("{:?}", key(KEY)), "SigningKey(..)");
    }

    #[test]
    fn a_line_break_at_the_end_of_a_mounted_key_does_not_count() {
        let (with, without) = (key(&format!("{KEY}\n")), key(KEY));
        assert_eq!(with.sign("a", 1, b"x"), without.sign("a", 1, b"x"));
    }
}
