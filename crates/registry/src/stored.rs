//! The object at rest: its canonical JSON, cut where answers differ, and the
//! few parsed values that selectors need.
//!
//! A stored value is a format byte and `{"metadata":{…},…}` without kind,
//! apiVersion and resourceVersion. Metadata stands first, so an answer is
//! assembled by writing a head in front of the rest; nothing is parsed.

use crate::keys;
use api::Kind;
use bytes::Bytes;
use meta::object::Object as _;
use meta::{FieldSelector, LabelSelector, Str, Value};
use std::sync::{Arc, OnceLock};
use store::{Record, Revision};

/// The format of stored values: JSON as described above, with the defaults of
/// API level 1.37 applied.
const FORMAT: u8 = b'1';
/// What every stored object begins with.
const HEAD: &[u8] = b"{\"metadata\":{";

/// An object at one revision.
#[derive(Debug)]
pub struct Stored {
    /// The store's key.
    pub key: Bytes,
    /// Everything after the head `{"metadata":{`.
    tail: Bytes,
    /// The commit that wrote it.
    pub revision: Revision,
    prefix_len: usize,
    labels: Box<[(Str, Str)]>,
    fields: Box<[Str]>,
    /// Whole, as clients read it; made when first asked for.
    whole: OnceLock<Bytes>,
}

impl Stored {
    /// From a record of the store.
    pub fn read(kind: &dyn Kind, prefix_len: usize, record: &Record) -> Result<Self, Unreadable> {
        let tail = tail(&record.key, &record.value)?;
        let value = parse(&record.key, &tail)?;
        Ok(Stored {
            key: record.key.clone(),
            tail,
            revision: record.modified,
            prefix_len,
            labels: labels(&value),
            fields: kind
                .selectable()
                .iter()
                .map(|name| kind.field(&value, name).into())
                .collect(),
            whole: OnceLock::new(),
        })
    }

    /// The namespace, empty when it has none.
    pub fn namespace(&self) -> &str {
        keys::names(&self.key, self.prefix_len).0
    }

    /// The name.
    pub fn name(&self) -> &str {
        keys::names(&self.key, self.prefix_len).1
    }

    /// How many bytes it keeps alive, about.
    pub fn weight(&self) -> usize {
        self.tail.len() + self.key.len()
    }

    /// Whether a selection means this object.
    pub fn is_selected(&self, selection: &Selection) -> bool {
        (selection.labels.is_everything() || selection.labels.matches(|key| self.label(key)))
            && selection.fields.iter().all(|term| term.holds(self))
            && (selection.namespace.is_empty() || selection.namespace == self.namespace())
    }

    fn label(&self, key: &str) -> Option<&str> {
        self.labels
            .iter()
            .find(|(k, _)| k == key)
            .map(|(_, v)| v.as_str())
    }

    /// The object as a list's item: without kind and apiVersion.
    pub fn write_item(&self, out: &mut Vec<u8>) {
        write_head(out, self.revision);
        out.extend_from_slice(&self.tail);
    }

    /// The object as clients read it.
    pub fn whole(&self, kind: &dyn Kind) -> Bytes {
        self.whole
            .get_or_init(|| whole(kind, &self.tail, self.revision))
            .clone()
    }

    /// The object as clients read it, at another revision: what a watcher is
    /// told of an object that left its selection.
    pub fn whole_at(&self, kind: &dyn Kind, revision: Revision) -> Bytes {
        whole(kind, &self.tail, revision)
    }

    /// The tree, with kind, apiVersion and resourceVersion.
    pub fn to_value(&self, kind: &dyn Kind) -> Result<Value, Unreadable> {
        to_value(kind, &self.key, &self.tail, self.revision)
    }
}

fn write_head(out: &mut Vec<u8>, revision: Revision) {
    out.extend_from_slice(HEAD);
    out.extend_from_slice(format!("\"resourceVersion\":\"{revision}\",").as_bytes());
}

fn whole(kind: &dyn Kind, tail: &[u8], revision: Revision) -> Bytes {
    let card = kind.card();
    let mut out = Vec::with_capacity(tail.len() + 128);
    let head = format!(
        "{{\"kind\":\"{}\",\"apiVersion\":\"{}\",",
        card.kind,
        card.group_version()
    );
    out.extend_from_slice(head.as_bytes());
    let brace = out.len();
    write_head(&mut out, revision);
    out.remove(brace);
    out.extend_from_slice(tail);
    out.into()
}

/// A stored value that cannot be read.
#[derive(Debug)]
pub struct Unreadable {
    key: String,
    why: String,
}

impl std::fmt::Display for Unreadable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "stored object {} cannot be read: {}", self.key, self.why)
    }
}

impl std::error::Error for Unreadable {}

fn unreadable(key: &[u8], why: impl ToString) -> Unreadable {
    Unreadable {
        key: String::from_utf8_lossy(key).into_owned(),
        why: why.to_string(),
    }
}

