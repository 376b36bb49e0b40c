//! The way of a watch's events: late at times, silent for a while, or broken off.

use super::{Events, Network, PATIENCE};
use crate::world::World;
use client::{EventType, TransportError};
use futures::stream::StreamExt;
use std::time::Duration;
use stdx::Rng;

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
    pub(super) fn disturb(self, events: Events, kind: String, teaches: Option<World>) -> Events {
        let state = (Some(events), self);
        let disturbed = futures::stream::unfold(state, move |(events, way)| {
            let (kind, teaches) = (kind.clone(), teaches.clone());
            async move {
                let mut events = events?;
                let event = events.next().await;
                let broken = |way| Some((Err(TransportError::Body("broken".into())), (None, way)));
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
                if let Some(world) = teaches
                    && event.kind != EventType::Bookmark
                    && event.kind != EventType::Error
                {
                    let gone = event.kind == EventType::Deleted;
                    let now = world.clock.now();
                    let mut state = world.state();
                    state.knowledge.tell(&kind, &event.object, gone, now);
                }
                Some((Ok(event), (Some(events), way)))
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
