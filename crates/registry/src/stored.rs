//! The object at rest: its canonical JSON, cut where answers differ, and the
//! few parsed values that selectors need.
//!
//! A stored value is a format byte and `{"metadata":{…},…}` without kind,
//! apiVersion and resourceVersion. Metadata stands first, so an answer is
//! assembled by writing a head in front of the rest; nothing is parsed.

use crate::keys;
use crate::texts::Texts;
use crate::topics::Topic;
use api::Kind;
use bytes::Bytes;
use codec::pick::{Picks, pick_rest};
use meta::object::Object as _;
use meta::value::write_string;
use meta::{FieldSelector, LabelSelector, Str, Value};
use std::borrow::Cow;
use std::io::Write as _;
use store::{Blob, Record, Revision};

/// The format of stored values: JSON as described above, with the defaults of
/// API level 1.37 applied.
const FORMAT: u8 = b'1';
/// What every stored value begins with: the format and the head.
const BEGIN: &[u8] = b"1{\"metadata\":{";
/// Where what follows the head begins.
const TAIL: usize = BEGIN.len();

/// An object at one revision.
#[derive(Debug)]
pub struct Stored {
    /// The store's key.
    pub key: Bytes,
    /// What lies in the store, [`BEGIN`] in front.
    value: Blob,
    /// The commit that wrote it.
    pub revision: Revision,
    prefix_len: u32,
    /// How many of the texts are fields.
    fields: u32,
    /// The selectable fields in their order, then the labels: key, value, key, …
    selectable: Texts,
}

/// How the objects of a kind are laid out: what is known of all of them.
#[derive(Debug)]
pub struct Layout {
    prefix_len: usize,
    /// `{"kind":"Pod","apiVersion":"v1",`
    head: Box<[u8]>,
    picks: Picks,
}

impl Layout {
    /// Of a kind whose objects lie below a prefix of this length.
    pub(crate) fn new(kind: &dyn Kind, prefix_len: usize) -> Self {
        let card = kind.card();
        let head = format!(
            "{{\"kind\":\"{}\",\"apiVersion\":\"{}\",",
            card.kind,
            card.group_version()
        );
        // Events tell their source in either of two fields.
        let paths = kind.selectable().iter().copied();
        let paths = paths.chain(["metadata.labels", "reportingComponent"]);
        Layout {
            prefix_len,
            head: head.into_bytes().into(),
            picks: Picks::new(paths),
        }
    }
}

impl Stored {
    /// From a record of the store, with what selections need.
    pub fn read(kind: &dyn Kind, layout: &Layout, record: &Record) -> Result<Self, Unreadable> {
        let key = record.key.clone();
        let mut stored = Stored::bare(layout, key, record.value.clone(), record.modified)?;
        let tail = tail(&stored.value);
        let value =
            pick_rest("metadata", &tail, &layout.picks).map_err(|e| unreadable(&record.key, e))?;
        let names = kind.selectable();
        let fields = names.iter().map(|name| Str::from(kind.field(&value, name)));
        stored.selectable = fields.chain(labels(&value)).collect();
        stored.fields = names.len() as u32;
        Ok(stored)
    }

    /// From what lies in the store, to be read and never selected.
    pub(crate) fn bare(
        layout: &Layout,
        key: Bytes,
        value: Blob,
        revision: Revision,
    ) -> Result<Self, Unreadable> {
        check(&key, &value)?;
        Ok(Stored {
            key,
            value,
            revision,
            prefix_len: layout.prefix_len as u32,
            fields: 0,
            selectable: Texts::default(),
        })
    }

    /// The namespace, empty when it has none.
    pub fn namespace(&self) -> &str {
        keys::names(&self.key, self.prefix_len as usize).0
    }

    /// The name.
    pub fn name(&self) -> &str {
        keys::names(&self.key, self.prefix_len as usize).1
    }

    /// How many bytes it keeps alive, about.
    pub fn weight(&self) -> usize {
        self.value.len() + self.key.len()
    }

    /// The text of a selectable field, by its position among them.
    pub(crate) fn field(&self, index: usize) -> &str {
        let mut fields = self.selectable.iter().take(self.fields as usize);
        fields.nth(index).unwrap_or_default()
    }

    /// Whether a selection means this object.
    pub fn is_selected(&self, selection: &Selection) -> bool {
        (selection.labels.is_everything() || selection.labels.matches(|key| self.label(key)))
            && selection.fields.iter().all(|term| term.holds(self))
            && (selection.namespace.is_empty() || selection.namespace == self.namespace())
    }

    fn label(&self, key: &str) -> Option<&str> {
        let mut labels = self.selectable.iter().skip(self.fields as usize);
        while let (Some(name), Some(value)) = (labels.next(), labels.next()) {
            if name == key {
                return Some(value);
            }
        }
        None
    }

    /// The object as a list's item: without kind and apiVersion.
    pub fn write_item(&self, out: &mut Vec<u8>) {
        out.push(b'{');
        self.write_at(self.revision, out);
    }

