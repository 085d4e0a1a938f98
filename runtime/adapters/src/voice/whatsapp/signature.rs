//! Who a webhook is from.

use eywa_weave::ports::voice::Rejected;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use url::form_urlencoded;

/// The header with the signature: `sha256=` and the HMAC in hex.
pub(super) const HEADER: &str = "x-hub-signature-256";

/// Checks the signature of a body, in constant time.
pub(super) fn check(
    signature: &[u8],
    body: &[u8],
    app_secret: &SecretString,
) -> Result<(), Rejected> {
    let signature = signature
        .strip_prefix(b"sha256=")
        .and_then(|encoded| hex::decode(encoded).ok());
    let mac = Hmac::<Sha256>::new_from_slice(app_secret.expose_secret().as_bytes())
        .map_err(|_| Rejected::Signature)?;
    mac.chain_update(body)
        .verify_slice(&signature.ok_or(Rejected::Signature)?)
        .map_err(|_| Rejected::Signature)
}

/// What the verification of an endpoint is answered with.
pub(super) fn challenge(query: &str, verify_token: &SecretString) -> Result<String, Rejected> {
    let parameter = |wanted: &str| {
        form_urlencoded::parse(query.as_bytes())
            .find_map(|(name, value)| (name == wanted).then_some(value))
    };
    let offered = parameter("hub.verify_token").ok_or(Rejected::VerifyToken)?;
    // Hashes are of one length, so that comparing them does not tell the token's.
    let (offered, expected) = (
        Sha256::digest(offered.as_bytes()),
        Sha256::digest(verify_token.expose_secret()),
    );
    if !bool::from(offered.ct_eq(&expected)) {
        return Err(Rejected::VerifyToken);
    }
    match (parameter("hub.mode").as_deref(), parameter("hub.challenge")) {
        (Some("subscribe"), Some(challenge)) => Ok(challenge.into_owned()),
        _ => Err(Rejected::Malformed(
            "hub.mode is not subscribe, or there is no hub.challenge".to_owned(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // RFC 4231, test case 2.
    const SIGNATURE: &[u8] =
        b"sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    const BODY: &[u8] = b"what do ya want for nothing?";

    #[test]
    fn a_body_signed_with_the_secret_is_taken_and_any_other_is_not() {
        assert_eq!(check(SIGNATURE, BODY, &"Jefe".into()), Ok(()));
        for (signature, body, secret) in [
            (SIGNATURE, &BODY[1..], "Jefe"),
            (SIGNATURE, BODY, "jefe"),
            (&SIGNATURE[7..], BODY, "Jefe"),
            (&SIGNATURE[..SIGNATURE.len() - 2], BODY, "Jefe"),
            (b"sha256=", BODY, "Jefe"),
            (b"sha256=zz", BODY, "Jefe"),
            (b"sha1=5bdcc146bf60754e6a042426089575c7", BODY, "Jefe"),
            (b"", BODY, "Jefe"),
        ] {
            assert_eq!(
                check(signature, body, &secret.into()),
                Err(Rejected::Signature)
            );
        }
    }

    #[test]
    fn the_right_token_gets_its_challenge_back() {
        let token = "not-a-real token".into();
        let asked = |query| challenge(query, &token);
        let right = "hub.mode=subscribe&hub.challenge=11%2058&hub.verify_token=not-a-real+token";
        assert_eq!(asked(right), Ok("11 58".to_owned()));
        for wrong in [
            "hub.mode=subscribe&hub.challenge=1158&hub.verify_token=not-a-real",
            "hub.mode=subscribe&hub.challenge=1158&hub.verify_token=",
            "hub.mode=subscribe&hub.challenge=1158",
            "",
        ] {
            assert_eq!(asked(wrong), Err(Rejected::VerifyToken), "{wrong}");
        }
        for malformed in [
            "hub.verify_token=not-a-real+token",
            "hub.mode=unsubscribe&hub.challenge=1&hub.verify_token=not-a-real+token",
        ] {
            assert!(
                matches!(asked(malformed), Err(Rejected::Malformed(_))),
                "{malformed}"
            );
        }
    }
}
