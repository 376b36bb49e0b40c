//! What happens to the objects of a kind, cut so that whoever watches a part
//! is neither woken nor made to look by the rest: a thousand kubelets do not
//! scan each other's pods.
//!
//! A topic has a ring of its own as long as somebody watches it, filled from
//! the kind's ring when its first watcher comes.

use crate::cache::{Cursor, Event, TooOld};
use bytes::Bytes;
use meta::Str;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use stdx::latest;
use store::Revision;

/// A part of what happens to a kind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Topic {
    /// Everything.
    All,
    /// One namespace.
    Namespace(Str),
    /// The objects that have or had this value in the indexed field.
    Indexed(Str),
    /// One object.
    Object(Bytes),
}

/// The events of one topic.
#[derive(Debug)]
struct Ring {
    events: VecDeque<(u64, Arc<Event>)>,
    /// The number after the last event that is here no more.
    lost: u64,
    head: latest::Sender<u64>,
}

/// The topics that are watched.
#[derive(Debug, Default)]
pub(crate) struct Topics {
    rings: BTreeMap<Topic, Ring>,
    /// At how many rings those that nobody watches are looked for.
    crowd: usize,
}

impl Topics {
    /// Begins to keep a topic, from these events on; `next` is the number of
    /// the event to come.
    pub(crate) fn subscribe<'e>(
        &mut self,
        topic: Topic,
        indexed: Option<usize>,
        events: impl Iterator<Item = (u64, &'e Arc<Event>)>,
        first: u64,
        next: u64,
    ) -> latest::Receiver<u64> {
        if let Some(ring) = self.rings.get(&topic) {
            return ring.head.subscribe();
        }
        if self.rings.len() >= self.crowd {
            self.rings.retain(|_, ring| ring.head.receiver_count() > 0);
            self.crowd = self.rings.len() * 2 + 16;
        }
        let events = events.filter(|(_, event)| concerns(event, &topic, indexed));
        let ring = Ring {
            events: events.map(|(n, event)| (n, event.clone())).collect(),
            lost: first,
            head: latest::Sender::new(next),
        };
        let receiver = ring.head.subscribe();
        self.rings.insert(topic, ring);
        receiver
    }

    /// Takes in an event; the ring of all begins at `first`.
    pub(crate) fn push(
        &mut self,
        number: u64,
        event: &Arc<Event>,
        first: u64,
        indexed: Option<usize>,
    ) {
        if self.rings.is_empty() {
            return;
        }
        let mut topics: Vec<Topic> = Vec::with_capacity(4);
        for object in [&event.current, &event.previous].into_iter().flatten() {
            for topic in [
                Some(Topic::Object(object.key.clone())),
                Some(Topic::Namespace(object.namespace().into())),
                indexed.map(|i| Topic::Indexed(object.field(i).into())),
            ] {
                topics.extend(topic.filter(|topic| !topics.contains(topic)));
            }
        }
        for topic in topics {
            let Some(ring) = self.rings.get_mut(&topic) else {
                continue;
            };
            if ring.head.receiver_count() == 0 {
                self.rings.remove(&topic);
                continue;
            }
            while let Some((gone, _)) = ring.events.front().filter(|(n, _)| *n < first) {
                ring.lost = gone + 1;
                ring.events.pop_front();
            }
            ring.events.push_back((number, event.clone()));
            ring.head.send_replace(number + 1);
        }
    }

    /// What a cursor has not seen, up to `max` events; moves the cursor.
    pub(crate) fn read_from(
        &self,
        topic: &Topic,
        cursor: &mut Cursor,
        max: usize,
        horizon: Revision,
    ) -> Result<Vec<Arc<Event>>, TooOld> {
        let too_old = TooOld { horizon };
        let ring = self.rings.get(topic).ok_or(too_old)?;
        if cursor.0 < ring.lost {
            return Err(too_old);
        }
        let skip = ring.events.partition_point(|(n, _)| *n < cursor.0);
        let events: Vec<_> = ring.events.iter().skip(skip).take(max).collect();
        if let Some((last, _)) = events.last() {
            cursor.0 = last + 1;
        }
        Ok(events.into_iter().map(|(_, event)| event.clone()).collect())
    }

    /// Forgets all events: everything before `next` is lost.
    pub(crate) fn reset(&mut self, next: u64) {
        for ring in self.rings.values_mut() {
            ring.events.clear();
            ring.lost = next;
            ring.head.send_replace(next);
        }
    }

    /// Wakes all watchers.
    pub(crate) fn wake(&self) {
        self.rings
            .values()
            .for_each(|ring| ring.head.send_modify(|_| {}));
    }
}

fn concerns(event: &Event, topic: &Topic, indexed: Option<usize>) -> bool {
    let mut objects = [&event.current, &event.previous].into_iter().flatten();
    objects.any(|object| match topic {
        Topic::All => true,
        Topic::Namespace(namespace) => object.namespace() == namespace,
        Topic::Indexed(value) => indexed.is_some_and(|i| object.field(i) == value),
        Topic::Object(key) => object.key == key,
    })
}