fn tail(key: &[u8], value: &Bytes) -> Result<Bytes, Unreadable> {
    match value.split_first() {
        Some((&FORMAT, body)) if body.starts_with(HEAD) => Ok(value.slice(1 + HEAD.len()..)),
        Some((&FORMAT, _)) => Err(unreadable(key, "it does not begin with its metadata")),
        Some((other, _)) => Err(unreadable(
            key,
            format!("it is of the unknown format {other}"),
        )),
        None => Err(unreadable(key, "it is empty")),
    }
}

fn parse(key: &[u8], tail: &[u8]) -> Result<Value, Unreadable> {
    let mut text = Vec::with_capacity(tail.len() + HEAD.len());
    text.extend_from_slice(HEAD);
    text.extend_from_slice(tail);
    codec::json::parse_value(&text).map_err(|e| unreadable(key, e))
}

fn to_value(
    kind: &dyn Kind,
    key: &[u8],
    tail: &[u8],
    revision: Revision,
) -> Result<Value, Unreadable> {
    let mut value = parse(key, tail)?;
    value.set_gvk(&kind.card().gvk());
    value
        .metadata_mut()
        .insert("resourceVersion", revision.to_string());
    Ok(value)
}

fn labels(value: &Value) -> Box<[(Str, Str)]> {
    let map = value.labels().and_then(Value::as_object);
    map.into_iter()
        .flat_map(|m| m.iter())
        .map(|(k, v)| (k.clone(), Str::from(v.as_str().unwrap_or_default())))
        .collect()
}

/// The bytes to store for a tree.
pub(crate) fn encode(mut object: Value) -> Bytes {
    let map = object.make_object();
    map.remove("kind");
    map.remove("apiVersion");
    map.object("metadata").remove("resourceVersion");
    let mut out = Vec::with_capacity(1024);
    out.push(FORMAT);
    object.write_object(&mut out);
    out.into()
}

/// An object right after it was written.
pub(crate) fn from_written(
    kind: &dyn Kind,
    prefix_len: usize,
    key: Bytes,
    value: Bytes,
    revision: Revision,
) -> Result<Arc<Stored>, Unreadable> {
    let tail = tail(&key, &value)?;
    Ok(Arc::new(Stored {
        key,
        tail,
        revision,
        prefix_len,
        labels: Box::default(),
        fields: kind.selectable().iter().map(|_| Str::default()).collect(),
        whole: OnceLock::new(),
    }))
}

/// A record of the store as a tree.
pub(crate) fn record_to_value(kind: &dyn Kind, record: &Record) -> Result<Value, Unreadable> {
    to_value(
        kind,
        &record.key,
        &tail(&record.key, &record.value)?,
        record.modified,
    )
}

/// Which objects a list or a watch means.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Empty for all.
    pub namespace: String,
    /// By labels.
    pub labels: LabelSelector,
    /// By fields.
    fields: Vec<Term>,
}

#[derive(Clone, Debug)]
struct Term {
    which: Which,
    value: Str,
    equal: bool,
}

#[derive(Clone, Debug)]
enum Which {
    Name,
    Namespace,
    Indexed(usize),
}

impl Term {
    fn holds(&self, object: &Stored) -> bool {
        let found = match self.which {
            Which::Name => object.name(),
            Which::Namespace => object.namespace(),
            Which::Indexed(i) => object.fields.get(i).map(Str::as_str).unwrap_or_default(),
        };
        (found == self.value) == self.equal
    }
}

/// Where the stored form of a kind keeps a selectable field.
fn index(kind: &dyn Kind, name: &str) -> Option<usize> {
    if !kind.selectable().contains(&name) {
        return None;
    }
    let of = |kind: &dyn Kind, name: &str| kind.selectable().iter().position(|f| *f == name);
    match kind.hub() {
        Some(hub) => of(hub.kind(), &hub.hub_field(name)),
        None => of(kind, name),
    }
}

impl Selection {
    /// From what a request asks. Fails on a field by which this kind cannot be
    /// selected, naming it.
    pub fn new(
        kind: &dyn Kind,
        namespace: &str,
        labels: LabelSelector,
        fields: &FieldSelector,
    ) -> Result<Self, String> {
        let mut terms = Vec::with_capacity(fields.terms.len());
        for (name, value, equal) in &fields.terms {
            let which = match name.as_str() {
                "metadata.name" => Which::Name,
                "metadata.namespace" => Which::Namespace,
                other => Which::Indexed(index(kind, other).ok_or_else(|| other.to_string())?),
            };
            terms.push(Term {
                which,
                value: value.clone(),
                equal: *equal,
            });
        }
        Ok(Selection {
            namespace: namespace.into(),
            labels,
            fields: terms,
        })
    }

    /// All objects of a namespace; of all namespaces when it is empty.
    pub fn of_namespace(namespace: &str) -> Self {
        Selection {
            namespace: namespace.into(),
            ..Selection::default()
        }
    }

    /// Whether it means all objects of its namespace.
    pub fn is_everything(&self) -> bool {
        self.labels.is_everything() && self.fields.is_empty()
    }
}
