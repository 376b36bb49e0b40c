//! One transaction: messages in order, each remembered by what it does, so
//! that a refusal can name it.

use std::borrow::Cow;

use super::{
    element::{Element, millis},
    expr::Expr,
    types::{
        ChainKind, DataType, Family, Hook, MapValue, SetSpec, field_lengths, type_length,
        type_number,
    },
};
use crate::netlink::{
    Writer,
    flags::{APPEND, CREATE, EXCL, REQUEST},
};

pub(super) const SUBSYSTEM: u16 = 10 << 8;
const BATCH_BEGIN: u16 = 16;
const BATCH_END: u16 = 17;

/// A list of elements stays below the 64 KiB that an attribute can hold.
const ELEMENTS_PER_MESSAGE: usize = 500;
const ELEMENT_BYTES_MAX: usize = 48 * 1024;

const F_INTERVAL: u32 = 0x4;
const F_MAP: u32 = 0x8;
const F_TIMEOUT: u32 = 0x10;
const F_EVAL: u32 = 0x20;
const F_CONCAT: u32 = 0x80;
const TYPE_VERDICT: u32 = 0xffff_ff00;

/// Message kinds within the nftables subsystem.
pub(super) mod kind {
    pub(crate) const NEW_TABLE: u16 = 0;
    pub(crate) const GET_TABLE: u16 = 1;
    pub(crate) const DEL_TABLE: u16 = 2;
    pub(crate) const NEW_CHAIN: u16 = 3;
    pub(crate) const GET_CHAIN: u16 = 4;
    pub(crate) const DEL_CHAIN: u16 = 5;
    pub(crate) const NEW_RULE: u16 = 6;
    pub(crate) const GET_RULE: u16 = 7;
    pub(crate) const DEL_RULE: u16 = 8;
    pub(crate) const NEW_SET: u16 = 9;
    pub(crate) const GET_SET: u16 = 10;
    pub(crate) const DEL_SET: u16 = 11;
    pub(crate) const NEW_ELEMENTS: u16 = 12;
    pub(crate) const GET_ELEMENTS: u16 = 13;
    pub(crate) const DEL_ELEMENTS: u16 = 14;
    pub(crate) const GET_GENERATION: u16 = 16;
}

/// Messages that are to happen together, all in one table's family.
#[derive(Debug)]
pub struct Batch {
    family: Family,
    writer: Writer,
    /// What the message of each sequence number does, in order.
    what: Vec<Cow<'static, str>>,
    set_id: u32,
}

impl Batch {
    /// An empty transaction on tables of this family.
    pub fn new(family: Family) -> Self {
        let mut writer = Writer::new();
        writer.message(BATCH_BEGIN, REQUEST, 0, |body| {
            body.raw(&[0, 0]);
            body.raw(&(SUBSYSTEM >> 8).to_be_bytes());
        });
        Self {
            family,
            writer,
            what: Vec::new(),
            set_id: 0,
        }
    }

    /// Whether it does nothing.
    pub fn is_empty(&self) -> bool {
        self.what.is_empty()
    }

    /// Its messages so far.
    pub fn bytes(&self) -> &[u8] {
        self.writer.bytes()
    }

    /// Its size in bytes, the end mark aside.
    pub fn len(&self) -> usize {
        self.writer.len()
    }

    /// Makes a table, or leaves the one that is there. The comment can be
    /// listed.
    pub fn add_table(&mut self, table: &str, comment: &str) -> &mut Self {
        self.push(
            format!("add table {table}"),
            kind::NEW_TABLE,
            CREATE,
            |body| {
                body.str(1, table);
                if !comment.is_empty() {
                    body.attr(6, &comment_bytes(comment));
                }
            },
        )
    }

    /// Removes a table with all that is in it.
    pub fn delete_table(&mut self, table: &str) -> &mut Self {
        self.push(
            format!("delete table {table}"),
            kind::DEL_TABLE,
            0,
            |body| {
                body.str(1, table);
            },
        )
    }

    /// Makes a chain that others jump to.
    pub fn add_chain(&mut self, table: &str, chain: &str) -> &mut Self {
        self.push(
            format!("add chain {table}/{chain}"),
            kind::NEW_CHAIN,
            CREATE,
            |body| {
                body.str(1, table);
                body.str(3, chain);
            },
        )
    }

