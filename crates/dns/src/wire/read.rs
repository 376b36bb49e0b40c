//! Reads queries, and the fixed parts of records in any message.

use super::{Extensions, HEADER, Query, Rcode, kind};
use crate::name::Name;

/// Why a message is not answered as a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Not worth an answer: rubbish, or itself an answer.
    Drop,
    /// Answered by an error.
    Error(Rcode),
}

/// Reads a query. What is accepted follows the rules of CoreDNS' library
/// (github.com/miekg/dns, acceptfunc.go).
pub fn read(message: &[u8]) -> Result<Query, Refusal> {
    let header = message.get(..HEADER).ok_or(Refusal::Drop)?;
    if header[2] & 0x80 != 0 {
        return Err(Refusal::Drop);
    }
    if header[2] >> 3 & 0x0f != 0 {
        return Err(Refusal::Error(Rcode::NotImp));
    }
    let malformed = Refusal::Error(Rcode::FormErr);
    let [questions, answers, authorities, additionals] =
        [4, 6, 8, 10].map(|at| u16::from_be_bytes([header[at], header[at + 1]]));
    if questions != 1 || answers > 1 || authorities > 1 || additionals > 2 {
        return Err(malformed);
    }
    let name = Name::read(&message[HEADER..]).ok_or(malformed)?;
    let mut at = HEADER + name.wire().len();
    let kind = short(message, at).ok_or(malformed)?;
    let class = short(message, at + 2).ok_or(malformed)?;
    at += 4;
    let mut extensions = None;
    for _ in 0..answers + authorities + additionals {
        let record = RecordView::read(message, at).ok_or(malformed)?;
        if record.kind == kind::OPT {
            if extensions.is_some() {
                return Err(malformed);
            }
            extensions = Some(Extensions {
                payload: record.class,
                version: record.ttl.to_be_bytes()[1],
                dnssec: record.ttl & 0x8000 != 0,
            });
        }
        at = record.end;
    }
    Ok(Query {
        id: u16::from_be_bytes([header[0], header[1]]),
        recursion_desired: header[2] & 1 != 0,
        checking_disabled: header[3] & 0x10 != 0,
        name,
        kind,
        class,
        extensions,
    })
}

/// The fixed part of a record in a message.
pub(crate) struct RecordView {
    pub kind: u16,
    pub class: u16,
    pub ttl: u32,
    /// Where the TTL stands.
    pub ttl_at: usize,
    /// Where the record ends.
    pub end: usize,
}

impl RecordView {
    pub(crate) fn read(message: &[u8], at: usize) -> Option<Self> {
        let fixed = skip_name(message, at)?;
        let data_at = fixed + 10;
        let end = data_at + usize::from(short(message, fixed + 8)?);
        (end <= message.len()).then_some(())?;
        let ttl = message.get(fixed + 4..fixed + 8)?;
        Some(Self {
            kind: short(message, fixed)?,
            class: short(message, fixed + 2)?,
            ttl: u32::from_be_bytes(ttl.try_into().ok()?),
            ttl_at: fixed + 4,
            end,
        })
    }
}

/// The end of a name, which a pointer ends at once.
pub(crate) fn skip_name(message: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *message.get(at)? {
            0 => return Some(at + 1),
            0xc0.. => return (at + 1 < message.len()).then_some(at + 2),
            size @ 1..=63 => at += usize::from(size) + 1,
            _ => return None,
        }
    }
}

pub(crate) fn short(message: &[u8], at: usize) -> Option<u16> {
    let bytes = message.get(at..at + 2)?;
    Some(u16::from_be_bytes([bytes[0], bytes[1]]))
}
