//! The keyspace in memory: current records as shared bytes, former versions
//! as places in the log.

use std::{
    collections::{BTreeMap, VecDeque},
    ops::Bound,
};

use bytes::Bytes;

use super::entry::{Expiry, FileId, Location, LoggedChange, Prev, PutFields};
use crate::{Blob, Change, Event, Record, Revision, Span};

/// All keys, as of one revision, with the history since the compaction.
#[derive(Debug)]
pub(super) struct Index {
    pub(super) revision: Revision,
    pub(super) compacted: Revision,
    /// Boxed, because the nodes of a tree that grows at its end are half empty.
    keys: BTreeMap<Bytes, Box<Slot>>,
    live: usize,
    live_bytes: u64,
    /// Each commit that replaced or deleted a version, in order, so that
    /// compaction goes to what it forgets without a search.
    superseded: VecDeque<(Revision, Bytes)>,
    /// How many versions lie in each file.
    references: BTreeMap<FileId, u64>,
}

#[derive(Debug, Default)]
struct Slot {
    current: Option<Current>,
    /// Former versions and deletions in order.
    history: Vec<Version>,
}

/// What a key is now.
#[derive(Clone, Debug)]
pub(super) struct Current {
    pub(super) value: Blob,
    pub(super) created: Revision,
    pub(super) modified: Revision,
    pub(super) version: u64,
    pub(super) location: Location,
    pub(super) expiry: Option<Box<Expiry>>,
}

#[derive(Clone, Copy, Debug)]
struct Version {
    modified: Revision,
    /// None for a deletion.
    location: Option<Location>,
}

/// A transaction that is durable.
#[derive(Debug)]
pub(super) struct Commit {
    pub(super) revision: Revision,
    pub(super) location: Location,
    /// Keys with what was put; none for deletions, of which each key exists.
    pub(super) changes: Vec<(Bytes, Option<PutFields>)>,
}

/// A record as of some revision.
#[derive(Clone, Debug)]
pub(super) enum Found {
    Here(Record),
    Stored { key: Bytes, location: Location },
}

/// A span as of some revision.
#[derive(Debug, Default)]
pub(super) struct FoundPage {
    pub(super) records: Vec<Found>,
    pub(super) count: usize,
}

impl Index {
    /// No keys, at `revision`.
    pub(super) fn new(revision: Revision) -> Self {
        Self {
            revision,
            compacted: Revision::ZERO,
            keys: BTreeMap::new(),
            live: 0,
            live_bytes: 0,
            superseded: VecDeque::new(),
            references: BTreeMap::new(),
        }
    }

    /// How many keys exist, and the bytes of their keys and values.
    pub(super) fn size(&self) -> (usize, u64) {
        (self.live, self.live_bytes)
    }

    /// How many versions lie in `file`.
    pub(super) fn references(&self, file: FileId) -> u64 {
        self.references.get(&file).copied().unwrap_or(0)
    }

    /// The files in which versions lie.
    pub(super) fn referenced(&self) -> impl Iterator<Item = FileId> {
        self.references.keys().copied()
    }

    /// What a key is now, with the key as it is shared.
    pub(super) fn current(&self, key: &[u8]) -> Option<(&Bytes, &Current)> {
        let (key, slot) = self.keys.get_key_value(key)?;
        slot.current.as_ref().map(|current| (key, current))
    }

    /// The record at a key as of a revision.
    pub(super) fn get(&self, key: &[u8], at: Revision) -> Option<Found> {
        let (key, slot) = self.keys.get_key_value(key)?;
        slot.at(key, at)
    }

    /// The records of a span as of a revision; those beyond `limit` are only
    /// counted.
    pub(super) fn range(&self, span: &Span, limit: Option<usize>, at: Revision) -> FoundPage {
        let mut page = FoundPage::default();
        let limit = limit.unwrap_or(usize::MAX);
        for (key, slot) in self.slots(span) {
            if page.records.len() < limit {
                page.records.extend(slot.at(key, at));
                page.count = page.records.len();
            } else if slot.exists(at) {
                page.count += 1;
            }
        }
        page
    }

    /// Up to `limit` present records after a key, with their expiry.
    pub(super) fn live_after(
        &self,
        after: Option<&Bytes>,
        limit: usize,
    ) -> Vec<(Record, Option<Expiry>)> {
        let start = after.map_or(Bound::Unbounded, |key| Bound::Excluded(key.clone()));
        self.keys
            .range((start, Bound::Unbounded))
            .filter_map(|(key, slot)| {
                let current = slot.current.as_ref()?;
                Some((current.record(key), current.expiry.as_deref().copied()))
            })
            .take(limit)
            .collect()
    }