    /// Makes a chain that packets enter by themselves and, unless a rule says
    /// otherwise, leave accepted.
    pub fn add_base_chain(
        &mut self,
        table: &str,
        chain: &str,
        chain_kind: ChainKind,
        hook: Hook,
        priority: i32,
    ) -> &mut Self {
        self.push(
            format!("add base chain {table}/{chain}"),
            kind::NEW_CHAIN,
            CREATE,
            |body| {
                body.str(1, table);
                body.str(3, chain);
                body.nest(4, |inner| {
                    inner.be32(1, hook.number());
                    inner.be32(2, priority.cast_unsigned());
                });
                body.be32(5, 1);
                body.str(7, chain_kind.as_str());
            },
        )
    }

    /// Removes a chain, which must be empty and unused.
    pub fn delete_chain(&mut self, table: &str, chain: &str) -> &mut Self {
        self.push(
            format!("delete chain {table}/{chain}"),
            kind::DEL_CHAIN,
            0,
            |body| {
                body.str(1, table);
                body.str(3, chain);
            },
        )
    }

    /// Removes all rules of a chain.
    pub fn flush_chain(&mut self, table: &str, chain: &str) -> &mut Self {
        self.push(
            format!("flush chain {table}/{chain}"),
            kind::DEL_RULE,
            0,
            |body| {
                body.str(1, table);
                body.str(2, chain);
            },
        )
    }

    /// Appends a rule to a chain.
    pub fn add_rule(
        &mut self,
        table: &str,
        chain: &str,
        comment: &str,
        exprs: &[Expr],
    ) -> &mut Self {
        let family = self.family;
        let what = format!("add rule \"{comment}\" to {table}/{chain}");
        self.push(what, kind::NEW_RULE, CREATE | APPEND, |body| {
            body.str(1, table);
            body.str(2, chain);
            body.nest(4, |list| {
                for expr in exprs {
                    expr.write(family, list);
                }
            });
            if !comment.is_empty() {
                body.attr(7, &comment_bytes(comment));
            }
        })
    }

    /// Makes a set or map, or leaves the same one that is there.
    pub fn add_set(&mut self, table: &str, spec: &SetSpec) -> &mut Self {
        self.set_id += 1;
        let id = self.set_id;
        let what = format!("add set {table}/{}", spec.name);
        self.push(what, kind::NEW_SET, CREATE, |body| {
            body.str(1, table);
            write_set(spec, id, body);
        })
    }

    /// Removes a set or map, which must be unused.
    pub fn delete_set(&mut self, table: &str, set: &str) -> &mut Self {
        self.push(
            format!("delete set {table}/{set}"),
            kind::DEL_SET,
            0,
            |body| {
                body.str(1, table);
                body.str(2, set);
            },
        )
    }

    /// Removes all elements of a set or map.
    pub fn flush_set(&mut self, table: &str, set: &str) -> &mut Self {
        self.push(
            format!("flush set {table}/{set}"),
            kind::DEL_ELEMENTS,
            0,
            |body| {
                body.str(1, table);
                body.str(2, set);
            },
        )
    }

