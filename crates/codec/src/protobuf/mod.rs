//! `application/vnd.kubernetes.protobuf`: bytes to tree and back, driven by the
//! protobuf numbers of the schema table.
//!
//! An object travels in an envelope: the magic `k8s\0`, then a
//! `runtime.Unknown` that names apiVersion and kind and holds the message.
//! Decoding gives what [`crate::conform()`] would make of the same object's JSON;
//! encoding writes what Go's generated marshallers write: fields in the order of
//! their numbers, scalars and structs that are no pointers also when they are
//! zero. Follows apimachinery's pkg/runtime/serializer/protobuf.

mod envelope;
mod plan;
mod read;
mod span;
mod wire;
mod write;

pub use envelope::{Envelope, Event, decode, encode, event, item, list, read_event};

use meta::Value;
use meta::schema::Struct;

/// The media type.
pub const MEDIA_TYPE: &str = "application/vnd.kubernetes.protobuf";

/// How deep messages may nest.
const DEPTH_MAX: usize = 200;

/// Why bytes are no message, or a tree cannot become one.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is nothing to read.
    #[error("empty data")]
    Empty,
    /// There is a magic and nothing behind it.
    #[error("empty body")]
    EmptyBody,
    /// The envelope is missing.
    #[error(
        "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]"
    )]
    NoMagic,
    /// The bytes end within a field.
    #[error("unexpected EOF")]
    UnexpectedEnd,
    /// A varint has more than 64 bits.
    #[error("proto: integer overflow")]
    Overflow,
    /// A field number that cannot be.
    #[error("proto: {message}: illegal tag {number} (wire type {wire})")]
    IllegalTag {
        /// The message that holds the field.
        message: &'static str,
        /// The number.
        number: i32,
        /// The wire type.
        wire: u8,
    },
    /// A field of another wire type than the schema has it.
    #[error("proto: wrong wireType = {wire} for field {field}")]
    WrongWire {
        /// The wire type.
        wire: u8,
        /// The field's JSON name.
        field: String,
    },
    /// A group ends that never began, or a wire type that does not exist.
    #[error("proto: illegal wireType {0}")]
    IllegalWire(u8),
    /// Messages nest too deeply.
    #[error("proto: messages nest too deeply")]
    TooDeep,
    /// A string is not UTF-8.
    #[error("proto: field {field} contains invalid UTF-8")]
    InvalidUtf8 {
        /// The field's JSON name.
        field: String,
    },
    /// A quantity, time or duration that is none.
    #[error("proto: field {field}: {why}")]
    Invalid {
        /// The field's JSON name.
        field: String,
        /// What is wrong.
        why: String,
    },
    /// Raw bytes that should be JSON are not.
    #[error("reading the JSON of field {field}")]
    Json {
        /// The field's JSON name.
        field: String,
        /// Why.
        #[source]
        source: crate::json::Error,
    },
    /// An object within an object, of a kind that nobody knows here.
    #[error("no kind \"{kind}\" is registered for version \"{api_version}\"")]
    UnknownKind {
        /// Group and version.
        api_version: String,
        /// The kind.
        kind: String,
    },
    /// An object in an encoding that is not protobuf.
    #[error("the content encoding {0} is not supported")]
    Encoding(String),
    /// A schema that was made at run time has no protobuf numbers.
    #[error("{0} has no protobuf form")]
    NoForm(String),
    /// A tree that does not conform to its schema.
    #[error("field {field} of {message} holds a {found}")]
    Mismatch {
        /// The message.
        message: &'static str,
        /// The field's JSON name.
        field: String,
        /// What it holds.
        found: &'static str,
    },
}

impl From<Box<Error>> for Error {
    fn from(error: Box<Error>) -> Self {
        *error
    }
}

/// Boxed within, so that results stay small.
type Result<T> = std::result::Result<T, Box<Error>>;

/// Finds the schema of an apiVersion and kind, for objects within objects.
pub type Find<'f> = &'f dyn Fn(&str, &str) -> Option<&'static Struct>;

/// Reads a message without its envelope.
pub fn decode_message(raw: &[u8], schema: &'static Struct) -> std::result::Result<Value, Error> {
    decode_message_with(raw, schema, &|_, _| None)
}

/// Reads a message without its envelope; `find` knows the kinds of objects that
/// stand within it in envelopes of their own.
pub fn decode_message_with(
    raw: &[u8],
    schema: &'static Struct,
    find: Find<'_>,
) -> std::result::Result<Value, Error> {
    Ok(read::Reader::new(find).structure(formed(schema)?, raw)?)
}

/// Writes a message without an envelope.
pub fn encode_message(
    value: &Value,
    schema: &'static Struct,
) -> std::result::Result<Vec<u8>, Error> {
    let mut writer = write::Writer::new();
    writer.structure(formed(schema)?, value)?;
    Ok(writer.finish())
}

fn formed(schema: &'static Struct) -> Result<&'static plan::Plan> {
    let plan = plan::of(schema);
    match plan.has_form {
        true => Ok(plan),
        false => Err(Box::new(Error::NoForm(plan.name.into()))),
    }
}
