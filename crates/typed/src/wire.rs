//! Bytes to value and back, one pair of functions per type, generated in this crate only.

/// The bytes are not a JSON document of the expected type.
#[derive(Debug, thiserror::Error)]
#[error("decode {kind}")]
pub struct DecodeError {
    /// What was to be decoded.
    pub kind: &'static str,
    /// Where and why the document did not fit.
    #[source]
    pub source: serde_json::Error,
}

/// A type with a JSON form on the wire: a kind, or a part of one.
pub trait Wire: Sized {
    /// Reads the JSON document.
    fn decode(bytes: &[u8]) -> Result<Self, DecodeError>;
    /// Writes the JSON document; kinds write their `kind` and `apiVersion` too.
    fn encode(&self) -> Vec<u8>;
}

/// Implements [`Wire`] for types through serde, so that the code is generated here.
macro_rules! wire {
    ($($name:ty),* $(,)?) => {$(
        impl $crate::Wire for $name {
            #[inline(never)]
            fn decode(bytes: &[u8]) -> Result<Self, $crate::DecodeError> {
                serde_json::from_slice(bytes).map_err(|source| $crate::DecodeError { kind: stringify!($name), source })
            }

            #[inline(never)]
            fn encode(&self) -> Vec<u8> {
                // Writing to memory cannot fail, and every map of these types has string keys.
                serde_json::to_vec(self).unwrap_or_else(|error| unreachable!("encode {}: {error}", stringify!($name)))
            }
        }
    )*};
}
pub(crate) use wire;

use crate::{api, meta};

// Parts of objects and the envelopes of the protocol.
wire! {
    api::core::v1::NodeStatus,
    api::core::v1::ObjectReference,
    api::core::v1::PodSpec,
    api::core::v1::PodStatus,
    api::core::v1::PodTemplateSpec,
    meta::APIGroupList,
    meta::APIResourceList,
    meta::APIVersions,
    meta::DeleteOptions,
    meta::LabelSelector,
    meta::ObjectMeta,
    meta::OwnerReference,
    meta::Status,
}