    /// Adds elements. One that is there with the same value is left; with
    /// another value the whole transaction is refused.
    pub fn add_elements<'a>(
        &mut self,
        table: &str,
        set: &str,
        elements: impl IntoIterator<Item = Element<'a>>,
    ) -> &mut Self {
        self.elements("add", kind::NEW_ELEMENTS, CREATE, table, set, elements)
    }

    /// Adds elements that must not be there.
    pub fn create_elements<'a>(
        &mut self,
        table: &str,
        set: &str,
        elements: impl IntoIterator<Item = Element<'a>>,
    ) -> &mut Self {
        self.elements(
            "create",
            kind::NEW_ELEMENTS,
            CREATE | EXCL,
            table,
            set,
            elements,
        )
    }

    /// Removes elements that must be there.
    pub fn delete_elements<'a>(
        &mut self,
        table: &str,
        set: &str,
        elements: impl IntoIterator<Item = Element<'a>>,
    ) -> &mut Self {
        self.elements("delete", kind::DEL_ELEMENTS, 0, table, set, elements)
    }

    /// The bytes to send, and what the message of each number does.
    pub(super) fn finish(mut self) -> (Writer, Vec<Cow<'static, str>>) {
        self.writer.message(BATCH_END, REQUEST, 0, |body| {
            body.raw(&[0, 0]);
            body.raw(&(SUBSYSTEM >> 8).to_be_bytes());
        });
        (self.writer, self.what)
    }

    fn elements<'a>(
        &mut self,
        verb: &str,
        message: u16,
        flags: u16,
        table: &str,
        set: &str,
        elements: impl IntoIterator<Item = Element<'a>>,
    ) -> &mut Self {
        let mut elements = elements.into_iter().peekable();
        while elements.peek().is_some() {
            let what = format!("{verb} elements of {table}/{set}");
            self.push(what, message, flags, |body| {
                body.str(1, table);
                body.str(2, set);
                body.nest(3, |list| {
                    let start = list.len();
                    for _ in 0..ELEMENTS_PER_MESSAGE {
                        if list.len() - start > ELEMENT_BYTES_MAX {
                            break;
                        }
                        let Some(element) = elements.next() else {
                            break;
                        };
                        element.write(1, list);
                    }
                });
            });
        }
        self
    }

    /// Messages are numbered from one; the begin mark is zero.
    fn push(
        &mut self,
        what: impl Into<Cow<'static, str>>,
        message: u16,
        flags: u16,
        body: impl FnOnce(&mut Writer),
    ) -> &mut Self {
        self.what.push(what.into());
        let seq = self.what.len() as u32;
        let family = self.family.number();
        self.writer
            .message(SUBSYSTEM | message, REQUEST | flags, seq, |writer| {
                writer.raw(&[family, 0, 0, 0]);
                body(writer);
            });
        self
    }
}

fn write_set(spec: &SetSpec, id: u32, body: &mut Writer) {
    body.str(2, &spec.name);
    body.be32(3, set_flags(spec));
    body.be32(4, type_number(&spec.key));
    body.be32(5, type_length(&spec.key));
    match &spec.value {
        MapValue::None => {}
        MapValue::Data(fields) => {
            body.be32(6, type_number(fields));
            body.be32(7, type_length(fields));
        }
        MapValue::Verdict => {
            body.be32(6, TYPE_VERDICT);
            body.be32(7, 0);
        }
    }
    body.be32(10, id);
    write_description(spec, body);
    if let Some(timeout) = spec.timeout {
        body.be64(11, millis(timeout));
    }
    if spec.key == [DataType::MARK] {
        // Tells the `nft` program that the key is in the host's order.
        let host_endian = 1u32.to_ne_bytes();
        body.attr(13, &[&[0, 4][..], &host_endian].concat());
    }
}

fn write_description(spec: &SetSpec, body: &mut Writer) {
    let ranges = spec.interval && spec.key.len() > 1;
    if spec.size.is_none() && !ranges {
        return;
    }
    body.nest(9, |description| {
        if let Some(size) = spec.size {
            description.be32(1, size);
        }
        if ranges {
            description.nest(2, |fields| {
                for length in field_lengths(&spec.key) {
                    fields.nest(1, |field| field.be32(1, length));
                }
            });
        }
    });
}

fn set_flags(spec: &SetSpec) -> u32 {
    let mut flags = 0;
    if spec.value != MapValue::None {
        flags |= F_MAP;
    }
    if spec.interval {
        flags |= F_INTERVAL;
        if spec.key.len() > 1 {
            flags |= F_CONCAT;
        }
    }
    if spec.timeout.is_some() {
        flags |= F_TIMEOUT;
    }
    if spec.dynamic {
        flags |= F_EVAL;
    }
    flags
}

/// A comment as the `nft` program stores it: type zero, length, text, NUL.
fn comment_bytes(comment: &str) -> Vec<u8> {
    let text: Vec<u8> = comment.bytes().take(127).collect();
    let mut bytes = vec![0, text.len() as u8 + 1];
    bytes.extend(text);
    bytes.push(0);
    bytes
}

/// The comment in such bytes.
pub(super) fn read_comment(bytes: &[u8]) -> String {
    let mut rest = bytes;
    while let [kind, length, tail @ ..] = rest {
        let Some(value) = tail.get(..usize::from(*length)) else {
            break;
        };
        if *kind == 0 {
            let text = value.strip_suffix(&[0]).unwrap_or(value);
            return String::from_utf8_lossy(text).into_owned();
        }
        rest = &tail[value.len()..];
    }
    String::new()
}
