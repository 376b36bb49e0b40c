//! What the controllers were told, and when: promises that are about what a
//! controller may know are held against this and not against the truth.

use crate::history::Place;
use bytes::Bytes;
use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use stdx::Instant;

/// How long after it was told of something newer a controller may still act on
/// the older: its requests are under way, and are tried again.
const WINDOW: Duration = Duration::from_secs(30);

/// Of which kinds promises ask what is known.
const KINDS: [&str; 3] = ["apps/deployments", "apps/replicasets", "core/pods"];

/// What the controllers were told.
#[derive(Debug, Default)]
pub struct Knowledge {
    told: BTreeMap<Place, VecDeque<(Instant, Option<Arc<Value>>)>>,
}

impl Knowledge {
    /// Notes what a controller's watch delivered.
    pub fn tell(&mut self, kind: &str, object: &Bytes, gone: bool, now: Instant) {
        if !KINDS.contains(&kind) {
            return;
        }
        let Ok(value) = serde_json::from_slice::<Value>(object) else {
            return;
        };
        let text = |key: &str| value["metadata"][key].as_str().unwrap_or_default();
        let place = Place::new(kind, text("namespace"), text("name"));
        let told = self.told.entry(place).or_insert_with(unknown);
        told.push_back((now, (!gone).then(|| Arc::new(value))));
        forget(told, now);
    }

    /// The objects of a kind in a namespace that a controller was ever told of.
    pub fn places<'a>(
        &'a self,
        kind: &'a str,
        namespace: &'a str,
    ) -> impl Iterator<Item = &'a Place> {
        let told = self.told.range(Place::new(kind, namespace, "")..);
        told.map(|(place, _)| place)
            .take_while(move |place| place.kind == kind && place.namespace == namespace)
    }

    /// All states of an object on which a controller may act now.
    pub fn of(&self, place: &Place, now: Instant) -> Vec<Arc<Value>> {
        self.states(place, now).into_iter().flatten().collect()
    }

    /// Whether a controller may act now as if the object were not there.
    pub fn may_miss(&self, place: &Place, now: Instant) -> bool {
        self.states(place, now).iter().any(Option::is_none)
    }

    fn states(&self, place: &Place, now: Instant) -> Vec<Option<Arc<Value>>> {
        let mut told = self.told.get(place).cloned().unwrap_or_else(unknown);
        forget(&mut told, now);
        told.into_iter().map(|(_, value)| value).collect()
    }
}

/// What is told of something before anything is.
fn unknown() -> VecDeque<(Instant, Option<Arc<Value>>)> {
    VecDeque::from([(Instant::ORIGIN, None)])
}

/// Drops what was replaced so long ago that nobody acts on it any more.
fn forget(told: &mut VecDeque<(Instant, Option<Arc<Value>>)>, now: Instant) {
    while let Some((replaced, _)) = told.get(1)
        && now - *replaced > WINDOW
    {
        told.pop_front();
    }
}
