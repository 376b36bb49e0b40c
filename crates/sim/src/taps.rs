//! What the server told its clients of many objects, held against the truth: every
//! watch of every client has each event of its selection once and in order, and
//! every list is the state of its revision.

use crate::head::Head;
use crate::history::{Change, History, Object, Place, revision};
use client::{EventType, WatchEvent};
use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};

/// Everything that clients were told and that is not yet found to be right.
#[derive(Debug, Default)]
pub struct Taps {
    streams: BTreeMap<u64, Stream>,
    lists: VecDeque<List>,
    next: u64,
}

/// Which objects a client asked for.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Group and resource as [`Place`] names them.
    pub kind: String,
    /// The namespace; empty for all.
    pub namespace: String,
    /// What labels have to be.
    pub labels: Vec<(String, String)>,
    /// What fields have to be.
    pub fields: Vec<(String, String)>,
}

/// What a watch has said of one object.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Said {
    kind: EventType,
    place: Place,
    revision: u64,
    initial_end: bool,
}

#[derive(Debug)]
struct Stream {
    who: String,
    selection: Selection,
    /// How many changes of the kind are dealt with; none while it still tells
    /// what there is.
    position: Option<usize>,
    /// After which revision it began. A client may know of it before the history does.
    after: u64,
    initial: BTreeMap<Place, u64>,
    waiting: VecDeque<Said>,
    last: u64,
    open: bool,
}

#[derive(Debug)]
struct List {
    who: String,
    selection: Selection,
    revision: u64,
    items: BTreeMap<Place, u64>,
}

impl Taps {
    /// A watch began; after a revision, or with what there is.
    pub fn open(
        &mut self,
        who: String,
        selection: Selection,
        after: Option<u64>,
        history: &History,
    ) -> u64 {
        let position = after.map(|after| {
            let changes = history.changes(&selection.kind);
            changes.partition_point(|change| change.revision <= after)
        });
        let id = self.next;
        self.next += 1;
        let stream = Stream {
            who,
            selection,
            position,
            after: after.unwrap_or(0),
            initial: BTreeMap::new(),
            waiting: VecDeque::new(),
            last: after.unwrap_or(0),
            open: true,
        };
        self.streams.insert(id, stream);
        id
    }

    /// A watch said something.
    pub fn said(&mut self, id: u64, event: &WatchEvent, history: &History) -> Result<(), String> {
        let Some(stream) = self.streams.get_mut(&id) else {
            return Ok(());
        };
        if event.kind == EventType::Error {
            stream.open = false;
            return Ok(());
        }
        let head = Head::read(&event.object)
            .map_err(|error| format!("{} got an event that is no object: {error}", stream.who))?;
        let metadata = &head.metadata;
        let said = Said {
            kind: event.kind,
            place: Place::new(&stream.selection.kind, &metadata.namespace, &metadata.name),
            revision: head.revision(),
            initial_end: head.ends_initial(),
        };
        stream.waiting.push_back(said);
        stream.check(history)
    }

    /// A watch ended.
    pub fn close(&mut self, id: u64) {
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.open = false;
        }
    }

    /// A client was given a whole list.
    pub fn listed(&mut self, who: String, selection: Selection, list: &Value) {
        let at = revision(&list["metadata"]);
        let items = list["items"].as_array().into_iter().flatten().map(|item| {
            let text = |key: &str| item["metadata"][key].as_str().unwrap_or_default();
            let place = Place::new(&selection.kind, text("namespace"), text("name"));
            (place, revision(&item["metadata"]))
        });
        let items = items.collect();
        self.lists.push_back(List {
            who,
            selection,
            revision: at,
            items,
        });
    }

    /// Looks at what waited for the history to go on.
    pub fn check(&mut self, history: &History) -> Result<(), String> {
        for stream in self.streams.values_mut() {
            stream.check(history)?;
        }
        self.streams
            .retain(|_, stream| stream.open || !stream.waiting.is_empty());
        while let Some(list) = self.lists.front()
            && list.revision <= history.revision
        {
            list.check(history)?;
            self.lists.pop_front();
        }
        Ok(())
    }

    /// At rest every watch has said everything.
    pub fn check_complete(&mut self, history: &History) -> Result<(), String> {
        self.check(history)?;
        for stream in self.streams.values().filter(|stream| stream.open) {
            stream.check_complete(history)?;
        }
        Ok(())
    }
}

impl Stream {
    fn check(&mut self, history: &History) -> Result<(), String> {
        while let Some(said) = self.waiting.front()
            && said.revision <= history.revision
        {
            let said = said.clone();
            self.waiting.pop_front();
            let outcome = match self.position {
                Some(position) => self.check_next(&said, position, history),
                None => self.check_initial(&said, history),
            };
            outcome.map_err(|why| {
                format!(
                    "the watch of {} on {} after {} broke its promise: {why}",
                    self.who, self.selection.kind, self.after
                )
            })?;
            self.last = self.last.max(said.revision);
        }
        Ok(())
    }

