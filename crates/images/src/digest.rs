//! SHA-256 digests: the names of everything in the content store.
//!
//! Content is believed only after a [`Verifier`] has read it to its end and
//! found the digest that was asked for.

use std::{
    fmt,
    io::{self, Read},
    str::FromStr,
};

use aws_lc_rs::digest::{Context, SHA256};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A SHA-256 digest, written `sha256:<64 hexadecimal digits>`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

/// Why a text is not a digest that this store can use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// The text lacks the form `algorithm:hex`.
    #[error("invalid checksum digest format: {0:?}")]
    Format(String),
    /// Another algorithm than sha256.
    #[error("unsupported digest algorithm {0:?}")]
    Algorithm(String),
    /// The hexadecimal part has the wrong length.
    #[error("invalid checksum digest length: {0:?}")]
    Length(String),
}

impl Digest {
    /// The digest of `content`.
    pub fn of(content: &[u8]) -> Self {
        let mut hasher = Hasher::new();
        hasher.update(content);
        hasher.finish()
    }

    /// The 64 hexadecimal digits.
    pub fn hex(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Reads 64 lower-case hexadecimal digits.
    pub fn from_hex(hex: &str) -> Option<Self> {
        let digits = hex.as_bytes();
        if digits.len() != 64 {
            return None;
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
            *byte = hex_digit(pair[0])? << 4 | hex_digit(pair[1])?;
        }
        Some(Self(bytes))
    }

    /// The chain ID of a layer with this diff ID above `parent`.
    ///
    /// Follows the OCI image specification, config.md, "Layer ChainID".
    pub fn chain(self, parent: Option<Self>) -> Self {
        match parent {
            None => self,
            Some(parent) => Self::of(format!("{parent} {self}").as_bytes()),
        }
    }
}

fn hex_digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let (algorithm, hex) = text
            .split_once(':')
            .ok_or_else(|| ParseError::Format(text.to_owned()))?;
        if algorithm != "sha256" {
            return Err(ParseError::Algorithm(algorithm.to_owned()));
        }
        if hex.len() != 64 {
            return Err(ParseError::Length(text.to_owned()));
        }
        Self::from_hex(hex).ok_or_else(|| ParseError::Format(text.to_owned()))
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Computes a digest piece by piece.
pub struct Hasher(Context);

impl Hasher {
    /// A hasher that has seen nothing.
    pub fn new() -> Self {
        Self(Context::new(&SHA256))
    }

    /// Adds a piece.
    pub fn update(&mut self, piece: &[u8]) {
        self.0.update(piece);
    }

    /// The digest of all pieces.
    pub fn finish(self) -> Digest {
        let mut bytes = [0; 32];
        let digest = self.0.finish();
        for (byte, from) in bytes.iter_mut().zip(digest.as_ref()) {
            *byte = *from;
        }
        Digest(bytes)
    }
}

impl Default for Hasher {
    fn default() -> Self {
        Self::new()
    }
}

/// Hashes and counts what is read through it.
pub struct Verifier<R> {
    inner: R,
    hasher: Hasher,
    bytes: u64,
}

impl<R: Read> Verifier<R> {
    /// Reads from `inner`.
    pub fn new(inner: R) -> Self {
        Self {
            inner,
            hasher: Hasher::new(),
            bytes: 0,
        }
    }

    /// Reads what is left, and returns the digest and length of all of it.
    pub fn finish(mut self) -> io::Result<(Digest, u64)> {
        let mut scratch = vec![0; 64 * 1024];
        while self.read(&mut scratch)? > 0 {}
        Ok((self.hasher.finish(), self.bytes))
    }

    /// Bytes read so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl<R: Read> Read for Verifier<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..count]);
        self.bytes += count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn reads_and_prints() {
        assert_eq!(Digest::of(b"").to_string(), EMPTY);
        assert_eq!(EMPTY.parse(), Ok(Digest::of(b"")));
        for (text, want) in [
            ("abc", ParseError::Format("abc".into())),
            ("sha512:00", ParseError::Algorithm("sha512".into())),
            ("sha256:00", ParseError::Length("sha256:00".into())),
        ] {
            assert_eq!(text.parse::<Digest>(), Err(want));
        }
        let upper = EMPTY.replace('e', "E").replace("shE", "sha");
        assert_eq!(
            upper.parse::<Digest>(),
            Err(ParseError::Format(upper.clone()))
        );
    }

    #[test]
    fn chains_as_the_specification_says() {
        let a = Digest::of(b"a");
        let b = Digest::of(b"b");
        assert_eq!(a.chain(None), a);
        let text = format!("{a} {b}");
        assert_eq!(b.chain(Some(a)), Digest::of(text.as_bytes()));
    }

    #[test]
    fn verifier_reads_to_the_end() {
        let mut verifier = Verifier::new(&b"hello world"[..]);
        let mut start = [0; 5];
        verifier.read_exact(&mut start).unwrap();
        assert_eq!(verifier.finish().unwrap(), (Digest::of(b"hello world"), 11));
    }
}
