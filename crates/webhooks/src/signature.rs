//! Signatures as Standard Webhooks 1.0 has them (standard-webhooks/standard-webhooks, spec, "Signature scheme"): HMAC-SHA256 over id, moment
//! and body, so that a receiver can tell that a request is ours, unchanged and recent.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::{Zeroize as _, Zeroizing};

const PREFIX: &str = "whsec_";
/// As the specification asks for.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// What signs for one endpoint. It is never shown.
pub(crate) struct Secret(Zeroizing<Vec<u8>>);

/// A text that is no secret; it is not repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a secret is whsec_ and 24 to 64 bytes in base64")]
pub struct InvalidSecret;

impl Secret {
    pub(crate) fn parse(text: &str) -> Result<Self, InvalidSecret> {
        let text = text.trim().strip_prefix(PREFIX).ok_or(InvalidSecret)?;
        let mut bytes = BASE64_STANDARD.decode(text).map_err(|_| InvalidSecret)?;
        if SECRET_BYTES.contains(&bytes.len()) {
            Ok(Self(Zeroizing::new(bytes)))
        } else {
            bytes.zeroize();
            Err(InvalidSecret)
        }
    }
}

/// The header `webhook-signature`: a signature by each secret. A receiver takes a request of which one fits, so that a secret can be changed
/// while requests are under way.
pub(crate) fn sign(secrets: &[Secret], id: &str, timestamp: i64, body: &str) -> String {
    let by = |secret: &Secret| {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&secret.0).expect("HMAC takes a key of any length");
        for part in [id, ".", &timestamp.to_string(), ".", body] {
            mac.update(part.as_bytes());
        }
        format!("v1,{}", BASE64_STANDARD.encode(mac.finalize().into_bytes()))
    };
    secrets.iter().map(by).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    /// The example of the reference libraries (standard-webhooks, `libraries/*/tests`).
    #[test]
    fn signs_as_the_reference_does() {
        let secrets = [Secret::parse(SECRET).unwrap()];
        let signature = sign(
            &secrets,
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            r#"{"test": 2432232314}"#,
        );
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn each_secret_signs() {
        let other = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";
        let both = [SECRET, other].map(|text| Secret::parse(text).unwrap());
        let together = sign(&both, "id", 1, "{}");
        let apart: Vec<String> = both
            .into_iter()
            .map(|one| sign(&[one], "id", 1, "{}"))
            .collect();
        assert_ne!(apart[0], apart[1]);
        assert_eq!(together, apart.join(" "));
    }

    #[test]
    fn refuses_what_is_no_secret() {
        for text in [
            "",
            "whsec_",
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "whsec_MfKQ9r8GKYqr",
            "whsec_not base64 at all, whatever its length",
        ] {
            assert!(Secret::parse(text).is_err(), "{text}");
        }
        assert!(Secret::parse(&format!("{SECRET}\n")).is_ok());
    }
}
