//! The documents, made once for a set of kinds and kept compressed.

use super::{proto, v2, v3};
use crate::compress;
use bytes::Bytes;
use descriptions::Descriptions;
use meta::{Map, Status, Value, value};
use registry::{Registry, Resource};
use sha2::{Digest as _, Sha512};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// The documents of the kinds that are served.
#[derive(Default)]
pub struct Documents(Mutex<Option<Arc<All>>>);

/// One document.
#[derive(Clone)]
pub(super) struct Document {
    /// Of the content, for ETags and URLs.
    pub(super) hash: String,
    /// The content, gzip.
    pub(super) packed: Bytes,
}

impl Document {
    fn new(content: &[u8]) -> Self {
        let hash = Sha512::digest(content)
            .iter()
            .map(|b| format!("{b:02X}"))
            .collect();
        Document {
            hash,
            packed: compress::gzip(content, compress::SMALL),
        }
    }

    /// The content.
    pub(super) fn unpacked(&self) -> Bytes {
        compress::gunzip(&self.packed)
    }
}

type Made = Result<Document, Status>;

/// The documents of one set of kinds.
pub(super) struct All {
    kinds: Vec<Arc<Resource>>,
    /// The documents of the set before: most groups stay as they were.
    before: BTreeMap<String, (Vec<Arc<Resource>>, Document)>,
    v3: OnceLock<Result<V3, Status>>,
    v2_json: OnceLock<Made>,
    v2_proto: OnceLock<Made>,
}

struct V3 {
    index: Document,
    by_path: BTreeMap<String, (Vec<Arc<Resource>>, Document)>,
}

impl Documents {
    /// The documents of what a registry serves now.
    pub(super) fn all(&self, registry: &Registry) -> Arc<All> {
        let mut kinds = registry.resources();
        kinds.sort_by_key(|r| (r.card().plural, r.card().group, r.card().version));
        let mut made = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_current = |all: &Arc<All>| {
            all.kinds.len() == kinds.len()
                && all.kinds.iter().zip(&kinds).all(|(a, b)| Arc::ptr_eq(a, b))
        };
        match made.as_ref().filter(|all| is_current(all)) {
            Some(all) => all.clone(),
            None => {
                let before = made.as_ref().and_then(|all| all.v3.get());
                let before = before.and_then(|v3| v3.as_ref().ok());
                let before = before.map(|v3| v3.by_path.clone()).unwrap_or_default();
                let all = Arc::new(All {
                    kinds,
                    before,
                    v3: OnceLock::new(),
                    v2_json: OnceLock::new(),
                    v2_proto: OnceLock::new(),
                });
                *made = Some(all.clone());
                all
            }
        }
    }
}

fn described() -> Result<Descriptions, Status> {
    Descriptions::load().map_err(Status::internal)
}

impl All {
    fn made(&self) -> Result<&V3, Status> {
        let made = self.v3.get_or_init(|| {
            let texts = described()?;
            let made = |(path, kinds): (String, Vec<Arc<Resource>>)| {
                let known = self.before.get(&path).filter(|(before, _)| {
                    before.len() == kinds.len()
                        && before.iter().zip(&kinds).all(|(a, b)| Arc::ptr_eq(a, b))
                });
                let document = match known {
                    Some((_, document)) => document.clone(),
                    None => Document::new(v3::make(&kinds, &texts).to_json().as_bytes()),
                };
                (path, (kinds, document))
            };
            let by_path: BTreeMap<_, _> =
                v3::by_version(&self.kinds).into_iter().map(made).collect();
            let entries = by_path.iter().map(|(path, (_, document))| {
                let url = format!("/openapi/v3/{path}?hash={}", document.hash);
                (path.as_str(), value!({"serverRelativeURL": url}))
            });
            let index = value!({"paths": entries.collect::<Map>()});
            let index = Document::new(index.to_json().as_bytes());
            Ok(V3 { index, by_path })
        });
        made.as_ref().map_err(Status::clone)
    }

    /// Where the documents of version 3 are.
    pub(super) fn index(&self) -> Made {
        self.made().map(|v3| v3.index.clone())
    }

    /// The document of a group and version: `apis/apps/v1`.
    pub(super) fn v3(&self, path: &str) -> Option<Made> {
        match self.made() {
            Ok(v3) => v3
                .by_path
                .get(path)
                .map(|(_, document)| Ok(document.clone())),
            Err(status) => Some(Err(status)),
        }
    }

    fn v2(&self) -> Result<Value, Status> {
        Ok(v2::make(&self.kinds, &described()?))
    }

    /// The document of version 2.
    pub(super) fn v2_json(&self) -> Made {
        let made = || Ok(Document::new(self.v2()?.to_json().as_bytes()));
        self.v2_json.get_or_init(made).clone()
    }

    /// The same as gnostic's message.
    pub(super) fn v2_proto(&self) -> Made {
        let made = || Ok(Document::new(&proto::document(&self.v2()?)));
        self.v2_proto.get_or_init(made).clone()
    }
}