    /// The object as an item that says what it is.
    pub fn write_alone(&self, layout: &Layout, out: &mut Vec<u8>) {
        self.write_whole(layout, self.revision, out);
    }

    /// The object as clients read it.
    pub fn whole(&self, layout: &Layout) -> Bytes {
        let mut out = Vec::with_capacity(self.whole_len(layout));
        self.write_whole(layout, self.revision, &mut out);
        out.into()
    }

    /// About how long the whole object is.
    pub(crate) fn whole_len(&self, layout: &Layout) -> usize {
        layout.head.len() + self.value.len() + 56
    }

    /// The object as clients read it, at its own or another revision: a watcher
    /// is told of an object that left its selection as of when it left.
    pub(crate) fn write_whole(&self, layout: &Layout, at: Revision, out: &mut Vec<u8>) {
        out.extend_from_slice(&layout.head);
        self.write_at(at, out);
    }

    /// Everything after kind and apiVersion.
    fn write_at(&self, revision: Revision, out: &mut Vec<u8>) {
        // Writing to memory cannot fail.
        let _ = write!(out, "\"metadata\":{{\"resourceVersion\":\"{revision}\",");
        self.value.write_from(TAIL, out);
    }

    /// The tree, with kind, apiVersion and resourceVersion.
    pub fn to_value(&self, kind: &dyn Kind) -> Result<Value, Unreadable> {
        to_value(kind, &self.key, &self.value, self.revision)
    }
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

fn check(key: &[u8], value: &Blob) -> Result<(), Unreadable> {
    match value.first() {
        Some(FORMAT) if value.starts_with(BEGIN) => Ok(()),
        Some(FORMAT) => Err(unreadable(key, "it does not begin with its metadata")),
        Some(other) => Err(unreadable(
            key,
            format!("it is of the unknown format {other}"),
        )),
        None => Err(unreadable(key, "it is empty")),
    }
}

/// Everything after the head.
fn tail(value: &Blob) -> Cow<'_, [u8]> {
    value.whole_from(TAIL)
}

fn to_value(
    kind: &dyn Kind,
    key: &[u8],
    value: &Blob,
    revision: Revision,
) -> Result<Value, Unreadable> {
    let tail = tail(value);
    let mut value = codec::json::parse_rest("metadata", &tail).map_err(|e| unreadable(key, e))?;
    value.set_gvk(&kind.card().gvk());
    value
        .metadata_mut()
        .insert("resourceVersion", revision.to_string());
    Ok(value)
}

/// Key, value, key, value, …
fn labels(value: &Value) -> impl Iterator<Item = Str> {
    let map = value.labels().and_then(Value::as_object);
    let entries = map.into_iter().flat_map(|m| m.iter());
    entries.flat_map(|(k, v)| [k.clone(), Str::from(v.as_str().unwrap_or_default())])
}

/// The bytes to store for a tree: without what the key and the commit say.
pub(crate) fn encode(object: &Value) -> Bytes {
    let mut out = Vec::with_capacity(1024);
    out.extend_from_slice(BEGIN);
    let entry = |is_first: &mut bool, key: &str, value: &Value, out: &mut Vec<u8>| {
        if !std::mem::take(is_first) {
            out.push(b',');
        }
        write_string(key, out);
        out.push(b':');
        value.write_json(out);
    };
    let mut is_first = true;
    for (key, value) in object.metadata().into_iter().flat_map(meta::Map::iter) {
        if key != "resourceVersion" {
            entry(&mut is_first, key, value, &mut out);
        }
    }
    out.push(b'}');
    is_first = false;
    for (key, value) in object.as_object().into_iter().flat_map(meta::Map::iter) {
        if !matches!(key.as_str(), "kind" | "apiVersion" | "metadata") {
            entry(&mut is_first, key, value, &mut out);
        }
    }
    out.push(b'}');
    out.into()
}

/// A record of the store as a tree.
pub(crate) fn record_to_value(kind: &dyn Kind, record: &Record) -> Result<Value, Unreadable> {
    check(&record.key, &record.value)?;
    to_value(kind, &record.key, &record.value, record.modified)
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
            Which::Indexed(i) => object.field(i),
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

    /// The narrowest part of what happens to a kind in which all happens that
    /// this selection may mean. `indexed` is the field by which there are parts.
    pub(crate) fn topic(&self, prefix: &str, namespaced: bool, indexed: Option<usize>) -> Topic {
        let equal = self.fields.iter().filter(|term| term.equal);
        let mut topic = match self.namespace.is_empty() {
            true => Topic::All,
            false => Topic::Namespace(self.namespace.as_str().into()),
        };
        for term in equal {
            match term.which {
                Which::Name if namespaced != self.namespace.is_empty() => {
                    let key = keys::key(prefix, &self.namespace, &term.value);
                    return Topic::Object(key);
                }
                Which::Indexed(i) if Some(i) == indexed => {
                    topic = Topic::Indexed(term.value.clone());
                }
                _ => {}
            }
        }
        topic
    }

    /// Whether it means all objects of its namespace.
    pub fn is_everything(&self) -> bool {
        self.labels.is_everything() && self.fields.is_empty()
    }
}