    /// Takes a durable transaction in and tells what it changed.
    pub(super) fn apply(&mut self, commit: Commit) -> Vec<Event> {
        let Commit {
            revision,
            location,
            changes,
        } = commit;
        assert_eq!(revision, self.revision.next(), "commits come in order");
        self.revision = revision;
        let event = |(key, put): (Bytes, Option<PutFields>)| {
            let prev = self.supersede(&key, revision);
            let change = match put {
                Some(fields) => {
                    let record = self.put(key, revision, location, fields);
                    Change::Put { record, prev }
                }
                None => {
                    self.bury(&key, revision);
                    Change::Delete { key, prev }
                }
            };
            Event { revision, change }
        };
        changes.into_iter().map(event).collect()
    }

    /// Takes a record of a checkpoint in.
    pub(super) fn load(
        &mut self,
        key: Bytes,
        modified: Revision,
        location: Location,
        fields: PutFields,
    ) {
        self.put(key, modified, location, fields);
    }

    /// Takes a change from the log in while recovering. A checkpoint may
    /// already have brought the key to a later version: then the change is
    /// history.
    pub(super) fn replay(&mut self, revision: Revision, location: Location, change: LoggedChange) {
        let LoggedChange { key, prev, put } = change;
        self.settle_prev(&key, prev);
        if prev.is_some() {
            self.superseded.push_back((revision, key.clone()));
        }
        let present = self.current(&key).map(|(_, current)| current.modified);
        match (present, put) {
            (Some(modified), _) if modified == revision => {}
            (Some(modified), put) if modified > revision => {
                let location = put.map(|_| location);
                self.push_version(&key, revision, location);
            }
            (_, Some(fields)) => {
                self.retire(&key);
                self.put(key, revision, location, fields);
            }
            (_, None) => {
                self.retire(&key);
                self.bury(&key, revision);
            }
        }
    }

    /// Begins to forget what can only be seen before `at`.
    pub(super) fn compact(&mut self, at: Revision) {
        self.compacted = self.compacted.max(at);
    }

    /// Forgets up to `budget` versions; true when nothing is left to forget.
    pub(super) fn forget(&mut self, budget: usize) -> bool {
        for _ in 0..budget {
            let compacted = self.compacted;
            let due = self.superseded.front();
            if due.is_none_or(|(revision, _)| *revision > compacted) {
                return true;
            }
            if let Some((_, key)) = self.superseded.pop_front() {
                self.forget_key(&key);
            }
        }
        false
    }

    /// Notes that a present record now also lies in a checkpoint.
    pub(super) fn relocate(&mut self, key: &[u8], modified: Revision, location: Location) {
        let Some(current) = self
            .keys
            .get_mut(key)
            .and_then(|slot| slot.current.as_mut())
            .filter(|current| current.modified == modified)
        else {
            return;
        };
        let before = std::mem::replace(&mut current.location, location);
        self.add_reference(location.file);
        self.drop_reference(before.file);
    }

    fn slots(&self, span: &Span) -> impl Iterator<Item = (&Bytes, &Slot)> {
        let span = if span.is_empty() { None } else { Some(span) };
        span.into_iter().flat_map(|span| {
            let end = span
                .end
                .as_deref()
                .map_or(Bound::Unbounded, Bound::Excluded);
            let slots = self
                .keys
                .range::<[u8], _>((Bound::Included(&*span.start), end));
            slots.map(|(key, slot)| (key, &**slot))
        })
    }

    fn put(
        &mut self,
        key: Bytes,
        modified: Revision,
        location: Location,
        fields: PutFields,
    ) -> Record {
        let current = Current {
            value: fields.value,
            created: fields.created,
            modified,
            version: fields.version,
            location,
            expiry: fields.expiry.map(Box::new),
        };
        let record = current.record(&key);
        self.live += 1;
        self.live_bytes += (key.len() + current.value.len()) as u64;
        self.add_reference(location.file);
        let slot = self.keys.entry(key).or_default();
        debug_assert!(slot.current.is_none(), "the former version was moved away");
        slot.current = Some(current);
        record
    }

