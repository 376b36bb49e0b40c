//! The wire format itself: varints, tags, lengths. Reading goes forward and
//! never beyond its slice; writing goes backward, as Go's generated code does,
//! so that lengths are known when they are written.

use super::{Error, Result};

/// An integer of up to 64 bits.
pub(super) const VARINT: u8 = 0;
/// Eight bytes.
pub(super) const FIXED64: u8 = 1;
/// A length and as many bytes.
pub(super) const BYTES: u8 = 2;
/// The beginning of a group, which nobody writes any more.
const GROUP: u8 = 3;
/// Its end.
const GROUP_END: u8 = 4;
/// Four bytes.
const FIXED32: u8 = 5;

/// How deep groups may nest within an unknown field.
const GROUPS_MAX: usize = 64;

/// What remains of a message.
#[derive(Clone, Copy)]
pub(super) struct Input<'a>(pub(super) &'a [u8]);

impl<'a> Input<'a> {
    pub(super) fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    #[inline]
    pub(super) fn varint(&mut self) -> Result<u64> {
        if let [byte, rest @ ..] = self.0
            && *byte < 0x80
        {
            self.0 = rest;
            return Ok(u64::from(*byte));
        }
        self.long_varint()
    }

    fn long_varint(&mut self) -> Result<u64> {
        let mut value = 0u64;
        for (i, byte) in self.0.iter().take(10).enumerate() {
            let bits = u64::from(byte & 0x7f);
            if i == 9 && bits > 1 {
                return Err(Error::Overflow.into());
            }
            value |= bits << (7 * i);
            if *byte < 0x80 {
                self.0 = &self.0[i + 1..];
                return Ok(value);
            }
        }
        match self.0.len() {
            0..10 => Err(Error::UnexpectedEnd.into()),
            _ => Err(Error::Overflow.into()),
        }
    }

    /// A field's number and wire type.
    pub(super) fn tag(&mut self, message: &'static str) -> Result<(u32, u8)> {
        let tag = self.varint()?;
        let wire = (tag & 7) as u8;
        match u32::try_from(tag >> 3) {
            Ok(number) if number > 0 && number <= i32::MAX as u32 => Ok((number, wire)),
            _ => Err(Error::IllegalTag {
                message,
                number: (tag >> 3) as i32,
                wire,
            }
            .into()),
        }
    }

    /// A length and as many bytes.
    pub(super) fn bytes(&mut self) -> Result<&'a [u8]> {
        let length = usize::try_from(self.varint()?).map_err(|_| Error::UnexpectedEnd)?;
        self.take(length)
    }

    pub(super) fn fixed64(&mut self) -> Result<u64> {
        let bytes = self.take(8)?;
        Ok(bytes
            .iter()
            .rev()
            .fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let Some((taken, rest)) = self.0.split_at_checked(length) else {
            return Err(Error::UnexpectedEnd.into());
        };
        self.0 = rest;
        Ok(taken)
    }

    /// Leaves out a field that nobody knows.
    pub(super) fn skip(&mut self, wire: u8) -> Result<()> {
        let mut groups = 0;
        let mut wire = wire;
        loop {
            match wire {
                VARINT => drop(self.varint()?),
                FIXED64 => drop(self.take(8)?),
                BYTES => drop(self.bytes()?),
                FIXED32 => drop(self.take(4)?),
                GROUP if groups < GROUPS_MAX => groups += 1,
                GROUP => return Err(Error::TooDeep.into()),
                GROUP_END if groups > 0 => groups -= 1,
                other => return Err(Error::IllegalWire(other).into()),
            }
            if groups == 0 {
                return Ok(());
            }
            wire = self.tag("group")?.1;
        }
    }
}

/// Bytes that grow towards their beginning.
pub(super) struct Output {
    buffer: Vec<u8>,
    at: usize,
}

impl Output {
    pub(super) fn new() -> Self {
        Output {
            buffer: vec![0; 1024],
            at: 1024,
        }
    }

