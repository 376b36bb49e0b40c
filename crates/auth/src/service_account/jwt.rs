//! JSON web tokens, as far as ES256 goes (RFC 7515, RFC 7518 section 3.4).

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _,
    UnparsedPublicKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// The longest token that is looked at.
const LENGTH_MAX: usize = 16 * 1024;
/// What precedes the point in the SubjectPublicKeyInfo of every P-256 key.
const P256_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// A key that signs tokens.
#[derive(Debug)]
pub(super) struct Key {
    pair: EcdsaKeyPair,
    /// Upstream's way to name a key: the digest of its public half.
    id: String,
}

/// A token taken apart, its signature not looked at yet.
#[derive(Debug)]
pub(super) struct Parts<'a> {
    pub(super) claims: Value,
    header: Value,
    signed: &'a str,
    signature: Vec<u8>,
}

impl Key {
    /// From PKCS#8 in DER.
    pub(super) fn new(pkcs8: &[u8]) -> Option<Key> {
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8).ok()?;
        let public = [&P256_PREFIX, pair.public_key().as_ref()].concat();
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &public);
        let id = URL_SAFE_NO_PAD.encode(digest);
        Some(Key { pair, id })
    }

    /// Signs claims; `None` when the library fails.
    pub(super) fn sign(&self, claims: &Value) -> Option<String> {
        let header = json!({"alg": "ES256", "kid": self.id});
        let [header, claims] = [&header, claims].map(|v| URL_SAFE_NO_PAD.encode(v.to_string()));
        let mut token = format!("{header}.{claims}");
        let signature = self
            .pair
            .sign(&SystemRandom::new(), token.as_bytes())
            .ok()?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Some(token)
    }

    /// Whether this key signed the token.
    pub(super) fn signed(&self, parts: &Parts<'_>) -> bool {
        let of_this_key = match parts.header.get("kid") {
            None => true,
            Some(id) => id.as_str() == Some(&self.id),
        };
        let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, self.pair.public_key());
        parts.header.get("alg").and_then(Value::as_str) == Some("ES256")
            && of_this_key
            && public
                .verify(parts.signed.as_bytes(), &parts.signature)
                .is_ok()
    }

    /// The public half as a JWK.
    pub(super) fn jwk(&self) -> Value {
        // A P-256 point is a byte that says so and two coordinates of 32.
        let point = self.pair.public_key().as_ref();
        let coordinate = |from: usize| URL_SAFE_NO_PAD.encode(&point[from..from + 32]);
        json!({
            "use": "sig", "kty": "EC", "kid": self.id, "crv": "P-256", "alg": "ES256",
            "x": coordinate(1), "y": coordinate(33),
        })
    }
}

/// Takes a token apart; `None` when it is no JWT.
pub(super) fn parse(token: &str) -> Option<Parts<'_>> {
    if token.len() > LENGTH_MAX {
        return None;
    }
    let (signed, signature) = token.rsplit_once('.')?;
    let (header, claims) = signed.split_once('.')?;
    let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).ok();
    let read = |text: &str| serde_json::from_slice::<Value>(&decode(text)?).ok();
    Some(Parts {
        claims: read(claims).filter(Value::is_object)?,
        header: read(header).filter(Value::is_object)?,
        signed,
        signature: decode(signature)?,
    })
}
