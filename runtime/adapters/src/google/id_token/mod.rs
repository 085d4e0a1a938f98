//! The check of the identity tokens that Google's services prove themselves with.
//!
//! A token is three parts: a head that names the key, claims, and a signature of both (RFC 7515, RFC 7519). The algorithm is
//! RS256 and no other, whatever the head says; the key is one of Google's, whatever the head holds; and the claims are looked
//! at only when the signature is right. Keys are public and fetched from a public address, so they are fetched through the
//! guard like anything else.
//!
//! Sources: Google, "OpenID Connect", Validating an ID token (issuers, keys, how long keys hold); Google Cloud, "Create HTTP
//! target tasks" and the reference of `OidcToken` (whose account, which audience); RFC 8725, "JSON Web Token Best Current
//! Practices".

mod keys;
#[cfg(test)]
mod tests;

use std::{fmt, time::Duration};

use aws_lc_rs::signature::RSA_PKCS1_2048_8192_SHA256;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use eywa_guard::GuardedClient;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, de::DeserializeOwned};
use url::Url;

use self::keys::Keys;

/// Where Google's keys are.
pub const GOOGLE_KEYS: &str = "https://www.googleapis.com/oauth2/v3/certs";

/// Who signs.
const ISSUERS: [&str; 2] = ["https://accounts.google.com", "accounts.google.com"];
/// The longest token, in bytes. Google's have about 1,000.
const LONGEST_TOKEN: usize = 4096;
/// How far two clocks may be apart.
const SKEW: SignedDuration = SignedDuration::from_secs(30);

/// A caller has not shown that it is who it should be. Nothing of the token is quoted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotGoogle {
    /// There is no token.
    #[error("there is no bearer token")]
    Missing,
    /// There is one, and Google has not signed it.
    #[error("the bearer token is not Google's: {0}")]
    Forged(&'static str),
    /// Google has signed it, and for something else.
    #[error("the bearer token is for something else: {0}")]
    Another(&'static str),
    /// The keys to check it with cannot be had. Nobody gets in meanwhile; the same may be right in a while.
    #[error("the keys that the bearer token is signed with cannot be fetched: {reason}")]
    NoKeys {
        /// Why, for the log.
        reason: String,
        /// How long to wait.
        retry_after: Duration,
    },
}

/// Checks tokens of one account for one audience.
pub struct IdTokens {
    keys: Keys,
    account: String,
    audience: String,
}

#[derive(Deserialize)]
struct Head {
    alg: String,
    kid: Option<String>,
    /// What must be understood to check the token: nothing, here.
    crit: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    exp: i64,
    iat: i64,
    nbf: Option<i64>,
    email: Option<String>,
    email_verified: Option<bool>,
}

impl IdTokens {
    /// Checks tokens of the service account with this e-mail address, for this audience. The keys are at `keys`
    /// ([`GOOGLE_KEYS`]), a JWK set; they are fetched when they are needed.
    #[must_use]
    pub fn new(
        client: GuardedClient,
        keys: Url,
        account: impl Into<String>,
        audience: impl Into<String>,
    ) -> Self {
        Self {
            keys: Keys::new(client, keys),
            account: account.into(),
            audience: audience.into(),
        }
    }

    /// Whether an `Authorization` header holds such a token.
    ///
    /// # Errors
    /// [`NotGoogle`].
    pub async fn check(&self, authorization: Option<&str>) -> Result<(), NotGoogle> {
        let (scheme, token) = authorization
            .and_then(|header| header.split_once(' '))
            .ok_or(NotGoogle::Missing)?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(NotGoogle::Missing);
        }
        let token = token.trim();
        if token.len() > LONGEST_TOKEN {
            return Err(NotGoogle::Forged("it is too long"));
        }
        self.check_token(token, Timestamp::now()).await
    }

    async fn check_token(&self, token: &str, now: Timestamp) -> Result<(), NotGoogle> {
        let (signed, signature) = token
            .rsplit_once('.')
            .ok_or(NotGoogle::Forged("it is no JWT"))?;
        let (head, claims) = signed
            .split_once('.')
            .ok_or(NotGoogle::Forged("it is no JWT"))?;
        let head: Head = part(head).ok_or(NotGoogle::Forged("its head cannot be read"))?;
        if head.alg != "RS256" || head.crit.is_some() {
            return Err(NotGoogle::Forged("it is not signed by RS256"));
        }
        let kid = head.kid.ok_or(NotGoogle::Forged("it names no key"))?;
        let signature = URL_SAFE_NO_PAD
            .decode(signature)
            .map_err(|_| NotGoogle::Forged("its signature cannot be read"))?;
        let key = self
            .keys
            .get(&kid)
            .await?
            .ok_or(NotGoogle::Forged("its key is none of the signer's"))?;
        key.verify(&RSA_PKCS1_2048_8192_SHA256, signed.as_bytes(), &signature)
            .map_err(|_| NotGoogle::Forged("its signature is not right"))?;
        let claims: Claims = part(claims).ok_or(NotGoogle::Another("its claims cannot be read"))?;
        self.judge(&claims, now)
    }

    fn judge(&self, claims: &Claims, now: Timestamp) -> Result<(), NotGoogle> {
        let now = now.as_second();
        let skew = SKEW.as_secs();
        let not_before = claims.iat.max(claims.nbf.unwrap_or(i64::MIN));
        for (right, otherwise) in [
            (
                ISSUERS.contains(&claims.iss.as_str()),
                "its issuer is not Google",
            ),
            (claims.aud == self.audience, "it is for another audience"),
            (
                claims.email.as_deref() == Some(self.account.as_str()),
                "it is another account's",
            ),
            (
                claims.email_verified == Some(true),
                "its e-mail address is not verified",
            ),
            (now < claims.exp.saturating_add(skew), "it has expired"),
            (
                now >= not_before.saturating_sub(skew),
                "it is not valid yet",
            ),
        ] {
            if !right {
                return Err(NotGoogle::Another(otherwise));
            }
        }
        Ok(())
    }
}

impl fmt::Debug for IdTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdTokens")
            .field("account", &self.account)
            .field("audience", &self.audience)
            .finish_non_exhaustive()
    }
}

fn part<T: DeserializeOwned>(part: &str) -> Option<T> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}
