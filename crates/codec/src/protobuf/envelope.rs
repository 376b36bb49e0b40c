//! The envelope of objects, lists that are assembled from their items, and the
//! frames of a watch. Follows apimachinery's
//! pkg/runtime/serializer/protobuf/protobuf.go and pkg/util/framer.

use super::wire::{BYTES, Input, Output};
use super::{Error, encode_message};
use meta::Value;
use meta::schema::Struct;
use meta::value::Str;

/// What every object begins with.
pub(super) const MAGIC: &[u8] = b"k8s\0";

/// A `runtime.Unknown`: what an object says of itself, and its message.
#[derive(Debug, PartialEq, Eq)]
pub struct Envelope<'a> {
    /// Group and version.
    pub api_version: Str,
    /// The kind.
    pub kind: Str,
    /// The message.
    pub raw: &'a [u8],
}

/// Opens an envelope.
pub fn decode(bytes: &[u8]) -> Result<Envelope<'_>, Error> {
    if bytes.is_empty() {
        return Err(Error::Empty);
    }
    let body = bytes.strip_prefix(MAGIC).ok_or(Error::NoMagic)?;
    if body.is_empty() {
        return Err(Error::EmptyBody);
    }
    let mut envelope = Envelope {
        api_version: Str::default(),
        kind: Str::default(),
        raw: &[],
    };
    let mut input = Input(body);
    while !input.is_empty() {
        let (number, wire) = input.tag("Unknown")?;
        match number {
            1 => type_meta(field(&mut input, wire, "typeMeta")?, &mut envelope)?,
            2 => envelope.raw = field(&mut input, wire, "raw")?,
            3 => {
                let encoding = field(&mut input, wire, "contentEncoding")?;
                if !encoding.is_empty() {
                    let encoding = String::from_utf8_lossy(encoding).into_owned();
                    return Err(Error::Encoding(encoding));
                }
            }
            _ => input.skip(wire)?,
        }
    }
    Ok(envelope)
}

fn type_meta(raw: &[u8], envelope: &mut Envelope<'_>) -> Result<(), Error> {
    let mut input = Input(raw);
    while !input.is_empty() {
        let (number, wire) = input.tag("TypeMeta")?;
        match number {
            1 => envelope.api_version = text(field(&mut input, wire, "apiVersion")?, "apiVersion")?,
            2 => envelope.kind = text(field(&mut input, wire, "kind")?, "kind")?,
            _ => input.skip(wire)?,
        }
    }
    Ok(())
}

fn field<'a>(input: &mut Input<'a>, wire: u8, name: &str) -> Result<&'a [u8], Error> {
    match wire {
        BYTES => Ok(input.bytes()?),
        wire => Err(Error::WrongWire {
            wire,
            field: name.into(),
        }),
    }
}

fn text(bytes: &[u8], name: &str) -> Result<Str, Error> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text.into()),
        Err(_) => Err(Error::InvalidUtf8 { field: name.into() }),
    }
}

/// An object in its envelope.
pub fn encode(
    value: &Value,
    api_version: &str,
    kind: &str,
    schema: &'static Struct,
) -> Result<Vec<u8>, Error> {
    let message = encode_message(value, schema)?;
    let mut object = head(api_version, kind, message.len());
    object.reserve_exact(message.len() + TAIL.len());
    object.extend_from_slice(&message);
    object.extend_from_slice(TAIL);
    Ok(object)
}

/// Empty `contentEncoding` and `contentType`.
const TAIL: &[u8] = &[0x1a, 0x00, 0x22, 0x00];

/// What stands in front of a message of this length.
fn head(api_version: &str, kind: &str, length: usize) -> Vec<u8> {
    let mut out = Output::new();
    out.varint(length as u64);
    out.tag(2, BYTES);
    let before = out.len();
    out.field(2, kind.as_bytes());
    out.field(1, api_version.as_bytes());
    out.close(1, before);
    out.bytes(MAGIC);
    out.finish()
}

/// An item as it stands in the message of a list.
pub fn item(value: &Value, schema: &'static Struct) -> Result<Vec<u8>, Error> {
    let message = encode_message(value, schema)?;
    let mut out = Output::new();
    out.field(2, &message);
    Ok(out.finish())
}

/// A list in its envelope, as pieces: its head, the items of [`item`], its tail.
/// `metadata` is a `ListMeta`.
pub fn list(
    api_version: &str,
    kind: &str,
    metadata: &Value,
    metadata_schema: &'static Struct,
    items: Vec<Vec<u8>>,
) -> Result<Vec<Vec<u8>>, Error> {
    let mut out = Output::new();
    out.field(1, &encode_message(metadata, metadata_schema)?);
    let metadata = out.finish();
    let length = metadata.len() + items.iter().map(Vec::len).sum::<usize>();
    let mut first = head(api_version, kind, length);
    first.extend_from_slice(&metadata);
    let mut pieces = Vec::with_capacity(items.len() + 2);
    pieces.push(first);
    pieces.extend(items);
    pieces.push(TAIL.to_vec());
    Ok(pieces)
}

/// A frame of a watch: four bytes of length, then a `WatchEvent` without an
/// envelope, which holds an object in its own.
pub fn event(kind: &str, object: &[u8]) -> Vec<u8> {
    let mut out = Output::new();
    out.bytes(object);
    out.close(1, 0);
    out.close(2, 0);
    out.field(1, kind.as_bytes());
    let length = u32::try_from(out.len()).unwrap_or(u32::MAX);
    out.bytes(&length.to_be_bytes());
    out.finish()
}

/// One event of a watch.
#[derive(Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// `ADDED`, `MODIFIED`, …
    pub kind: Str,
    /// The object in its envelope.
    pub object: &'a [u8],
    /// What follows in the stream.
    pub rest: &'a [u8],
}

/// The first event of a stream, when it is there whole.
pub fn read_event(stream: &[u8]) -> Result<Option<Event<'_>>, Error> {
    let Some((length, rest)) = stream.split_first_chunk::<4>() else {
        return Ok(None);
    };
    let Some((frame, rest)) = rest.split_at_checked(u32::from_be_bytes(*length) as usize) else {
        return Ok(None);
    };
    let (mut kind, mut object): (_, &[u8]) = (Str::default(), &[]);
    let mut input = Input(frame);
    while !input.is_empty() {
        let (number, wire) = input.tag("WatchEvent")?;
        match number {
            1 => kind = text(field(&mut input, wire, "type")?, "type")?,
            2 => {
                let mut raw = Input(field(&mut input, wire, "object")?);
                while !raw.is_empty() {
                    match raw.tag("RawExtension")? {
                        (1, wire) => object = field(&mut raw, wire, "raw")?,
                        (_, wire) => raw.skip(wire)?,
                    }
                }
            }
            _ => input.skip(wire)?,
        }
    }
    Ok(Some(Event { kind, object, rest }))
}
