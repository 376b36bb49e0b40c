//! What the store says has happened, commit by commit: the truth that every
//! other account of the cluster is held against.

use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use stdx::Instant;
use store::{Blob, Event, Record};

/// Where an object is: kind (`core/pods`, `apps/deployments`), namespace (empty
/// for objects that have none) and name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Group and resource; the core group is `core`.
    pub kind: String,
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
}

/// An object as one commit left it.
#[derive(Debug)]
pub struct Object {
    /// What it says, without kind, apiVersion and resourceVersion.
    pub value: Value,
    /// The commit.
    pub revision: u64,
    raw: Blob,
}

/// What a commit did to one object.
#[derive(Clone, Debug)]
pub struct Change {
    /// Which object.
    pub place: Arc<Place>,
    /// As it was.
    pub old: Option<Arc<Object>>,
    /// As it is.
    pub new: Option<Arc<Object>>,
    /// The commit.
    pub revision: u64,
}

/// What a commit did.
#[derive(Clone, Debug)]
pub struct Step {
    /// The commit.
    pub revision: u64,
    /// When it was seen.
    pub at: Instant,
    /// Its changes.
    pub changes: Vec<Change>,
}

/// Everything that has happened.
#[derive(Debug, Default)]
pub struct History {
    /// The last commit.
    pub revision: u64,
    objects: BTreeMap<Arc<Place>, Arc<Object>>,
    by_kind: BTreeMap<String, Vec<Change>>,
    /// When something happened last to an object of a kind.
    last: BTreeMap<String, Instant>,
}

/// The commit that an object's metadata names; zero if it names none.
pub fn revision(metadata: &Value) -> u64 {
    let text = metadata["resourceVersion"].as_str();
    text.and_then(|text| text.parse().ok()).unwrap_or(0)
}

impl Place {
    /// From a key of the store.
    pub fn of(key: &[u8]) -> Self {
        let text = String::from_utf8_lossy(key);
        let parts: Vec<&str> = text.split('/').collect();
        let owned = |kind: String, namespace: &str, name: &str| Self {
            kind,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        };
        match parts.as_slice() {
            ["", "registry", group, plural, namespace, name] => {
                owned(format!("{group}/{plural}"), namespace, name)
            }
            ["", "registry", group, plural, name] => owned(format!("{group}/{plural}"), "", name),
            ["", group, plural, name] => owned(format!("{group}/{plural}"), "", name),
            _ => owned(text.clone().into_owned(), "", ""),
        }
    }

    /// A place by its parts.
    pub fn new(kind: &str, namespace: &str, name: &str) -> Self {
        Self {
            kind: kind.to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ", self.kind)?;
        if !self.namespace.is_empty() {
            write!(f, "{}/", self.namespace)?;
        }
        f.write_str(&self.name)
    }
}

impl Object {
    fn new(record: &Record) -> Self {
        // The first byte tells the format of objects; other records are text.
        let raw = record.value.whole();
        let parsed = match raw.split_first() {
            Some((b'1', json)) if json.starts_with(b"{") => serde_json::from_slice(json).ok(),
            _ => None,
        };
        let text = || Value::String(String::from_utf8_lossy(&raw).into_owned());
        Self {
            value: parsed.unwrap_or_else(text),
            revision: record.modified.0,
            raw: record.value.clone(),
        }
    }

    /// A part of it by JSON pointer; null if there is none.
    pub fn at(&self, pointer: &str) -> &Value {
        self.value.pointer(pointer).unwrap_or(&Value::Null)
    }

    /// A text; empty if there is none.
    pub fn text(&self, pointer: &str) -> &str {
        self.at(pointer).as_str().unwrap_or_default()
    }

    /// A number; zero if there is none.
    pub fn number(&self, pointer: &str) -> i64 {
        self.at(pointer).as_i64().unwrap_or_default()
    }

    /// The items of a list; none if there is no list.
    pub fn items(&self, pointer: &str) -> &[Value] {
        self.at(pointer).as_array().map_or(&[], Vec::as_slice)
    }

    /// The uid.
    pub fn uid(&self) -> &str {
        self.text("/metadata/uid")
    }

    /// Whether it is to go.
    pub fn is_deleting(&self) -> bool {
        !self.at("/metadata/deletionTimestamp").is_null()
    }

    /// What has to be done before it may go.
    pub fn finalizers(&self) -> impl Iterator<Item = &str> {
        let finalizers = self.items("/metadata/finalizers").iter();
        finalizers.filter_map(Value::as_str)
    }

    /// Whether all the labels that a selector names are there.
    pub fn has_labels(&self, selector: &Value) -> bool {
        let mut wanted = selector.as_object().into_iter().flatten();
        wanted.all(|(key, value)| self.label(key) == value.as_str())
    }

    /// A label.
    pub fn label(&self, key: &str) -> Option<&str> {
        self.at("/metadata/labels").get(key)?.as_str()
    }

    /// The reference to its controller.
    pub fn controller(&self) -> Option<&Value> {
        let mut owners = self.items("/metadata/ownerReferences").iter();
        owners.find(|owner| owner["controller"] == true)
    }

    /// The uid of its controller; empty if it has none.
    pub fn controller_uid(&self) -> &str {
        self.controller()
            .and_then(|owner| owner["uid"].as_str())
            .unwrap_or_default()
    }

