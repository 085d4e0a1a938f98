//! Identities at a Google that is not there: a service account's key for who calls, and signed tokens for who is called.

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der},
    rand::SystemRandom,
    rsa::{KeyPair, KeySize},
    signature::{KeyPair as _, RSA_PKCS1_SHA256},
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use secrecy::SecretString;
use serde_json::{Value, json};

/// Whose tokens the stand-ins accept.
pub const CALLER: &str = "barista@cafe-fake.iam.gserviceaccount.com";

/// A service account's key in JSON, which was made for this test and opens nothing.
pub fn key() -> SecretString {
    static PRIVATE: std::sync::LazyLock<String> = std::sync::LazyLock::new(|| {
        let key = KeyPair::generate(KeySize::Rsa2048).unwrap();
        let der = AsDer::<Pkcs8V1Der<'_>>::as_der(&key).unwrap();
        let der = STANDARD.encode(der.as_ref() as &[u8]);
        format!("-----BEGIN PRIVATE KEY-----\n{der}\n-----END PRIVATE KEY-----\n")
    });
    let key = json!({
        "type": "service_account", "project_id": "cafe-fake", "private_key_id": "fake-id", "client_id": "1",
        "private_key": PRIVATE.as_str(), "client_email": CALLER, "token_uri": "http://169.254.169.254/never-followed",
    });
    SecretString::from(key.to_string())
}

/// Whether an `Authorization` header is that of the key's account: a token that it signed for itself (AIP-4111).
pub fn is_caller(authorization: Option<&str>) -> bool {
    let claims = authorization
        .and_then(|header| header.strip_prefix("Bearer "))
        .and_then(|token| URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok())
        .and_then(|claims| serde_json::from_slice::<Value>(&claims).ok());
    claims.is_some_and(|claims| claims["iss"] == CALLER)
}

/// Who signs identity tokens.
pub struct Signer(KeyPair);

impl Signer {
    pub fn new() -> Self {
        Self(KeyPair::generate(KeySize::Rsa2048).unwrap())
    }

    /// The keys to check them with, as `https://www.googleapis.com/oauth2/v3/certs` has them.
    pub fn keys(&self) -> Value {
        let public = self.0.public_key();
        let number = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let (n, e) = (
            number(public.modulus().big_endian_without_leading_zero()),
            number(public.exponent().big_endian_without_leading_zero()),
        );
        json!({"keys": [{"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "one", "n": n, "e": e}]})
    }

    /// A token of this account for this audience.
    pub fn token(&self, account: &str, audience: &str) -> String {
        let now = jiff::Timestamp::now().as_second();
        let claims = json!({
            "iss": "https://accounts.google.com", "aud": audience, "azp": "1", "sub": "1", "email": account,
            "email_verified": true, "iat": now, "exp": now + 3600,
        });
        let head = json!({"alg": "RS256", "kid": "one", "typ": "JWT"});
        let part = |part: Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let signed = format!("{}.{}", part(head), part(claims));
        let mut signature = vec![0; self.0.public_modulus_len()];
        self.0
            .sign(
                &RSA_PKCS1_SHA256,
                &SystemRandom::new(),
                signed.as_bytes(),
                &mut signature,
            )
            .unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}
