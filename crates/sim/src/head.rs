//! Of an object only what tells which it is: most of what is said is looked at no
//! further.

use serde::Deserialize;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// The beginning of an object.
#[derive(Debug, Deserialize)]
pub struct Head<'a> {
    /// What tells it from others.
    #[serde(borrow, default)]
    pub metadata: Metadata<'a>,
}

/// What tells an object from others.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Metadata<'a> {
    /// The namespace; empty for objects that have none.
    #[serde(borrow, default)]
    pub namespace: Cow<'a, str>,
    /// The name.
    #[serde(borrow, default)]
    pub name: Cow<'a, str>,
    /// The commit that made it so.
    #[serde(borrow, default)]
    pub resource_version: Cow<'a, str>,
    /// What others wrote to it.
    #[serde(borrow, default)]
    pub annotations: BTreeMap<Cow<'a, str>, Cow<'a, str>>,
}

impl<'a> Head<'a> {
    /// Reads the beginning of an object and passes over the rest.
    pub fn read(json: &'a [u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(json)
    }

    /// Whether it is the bookmark after all that there was at a watch's beginning.
    pub fn ends_initial(&self) -> bool {
        let mark = self.metadata.annotations.get("k8s.io/initial-events-end");
        mark.is_some_and(|mark| mark == "true")
    }

    /// The commit that made it so; zero if it does not say.
    pub fn revision(&self) -> u64 {
        self.metadata.resource_version.parse().unwrap_or(0)
    }
}
