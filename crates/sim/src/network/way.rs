//! The way of a watch's events: late at times, silent for a while, or broken off.

use super::{Events, Network, PATIENCE};
use crate::head::Head;
use crate::world::World;
use bytes::Bytes;
use client::{EventType, TransportError, WatchEvent};
use futures::stream::StreamExt;
use std::time::Duration;
use stdx::Rng;

/// Who learns from a watch. What there is at its beginning is known when all of it has arrived.
pub(super) struct Pupil {
    world: World,
    initial: Option<Vec<Bytes>>,
}

impl Pupil {
    pub(super) fn new(world: &World, hears_initial: bool) -> Self {
        Self {
            world: world.clone(),
            initial: hears_initial.then(Vec::new),
        }
    }

    fn hear(&mut self, kind: &str, event: &WatchEvent) {
        let now = self.world.clock.now();
        match (event.kind, &mut self.initial) {
            (EventType::Error, _) | (EventType::Bookmark, None) => {}
            (EventType::Bookmark, Some(_))
                if !Head::read(&event.object).is_ok_and(|head| head.ends_initial()) => {}
            (EventType::Bookmark, initial) => {
                let initial = initial.take().unwrap_or_default();
                let mut state = self.world.state();
                for object in initial {
                    state.knowledge.tell(kind, &object, false, now);
                }
            }
            (_, Some(initial)) => initial.push(event.object.clone()),
            (what, None) => {
                let gone = what == EventType::Deleted;
                let mut state = self.world.state();
                state.knowledge.tell(kind, &event.object, gone, now);
            }
        }
    }
}

/// The way of one watch's events.
pub(super) struct Way {
    pub(super) world: World,
    pub(super) network: Network,
    pub(super) machine: String,
    pub(super) rng: Rng,
}

impl Way {
    /// Delivers events, late at times, and not all of them. The stream of a server
    /// that has ended breaks off.
    pub(super) fn disturb(self, events: Events, kind: String, pupil: Option<Pupil>) -> Events {
        let state = (Some(events), self, pupil);
        let disturbed = futures::stream::unfold(state, move |(events, way, mut pupil)| {
            let kind = kind.clone();
            async move {
                let mut events = events?;
                let event = events.next().await;
                let broken = |way| {
                    Some((
                        Err(TransportError::Body("broken".into())),
                        (None, way, None),
                    ))
                };
                let Some(Ok(event)) = event else {
                    return if way.rng.chance(0.5) {
                        None
                    } else {
                        broken(way)
                    };
                };
                if !way.passes().await {
                    return broken(way);
                }
                if let Some(pupil) = &mut pupil {
                    pupil.hear(&kind, &event);
                }
                Some((Ok(event), (Some(events), way, pupil)))
            }
        });
        disturbed.boxed()
    }

    /// Waits until an event is through; false if the watch broke before.
    async fn passes(&self) -> bool {
        let odds = self.network.odds();
        let clock = &self.world.clock;
        if self.rng.chance(0.05) {
            let millis = odds.delay_max.as_millis() as u64;
            clock
                .sleep(Duration::from_millis(self.rng.below(millis + 1)))
                .await;
        }
        let since = clock.now();
        if self.rng.chance(odds.watch_stall) {
            let stall = PATIENCE.mul_f64(self.rng.unit());
            while self.network.odds().watch_stall > 0.0 && clock.since(since) < stall {
                clock.sleep(Duration::from_millis(500)).await;
            }
        }
        while self.network.is_cut(&self.machine) {
            if clock.since(since) > PATIENCE {
                return false;
            }
            clock.sleep(Duration::from_millis(500)).await;
        }
        !self.rng.chance(odds.watch_cut)
    }
}
