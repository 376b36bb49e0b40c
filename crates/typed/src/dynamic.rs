//! Objects of any kind, of which only type and metadata are read.

use crate::meta::ObjectMeta;
use crate::wire::wire;
use serde::{Deserialize, Serialize};

/// Type and metadata of an object, whatever its kind is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PartialObject {
    /// `group/version`; empty where the wire omits it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub api_version: String,
    /// The kind; empty where the wire omits it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// The object's metadata.
    pub metadata: ObjectMeta,
}

wire!(PartialObject);
