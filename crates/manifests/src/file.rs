//! From a file to the objects in it.

use meta::Value;
use meta::object::Object as _;
use std::path::{Path, PathBuf};

/// Why a file gives no objects.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be read.
    #[error("reading {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A document is not YAML.
    #[error("document {number} of {}", path.display())]
    Document {
        /// Of which file.
        path: PathBuf,
        /// Which document, from 1.
        number: usize,
        /// What is wrong.
        #[source]
        source: codec::yaml::Error,
    },
    /// A document is no object.
    #[error("document {number} of {} has no {missing}", path.display())]
    NoObject {
        /// Of which file.
        path: PathBuf,
        /// Which document, from 1.
        number: usize,
        /// What every object has.
        missing: &'static str,
    },
}

/// The objects of a file, in their order; lists are opened.
pub fn read(path: &Path) -> Result<Vec<Value>, Error> {
    let text = std::fs::read_to_string(path).map_err(|source| Error::Read {
        path: path.into(),
        source,
    })?;
    let mut objects = Vec::new();
    for (index, document) in codec::yaml::documents(&text).into_iter().enumerate() {
        let number = index + 1;
        let value = codec::yaml::parse(document).map_err(|source| Error::Document {
            path: path.into(),
            number,
            source,
        })?;
        if !value.is_null() {
            flatten(value, &mut objects).map_err(|missing| Error::NoObject {
                path: path.into(),
                number,
                missing,
            })?;
        }
    }
    Ok(objects)
}

fn flatten(value: Value, objects: &mut Vec<Value>) -> Result<(), &'static str> {
    let kind = value.gvk().ok_or("apiVersion and kind")?.kind;
    match value.get("items").and_then(Value::as_array) {
        Some(items) if kind.ends_with("List") => {
            for item in items {
                flatten(item.clone(), objects)?;
            }
            Ok(())
        }
        _ if value.name().is_empty() => Err("metadata.name"),
        _ => {
            objects.push(value);
            Ok(())
        }
    }
}
