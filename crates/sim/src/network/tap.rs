//! What the server says to its clients, noted before anything is lost on the way.

use super::Events;
use crate::answers::Answer;
use crate::request::{Aim, Verb};
use crate::world::World;
use auth::User;
use bytes::Bytes;
use client::{Body, Response};
use futures::stream::StreamExt;
use serde_json::Value;

/// Notes what the server answers to one request.
pub(super) struct Tap {
    world: World,
    who: String,
    aim: Aim,
    /// The newest commit that anybody was told of before this was asked for.
    floor: u64,
}

impl Tap {
    pub(super) fn new(world: &World, user: &User, aim: Aim) -> Self {
        let floor = {
            let mut state = world.state();
            if matches!(aim.verb, Verb::Write | Verb::Delete | Verb::Evict) {
                let now = world.clock.now();
                state.asks.note(&aim.place, &user.name, aim.verb, now);
            }
            state.answers.newest()
        };
        Self {
            world: world.clone(),
            who: user.name.clone(),
            aim,
            floor,
        }
    }

    pub(super) fn kind(&self) -> &str {
        &self.aim.place.kind
    }

    pub(super) fn note(&self, response: Response) -> Response {
        let Aim { verb, place, .. } = &self.aim;
        let code = response.status.as_u16();
        if *verb != Verb::Get || code != 200 {
            self.world
                .trace
                .note(format_args!("{} {verb:?} {place} {code}", self.who));
        }
        match response.body {
            Body::Events(events) => Response {
                body: Body::Events(self.watched(events)),
                ..response
            },
            Body::Full(bytes) => {
                if !response.status.is_success() {
                    self.refused(&bytes);
                } else if let Err(why) = self.answered(&bytes) {
                    self.world.violate(why);
                }
                Response {
                    body: Body::Full(bytes),
                    ..response
                }
            }
            body => Response { body, ..response },
        }
    }

    /// Notes why the server refused what a client wanted to write.
    fn refused(&self, bytes: &Bytes) {
        let status = serde_json::from_slice::<Value>(bytes).unwrap_or_default();
        if matches!(status["code"].as_u64(), Some(422 | 500..)) {
            self.world
                .trace
                .note(format_args!("  {}", status["message"]));
        }
    }

    fn answered(&self, bytes: &Bytes) -> Result<(), String> {
        let Aim { verb, place, .. } = &self.aim;
        if !self.aim.is_noted() {
            return Ok(());
        }
        let answer: Value = serde_json::from_slice(bytes)
            .map_err(|error| format!("{verb:?} {place} answered no JSON: {error}"))?;
        let mut state = self.world.state();
        let state = &mut *state;
        if *verb != Verb::List {
            let answer = Answer::new(&self.who, &self.aim, self.floor, answer);
            return state.answers.take(answer, &state.history);
        }
        let revision = crate::history::revision(&answer["metadata"]);
        if revision < self.floor {
            return Err(format!(
                "List {place} answered {} with {revision}, but {} was acknowledged before",
                self.who, self.floor
            ));
        }
        let Some(selection) = self.aim.selection.clone() else {
            return Ok(());
        };
        state.taps.listed(self.who.clone(), selection, &answer);
        state.taps.check(&state.history)
    }

    fn watched(&self, events: Events) -> Events {
        let Some(selection) = self.aim.selection.clone() else {
            return events;
        };
        let after = self.aim.after;
        if after.is_none() && !self.aim.has_initial_events {
            return events;
        }
        let world = self.world.clone();
        let id = {
            let mut state = world.state();
            let state = &mut *state;
            let who = self.who.clone();
            state.taps.open(who, selection, after, &state.history)
        };
        let closing = Closing {
            world: world.clone(),
            id,
        };
        let noted = events.inspect(move |event| {
            let _ = &closing;
            let Ok(event) = event else { return };
            let outcome = {
                let mut state = world.state();
                let state = &mut *state;
                state.taps.said(id, event, &state.history)
            };
            if let Err(why) = outcome {
                world.violate(why);
            }
        });
        noted.boxed()
    }
}

/// Notes that a watch is no more, however it ends.
struct Closing {
    world: World,
    id: u64,
}

impl Drop for Closing {
    fn drop(&mut self) {
        self.world.state().taps.close(self.id);
    }
}
