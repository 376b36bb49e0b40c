//! Elements of sets and maps, and how they look in a message.

use std::time::Duration;

use super::types::Verdict;
use crate::netlink::{Attrs, Writer};

const KEY: u16 = 1;
const DATA: u16 = 2;
const TIMEOUT: u16 = 4;
const EXPIRATION: u16 = 5;
const KEY_END: u16 = 10;

const DATA_VALUE: u16 = 1;
const DATA_VERDICT: u16 = 2;
const VERDICT_CODE: u16 = 1;
const VERDICT_CHAIN: u16 = 2;

/// An element to be added or removed, borrowed from wherever it is known.
#[derive(Clone, Copy, Debug)]
pub struct Element<'a> {
    /// The key, fields padded to words.
    pub key: &'a [u8],
    /// The end of a range, itself included, field by field.
    pub key_end: Option<&'a [u8]>,
    /// What a map maps the key to.
    pub value: ElementValue<'a>,
    /// After how long the element ends by itself.
    pub timeout: Option<Duration>,
}

/// What an element of a map carries.
#[derive(Clone, Copy, Debug)]
pub enum ElementValue<'a> {
    /// Nothing: the element of a set, or one to be removed.
    None,
    /// Bytes, fields padded to words.
    Data(&'a [u8]),
    /// A verdict.
    Verdict(&'a Verdict),
}

/// An element that was listed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OwnedElement {
    /// The key.
    pub key: Vec<u8>,
    /// The end of a range.
    pub key_end: Option<Vec<u8>>,
    /// What it maps to.
    pub value: OwnedValue,
    /// How long it will live, if it ends by itself.
    pub expires: Option<Duration>,
}

/// What a listed element carries.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum OwnedValue {
    /// Nothing.
    None,
    /// Bytes.
    Data(Vec<u8>),
    /// A verdict.
    Verdict(Verdict),
}

impl<'a> Element<'a> {
    /// A plain key.
    pub fn key(key: &'a [u8]) -> Self {
        Self {
            key,
            key_end: None,
            value: ElementValue::None,
            timeout: None,
        }
    }

    /// A key that maps to bytes.
    pub fn data(key: &'a [u8], data: &'a [u8]) -> Self {
        Self {
            value: ElementValue::Data(data),
            ..Self::key(key)
        }
    }

    /// A key that maps to a verdict.
    pub fn verdict(key: &'a [u8], verdict: &'a Verdict) -> Self {
        Self {
            value: ElementValue::Verdict(verdict),
            ..Self::key(key)
        }
    }

    pub(super) fn write(&self, index: u16, writer: &mut Writer) {
        writer.nest(index, |element| {
            element.nest(KEY, |data| data.attr(DATA_VALUE, self.key));
            if let Some(end) = self.key_end {
                element.nest(KEY_END, |data| data.attr(DATA_VALUE, end));
            }
            match self.value {
                ElementValue::None => {}
                ElementValue::Data(bytes) => write_data(element, DATA, bytes),
                ElementValue::Verdict(verdict) => write_verdict(element, DATA, verdict),
            }
            if let Some(timeout) = self.timeout {
                element.be64(TIMEOUT, millis(timeout));
            }
        });
    }
}

impl OwnedElement {
    pub(super) fn read(attrs: Attrs<'_>) -> Option<Self> {
        let key = attrs.nested(KEY).get(DATA_VALUE)?.to_vec();
        let key_end = attrs.nested(KEY_END).get(DATA_VALUE).map(<[u8]>::to_vec);
        Some(Self {
            key,
            key_end,
            value: read_value(attrs.nested(DATA)),
            expires: attrs.be64(EXPIRATION).map(Duration::from_millis),
        })
    }
}

fn read_value(data: Attrs<'_>) -> OwnedValue {
    if let Some(bytes) = data.get(DATA_VALUE) {
        return OwnedValue::Data(bytes.to_vec());
    }
    let verdict = data.nested(DATA_VERDICT);
    let code = verdict.be32(VERDICT_CODE).map(u32::cast_signed);
    code.and_then(|code| Verdict::from_code(code, verdict.string(VERDICT_CHAIN)))
        .map_or(OwnedValue::None, OwnedValue::Verdict)
}

/// Bytes as the kernel's `nft_data`.
pub(super) fn write_data(writer: &mut Writer, kind: u16, bytes: &[u8]) {
    writer.nest(kind, |data| data.attr(DATA_VALUE, bytes));
}

/// A verdict as the kernel's `nft_data`.
pub(super) fn write_verdict(writer: &mut Writer, kind: u16, verdict: &Verdict) {
    writer.nest(kind, |data| {
        data.nest(DATA_VERDICT, |inner| {
            inner.be32(VERDICT_CODE, verdict.code().cast_unsigned());
            if let Some(chain) = verdict.chain() {
                inner.str(VERDICT_CHAIN, chain);
            }
        });
    });
}

/// A duration as the kernel takes it.
pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