    /// Whether a condition is true.
    pub fn has_condition(&self, kind: &str) -> bool {
        let mut conditions = self.items("/status/conditions").iter();
        conditions.any(|condition| condition["type"] == kind && condition["status"] == "True")
    }
}

impl Change {
    /// Whether the object went.
    pub fn is_removal(&self) -> bool {
        self.new.is_none()
    }
}

impl History {
    /// Takes in one commit: the events of one revision.
    pub fn take(&mut self, events: &[Event], at: Instant) -> Result<Step, String> {
        let revision = events.first().map_or(0, |event| event.revision.0);
        if revision <= self.revision {
            return Err(format!(
                "the store's watch went back from {} to {revision}",
                self.revision
            ));
        }
        let mut changes = Vec::with_capacity(events.len());
        for event in events {
            let change = self.apply(event)?;
            let kind = &change.place.kind;
            if let Some(last) = self.last.get_mut(kind) {
                *last = at;
            } else {
                self.last.insert(kind.clone(), at);
            }
            match self.by_kind.get_mut(kind) {
                Some(known) => known.push(change.clone()),
                None => drop(self.by_kind.insert(kind.clone(), vec![change.clone()])),
            }
            changes.push(change);
        }
        self.revision = revision;
        Ok(Step {
            revision,
            at,
            changes,
        })
    }

    /// Everything up to a commit is known.
    pub fn is_at(&mut self, revision: u64) {
        self.revision = self.revision.max(revision);
    }

    fn apply(&mut self, event: &Event) -> Result<Change, String> {
        let place = Arc::new(Place::of(event.key()));
        let revision = event.revision.0;
        let (old, new) = match &event.change {
            store::Change::Put { record, .. } => {
                let new = Arc::new(Object::new(record));
                if new.revision != revision {
                    return Err(format!("{place} of {} came at {revision}", new.revision));
                }
                let old = self.objects.insert(Arc::clone(&place), Arc::clone(&new));
                (old, Some(new))
            }
            store::Change::Delete { .. } => match self.objects.remove(&place) {
                Some(old) => (Some(old), None),
                None => {
                    return Err(format!(
                        "{place} went at {revision} though it was not there"
                    ));
                }
            },
        };
        Ok(Change {
            place,
            old,
            new,
            revision,
        })
    }

    /// Compares with what a store holds that says it is at the same commit.
    pub fn compare(&self, records: &[Record]) -> Result<(), String> {
        let mut found = BTreeMap::new();
        for record in records {
            found.insert(
                Place::of(&record.key),
                (record.modified.0, record.value.clone()),
            );
        }
        for (place, object) in &self.objects {
            match found.remove(&**place) {
                None => return Err(format!("{place} of {} is lost", object.revision)),
                Some((revision, _)) if revision != object.revision => {
                    return Err(format!(
                        "{place} is of {revision} and should be of {}",
                        object.revision
                    ));
                }
                Some((_, value)) if value != object.raw => {
                    return Err(format!("{place} of {} has another value", object.revision));
                }
                Some(_) => {}
            }
        }
        match found.into_iter().next() {
            Some((place, (revision, _))) => {
                Err(format!("{place} of {revision} should not be there"))
            }
            None => Ok(()),
        }
    }

    /// One object as it is now.
    pub fn get(&self, kind: &str, namespace: &str, name: &str) -> Option<&Arc<Object>> {
        self.objects.get(&Place::new(kind, namespace, name))
    }

    /// The objects of a kind as they are now, in order of namespace and name.
    pub fn all<'a>(
        &'a self,
        kind: &'a str,
    ) -> impl Iterator<Item = (&'a Place, &'a Arc<Object>)> + 'a {
        let start = Place::new(kind, "", "");
        self.objects
            .range(start..)
            .take_while(move |(place, _)| place.kind == kind)
            .map(|(place, object)| (&**place, object))
    }

    /// Every object there is.
    pub fn objects(&self) -> impl Iterator<Item = (&Place, &Arc<Object>)> {
        self.objects
            .iter()
            .map(|(place, object)| (&**place, object))
    }

    /// All changes of a kind, in order.
    pub fn changes(&self, kind: &str) -> &[Change] {
        self.by_kind.get(kind).map_or(&[], Vec::as_slice)
    }

    /// What a commit did to an object.
    pub fn change(&self, place: &Place, revision: u64) -> Option<&Change> {
        let changes = self.changes(&place.kind);
        let start = changes.partition_point(|change| change.revision < revision);
        let mut same = changes[start..]
            .iter()
            .take_while(|change| change.revision == revision);
        same.find(|change| *change.place == *place)
    }

    /// When an object changed next after a commit.
    pub fn next_change(&self, place: &Place, revision: u64) -> Option<u64> {
        let changes = self.changes(&place.kind);
        let start = changes.partition_point(|change| change.revision <= revision);
        let mut later = changes[start..].iter();
        let next = later.find(|change| *change.place == *place)?;
        Some(next.revision)
    }

    /// The object of a uid, if it is there.
    pub fn by_uid(&self, uid: &str) -> Option<&Arc<Object>> {
        self.objects.values().find(|object| object.uid() == uid)
    }

    /// The objects of a kind as they were at a commit.
    pub fn as_of(&self, kind: &str, revision: u64) -> BTreeMap<Arc<Place>, Arc<Object>> {
        let mut objects = BTreeMap::new();
        for change in self.changes(kind) {
            if change.revision > revision {
                break;
            }
            match &change.new {
                Some(object) => objects.insert(Arc::clone(&change.place), Arc::clone(object)),
                None => objects.remove(&change.place),
            };
        }
        objects
    }

    /// When something happened last to any but these kinds.
    pub fn last_change(&self, but: &[&str]) -> Instant {
        let kinds = self
            .last
            .iter()
            .filter(|(kind, _)| !but.contains(&kind.as_str()));
        kinds.map(|(_, at)| *at).max().unwrap_or_default()
    }
}