    /// Moves the present version of a key into history because of a commit.
    fn supersede(&mut self, key: &Bytes, by: Revision) -> Option<Record> {
        let prev = self.retire(key)?;
        self.superseded.push_back((by, key.clone()));
        Some(prev)
    }

    fn retire(&mut self, key: &Bytes) -> Option<Record> {
        let slot = self.keys.get_mut(key)?;
        let current = slot.current.take()?;
        slot.history.push(Version {
            modified: current.modified,
            location: Some(current.location),
        });
        self.live -= 1;
        self.live_bytes -= (key.len() + current.value.len()) as u64;
        Some(current.into_record(key.clone()))
    }

    /// Notes the deletion of a key.
    fn bury(&mut self, key: &Bytes, modified: Revision) {
        let slot = self.keys.entry(key.clone()).or_default();
        let location = None;
        slot.history.push(Version { modified, location });
    }

    /// While recovering, puts the version that a change replaced where the
    /// log says that it is. A checkpoint may hold another copy, and the log
    /// may begin after the version; but what the log points at is what has to
    /// be kept for the next recovery, and for watchers who read the log.
    fn settle_prev(&mut self, key: &Bytes, prev: Option<Prev>) {
        let Some(Prev { modified, location }) = prev else {
            return;
        };
        let slot = self.keys.entry(key.clone()).or_default();
        if let Some(version) = slot.history.last_mut()
            && version.modified == modified
        {
            let before = version.location.replace(location);
            self.add_reference(location.file);
            if let Some(before) = before {
                self.drop_reference(before.file);
            }
            return;
        }
        match &slot.current {
            Some(current) if current.modified == modified => {
                self.relocate(key, modified, location);
            }
            _ if slot.history.is_empty() => self.push_version(key, modified, Some(location)),
            _ => {}
        }
    }

    fn push_version(&mut self, key: &Bytes, modified: Revision, location: Option<Location>) {
        if let Some(location) = location {
            self.add_reference(location.file);
        }
        let slot = self.keys.entry(key.clone()).or_default();
        slot.history.push(Version { modified, location });
    }

    /// Forgets the versions of a key that nobody can ask for any more.
    fn forget_key(&mut self, key: &Bytes) {
        let compacted = self.compacted;
        let Some(slot) = self.keys.get_mut(key) else {
            return;
        };
        let kept_from = slot.first_visible(compacted);
        let forgotten: Vec<Version> = slot.history.drain(..kept_from).collect();
        if slot.history.is_empty() {
            slot.history.shrink_to_fit();
            if slot.current.is_none() {
                self.keys.remove(key);
            }
        }
        for location in forgotten.iter().filter_map(|version| version.location) {
            self.drop_reference(location.file);
        }
    }

    fn add_reference(&mut self, file: FileId) {
        *self.references.entry(file).or_default() += 1;
    }

    fn drop_reference(&mut self, file: FileId) {
        let count = self.references.get_mut(&file);
        debug_assert!(count.is_some(), "{file:?} was referenced");
        if let Some(count) = count {
            *count -= 1;
            if *count == 0 {
                self.references.remove(&file);
            }
        }
    }
}

impl Slot {
    fn at(&self, key: &Bytes, at: Revision) -> Option<Found> {
        match &self.current {
            Some(current) if current.modified <= at => Some(Found::Here(current.record(key))),
            _ => {
                let key = key.clone();
                let location = self.version_at(at)?.location?;
                Some(Found::Stored { key, location })
            }
        }
    }

    fn exists(&self, at: Revision) -> bool {
        let now = self.current.as_ref();
        now.is_some_and(|current| current.modified <= at)
            || self
                .version_at(at)
                .is_some_and(|version| version.location.is_some())
    }

    fn version_at(&self, at: Revision) -> Option<&Version> {
        let later = self
            .history
            .partition_point(|version| version.modified <= at);
        later.checked_sub(1).map(|last| &self.history[last])
    }

    /// The place in the history of the first version that can be seen at or
    /// after a revision.
    fn first_visible(&self, at: Revision) -> usize {
        let successor_of = |index: usize| {
            let next = self.history.get(index + 1).map(|next| next.modified);
            next.or(self.current.as_ref().map(|current| current.modified))
        };
        let mut first = 0;
        while let Some(version) = self.history.get(first) {
            let replaced = successor_of(first).is_some_and(|next| next <= at);
            let is_old_deletion = version.location.is_none() && version.modified <= at;
            if !replaced && !is_old_deletion {
                break;
            }
            first += 1;
        }
        first
    }
}