    /// How much is written.
    pub(super) fn len(&self) -> usize {
        self.buffer.len() - self.at
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        if bytes.len() > self.at {
            self.grow(bytes.len());
        }
        let from = self.at - bytes.len();
        self.buffer[from..self.at].copy_from_slice(bytes);
        self.at = from;
    }

    fn grow(&mut self, more: usize) {
        let written = self.len();
        let size = (written + more).max(self.buffer.len()) * 2;
        let mut buffer = vec![0; size];
        buffer[size - written..].copy_from_slice(&self.buffer[self.at..]);
        self.at = size - written;
        self.buffer = buffer;
    }

    pub(super) fn varint(&mut self, mut value: u64) {
        if value < 0x80 {
            return self.bytes(&[value as u8]);
        }
        let mut bytes = [0u8; 10];
        let mut count = 0;
        loop {
            bytes[count] = value as u8 | 0x80;
            value >>= 7;
            count += 1;
            if value == 0 {
                break;
            }
        }
        bytes[count - 1] &= 0x7f;
        self.bytes(&bytes[..count]);
    }

    pub(super) fn tag(&mut self, number: u32, wire: u8) {
        self.varint(u64::from(number) << 3 | u64::from(wire));
    }

    /// Length and tag in front of what was written since there were `before` bytes.
    pub(super) fn close(&mut self, number: u32, before: usize) {
        self.varint((self.len() - before) as u64);
        self.tag(number, BYTES);
    }

    /// A whole field of bytes.
    pub(super) fn field(&mut self, number: u32, bytes: &[u8]) {
        self.bytes(bytes);
        self.varint(bytes.len() as u64);
        self.tag(number, BYTES);
    }

    /// A whole field of an integer.
    pub(super) fn integer(&mut self, number: u32, value: i64) {
        self.varint(value as u64);
        self.tag(number, VARINT);
    }

    pub(super) fn finish(mut self) -> Vec<u8> {
        self.buffer.drain(..self.at);
        self.buffer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_go_there_and_back() {
        for value in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX, 1 << 63] {
            let mut output = Output::new();
            output.varint(value);
            let bytes = output.finish();
            let mut input = Input(&bytes);
            assert_eq!(input.varint().expect("a varint"), value);
            assert!(input.is_empty());
        }
        let mut output = Output::new();
        output.varint(-1i64 as u64);
        assert_eq!(output.finish().len(), 10);
    }

    #[test]
    fn varints_that_are_none_are_refused() {
        let over = [0xff; 11];
        for (bytes, expected) in [
            (&over[..], "proto: integer overflow"),
            (&over[..9], "unexpected EOF"),
            (&[], "unexpected EOF"),
        ] {
            let error = Input(bytes).varint().expect_err("no varint");
            assert_eq!(error.to_string(), expected);
        }
    }

    #[test]
    fn unknown_fields_are_skipped() {
        for (wire, bytes) in [
            (VARINT, vec![0x96, 0x01]),
            (FIXED64, vec![0; 8]),
            (BYTES, vec![2, 1, 2]),
            (FIXED32, vec![0; 4]),
            (GROUP, vec![0x08, 0x01, 0x13, 0x14, 0x0c]),
        ] {
            let mut input = Input(&bytes);
            input.skip(wire).expect("a field");
            assert!(input.is_empty(), "wire type {wire}");
        }
        let error = Input(&[]).skip(GROUP_END).expect_err("no group");
        assert!(matches!(*error, Error::IllegalWire(4)));
        let error = Input(&[0x0b; 100]).skip(GROUP).expect_err("too deep");
        assert!(matches!(*error, Error::TooDeep));
    }

    #[test]
    fn what_is_written_backwards_reads_forwards() {
        let mut output = Output::new();
        output.bytes(&[7; 3000]);
        output.close(2, 0);
        output.integer(1, -1);
        let bytes = output.finish();
        let mut input = Input(&bytes);
        assert_eq!(input.tag("x").expect("a tag"), (1, VARINT));
        assert_eq!(input.varint().expect("a varint"), u64::MAX);
        assert_eq!(input.tag("x").expect("a tag"), (2, BYTES));
        assert_eq!(input.bytes().expect("bytes"), &[7; 3000]);
    }
}
