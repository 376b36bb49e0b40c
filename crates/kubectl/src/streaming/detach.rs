//! The keys by which a user leaves a container that goes on.
//!
//! Follows moby's term package (ascii.go, proxy.go), which upstream uses.

use crate::error::{Result, said};

/// The keys where nobody chooses others.
pub const DEFAULT: &str = "ctrl-p,ctrl-q";

/// A sequence of keys, and how much of it has been typed.
#[derive(Clone, Debug)]
pub struct Keys {
    sequence: Vec<u8>,
    typed: usize,
}

impl Keys {
    /// Reads `ctrl-p,ctrl-q`; the default when nothing is said.
    pub fn parse(text: &str) -> Result<Self> {
        let text = if text.is_empty() { DEFAULT } else { text };
        let mut sequence = Vec::new();
        for key in text.split(',') {
            match code(key) {
                Some(code) => sequence.push(code),
                None => {
                    return said(format!(
                        "could not bind detach keys: Unknown character: '{key}'"
                    ));
                }
            }
        }
        Ok(Keys { sequence, typed: 0 })
    }

    /// What is passed on of what was typed; `None` once the whole sequence was typed. Keys that may
    /// be its beginning wait for the next one.
    pub fn pass(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        let mut out = Vec::with_capacity(bytes.len());
        for byte in bytes {
            if self.sequence.get(self.typed) != Some(byte) {
                out.extend_from_slice(&self.sequence[..self.typed]);
                self.typed = 0;
            }
            if self.sequence.get(self.typed) == Some(byte) {
                self.typed += 1;
            } else {
                out.push(*byte);
            }
            if self.typed == self.sequence.len() {
                return None;
            }
        }
        Some(out)
    }
}

fn code(key: &str) -> Option<u8> {
    if let [byte] = key.as_bytes() {
        return Some(*byte);
    }
    if key == "DEL" {
        return Some(127);
    }
    match key.strip_prefix("ctrl-")?.as_bytes() {
        [letter @ b'a'..=b'z'] => Some(letter - b'a' + 1),
        [other @ (b'@' | b'[' | b'\\' | b']' | b'^' | b'_')] => Some(other - b'@'),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(keys: &str, pieces: &[&str]) -> (String, bool) {
        let mut keys = Keys::parse(keys).expect("keys");
        let mut out = Vec::new();
        for piece in pieces {
            match keys.pass(piece.as_bytes()) {
                Some(bytes) => out.extend(bytes),
                None => return (String::from_utf8_lossy(&out).into_owned(), true),
            }
        }
        (String::from_utf8_lossy(&out).into_owned(), false)
    }

    #[test]
    fn only_the_whole_sequence_detaches() {
        assert_eq!(typed("", &["ls\n"]), ("ls\n".into(), false));
        assert_eq!(typed("", &["a\x10", "\x11b"]), ("a".into(), true));
        assert_eq!(typed("", &["\x10\x10", "\x11"]), ("\x10".into(), true));
        assert_eq!(typed("", &["\x10", "x\x11"]), ("\x10x\x11".into(), false));
        assert_eq!(typed("q,DEL", &["q\x7f"]), ("".into(), true));
        assert_eq!(typed("ctrl-],ctrl-@", &["\x1d\0"]), ("".into(), true));
        let error = Keys::parse("ctrl-p,enter").expect_err("no such key");
        assert_eq!(
            error.to_string(),
            "could not bind detach keys: Unknown character: 'enter'"
        );
    }
}