impl Current {
    /// This as the record of `key`.
    pub(super) fn record(&self, key: &Bytes) -> Record {
        self.clone().into_record(key.clone())
    }

    fn into_record(self, key: Bytes) -> Record {
        Record {
            key,
            value: self.value,
            created: self.created,
            modified: self.modified,
            version: self.version,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: FileId = FileId(1);

    fn location(revision: u64) -> Location {
        let (file, len, offset) = (FILE, 1, revision * 8);
        Location { file, len, offset }
    }

    fn fields(value: &'static str, created: u64, version: u64) -> PutFields {
        PutFields {
            value: value.into(),
            created: Revision(created),
            version,
            expiry: None,
        }
    }

    /// a: put 2, put 3, deleted 5, put 6; b: put 4.
    fn sample() -> Index {
        let mut index = Index::new(Revision(1));
        let changes = [
            (2, "a", Some(fields("a2", 2, 1))),
            (3, "a", Some(fields("a3", 2, 2))),
            (4, "b", Some(fields("b4", 4, 1))),
            (5, "a", None),
            (6, "a", Some(fields("a6", 6, 1))),
        ];
        for (revision, key, put) in changes {
            index.apply(Commit {
                revision: Revision(revision),
                location: location(revision),
                changes: vec![(Bytes::from_static(key.as_bytes()), put)],
            });
        }
        index
    }

    fn seen(index: &Index, key: &str, at: u64) -> Option<u64> {
        index
            .get(key.as_bytes(), Revision(at))
            .map(|found| match found {
                Found::Here(record) => record.modified.0,
                Found::Stored { location, .. } => location.offset / 8,
            })
    }

    #[test]
    fn each_revision_sees_its_versions() {
        let index = sample();
        let a: Vec<_> = (1..=6).map(|at| seen(&index, "a", at)).collect();
        assert_eq!(a, [None, Some(2), Some(3), Some(3), None, Some(6)]);
        let page = index.range(&Span::all(), Some(1), Revision(4));
        assert_eq!((page.records.len(), page.count), (1, 2));
        assert_eq!(index.references(FILE), 4);
    }

    #[test]
    fn compaction_forgets_what_nobody_can_see() {
        let mut index = sample();
        index.compact(Revision(3));
        assert!(index.forget(100));
        let a: Vec<_> = (3..=6).map(|at| seen(&index, "a", at)).collect();
        assert_eq!(a, [Some(3), Some(3), None, Some(6)]);
        assert_eq!(index.references(FILE), 3);
        index.compact(Revision(5));
        assert!(!index.forget(1));
        assert!(index.forget(1));
        assert_eq!(seen(&index, "a", 6), Some(6));
        assert_eq!(index.references(FILE), 2);
    }

    #[test]
    fn deleted_keys_leave_nothing_behind() {
        let mut index = sample();
        index.apply(Commit {
            revision: Revision(7),
            location: location(7),
            changes: vec![(Bytes::from_static(b"a"), None)],
        });
        assert_eq!(index.size(), (1, 3));
        index.compact(Revision(7));
        assert!(index.forget(100));
        assert_eq!(index.keys.len(), 1);
        assert_eq!(index.references(FILE), 1);
    }

    #[test]
    fn replay_over_a_later_checkpoint_rebuilds_history() {
        let mut index = Index::new(Revision(6));
        let a = Bytes::from_static(b"a");
        index.load(a.clone(), Revision(6), location(6), fields("a6", 6, 1));
        let old = |revision| Prev {
            modified: Revision(revision),
            location: location(revision),
        };
        // The log begins after revision 2, so 2 is known from 3 alone.
        for (revision, prev, put) in [
            (3, Some(old(2)), Some(fields("a3", 2, 2))),
            (5, Some(old(3)), None),
            (6, None, Some(fields("a6", 6, 1))),
        ] {
            let key = a.clone();
            let change = LoggedChange { key, prev, put };
            index.replay(Revision(revision), location(revision), change);
        }
        let a: Vec<_> = (2..=6).map(|at| seen(&index, "a", at)).collect();
        assert_eq!(a, [Some(2), Some(3), Some(3), None, Some(6)]);
        index.compact(Revision(6));
        assert!(index.forget(100));
        assert_eq!(index.references(FILE), 1);
    }
}