    fn check_initial(&mut self, said: &Said, history: &History) -> Result<(), String> {
        match said.kind {
            EventType::Added => {
                if self
                    .initial
                    .insert(said.place.clone(), said.revision)
                    .is_some()
                {
                    return Err(format!("{} was told twice at its start", said.place));
                }
                Ok(())
            }
            EventType::Bookmark if said.initial_end => {
                compare(&self.selection, said.revision, &self.initial, history)?;
                self.initial.clear();
                let changes = history.changes(&self.selection.kind);
                self.position =
                    Some(changes.partition_point(|change| change.revision <= said.revision));
                Ok(())
            }
            other => Err(format!(
                "{} of {} before what there was at its start was told",
                other.as_str(),
                said.place
            )),
        }
    }

    fn check_next(
        &mut self,
        said: &Said,
        mut position: usize,
        history: &History,
    ) -> Result<(), String> {
        if said.revision < self.last {
            return Err(format!("{} came after {}", said.revision, self.last));
        }
        let changes = history.changes(&self.selection.kind);
        while let Some(change) = changes.get(position) {
            if said.kind == EventType::Bookmark && change.revision > said.revision {
                break;
            }
            position += 1;
            let meaning = self.selection.meaning(change);
            let Some(expected) = meaning.filter(|_| change.revision > self.after) else {
                continue;
            };
            if (expected, &*change.place, change.revision)
                == (said.kind, &said.place, said.revision)
            {
                self.position = Some(position);
                return Ok(());
            }
            return Err(format!(
                "{} {} of {} was expected, and {} {} of {} came",
                expected.as_str(),
                change.place,
                change.revision,
                said.kind.as_str(),
                said.place,
                said.revision
            ));
        }
        self.position = Some(position);
        if said.kind == EventType::Bookmark {
            return Ok(());
        }
        Err(format!(
            "{} {} of {} came, but nothing of the kind happened",
            said.kind.as_str(),
            said.place,
            said.revision
        ))
    }

    fn check_complete(&self, history: &History) -> Result<(), String> {
        let Some(position) = self.position else {
            return Err(format!(
                "the watch of {} on {} never told what there is",
                self.who, self.selection.kind
            ));
        };
        let changes = history.changes(&self.selection.kind).iter().skip(position);
        let changes = changes.filter(|change| change.revision > self.after);
        let mut missed = changes.filter(|change| self.selection.meaning(change).is_some());
        match missed.next() {
            Some(change) => Err(format!(
                "the watch of {} never told of {} of {}",
                self.who, change.place, change.revision
            )),
            None => Ok(()),
        }
    }
}

impl List {
    fn check(&self, history: &History) -> Result<(), String> {
        compare(&self.selection, self.revision, &self.items, history).map_err(|why| {
            format!(
                "the list of {} for {} is not what there was: {why}",
                self.selection.kind, self.who
            )
        })
    }
}

/// Holds objects and their revisions against what there was at a revision.
fn compare(
    selection: &Selection,
    revision: u64,
    found: &BTreeMap<Place, u64>,
    history: &History,
) -> Result<(), String> {
    let mut found = found.clone();
    for (place, object) in history.as_of(&selection.kind, revision) {
        if !selection.selects(&place, &object) {
            continue;
        }
        match found.remove(&*place) {
            Some(version) if version == object.revision => {}
            Some(version) => {
                return Err(format!(
                    "at {revision} {place} was of {} and not of {version}",
                    object.revision
                ));
            }
            None => return Err(format!("at {revision} there was {place}, untold")),
        }
    }
    match found.into_keys().next() {
        Some(place) => Err(format!("at {revision} there was no {place}")),
        None => Ok(()),
    }
}

impl Selection {
    /// Whether an object is meant.
    pub fn selects(&self, place: &Place, object: &Object) -> bool {
        let in_namespace = self.namespace.is_empty() || self.namespace == place.namespace;
        let mut labels = self.labels.iter();
        let mut fields = self.fields.iter();
        in_namespace
            && labels.all(|(key, value)| object.label(key) == Some(value))
            && fields.all(|(path, value)| match path.as_str() {
                "metadata.name" => place.name == *value,
                "metadata.namespace" => place.namespace == *value,
                path => object.text(&format!("/{}", path.replace('.', "/"))) == value,
            })
    }

    /// What a change means to those who asked for this.
    fn meaning(&self, change: &Change) -> Option<EventType> {
        let is_in = |object: &Option<std::sync::Arc<Object>>| {
            object
                .as_ref()
                .is_some_and(|object| self.selects(&change.place, object))
        };
        match (is_in(&change.old), is_in(&change.new)) {
            (false, true) => Some(EventType::Added),
            (true, true) => Some(EventType::Modified),
            (true, false) => Some(EventType::Deleted),
            (false, false) => None,
        }
    }
}

#[cfg(test)]
mod tests;
