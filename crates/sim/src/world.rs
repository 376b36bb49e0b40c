//! What all parts of a run share: time, the record, the truth, the checkers, and
//! the first thing that was found wrong.

use crate::answers::Answers;
use crate::asks::Asks;
use crate::history::{History, Step};
use crate::invariants::{self, Invariant, View};
use crate::knowledge::Knowledge;
use crate::ledger::Ledger;
use crate::scenario::Scenario;
use crate::taps::Taps;
use crate::trace::Trace;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use stdx::{CancellationToken, Clock, Rng};
use store::{Batch, Event};

/// What all parts of a run share. Clones are the same world.
#[derive(Clone)]
pub struct World {
    /// The time of the server's machine.
    pub clock: Clock,
    /// Where every part's randomness comes from.
    pub rng: Rng,
    /// The record.
    pub trace: Trace,
    /// The circumstances.
    pub scenario: Arc<Scenario>,
    /// What was asked of the store.
    pub ledger: Arc<Ledger>,
    /// Cancelled when something is wrong.
    pub stop: CancellationToken,
    state: Arc<Mutex<State>>,
}

/// What changes as the run goes on.
pub struct State {
    /// What has happened.
    pub history: History,
    /// What clients were told of many objects.
    pub taps: Taps,
    /// What clients were told of single objects.
    pub answers: Answers,
    /// What clients wanted to go.
    pub asks: Asks,
    /// What the controllers know.
    pub knowledge: Knowledge,
    invariants: Vec<Box<dyn Invariant>>,
    violation: Option<String>,
}

impl World {
    /// A world in which nothing has happened.
    pub fn new(scenario: Scenario, clock: Clock, trace: Trace) -> Self {
        let rng = Rng::seeded(scenario.seed ^ 0x7469_7068_7973);
        let state = State {
            history: History::default(),
            taps: Taps::default(),
            answers: Answers::default(),
            asks: Asks::default(),
            knowledge: Knowledge::default(),
            invariants: invariants::all(),
            violation: None,
        };
        Self {
            clock,
            rng,
            trace,
            scenario: Arc::new(scenario),
            ledger: Arc::default(),
            stop: CancellationToken::new(),
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// Takes in what the store reports and holds every promise against it, commit
    /// by commit.
    pub fn take(&self, batch: &Batch) {
        let outcome = {
            let mut state = self.state();
            self.take_all(&mut state, batch)
        };
        if let Err(violation) = outcome {
            self.violate(violation);
        }
    }

    fn take_all(&self, state: &mut State, batch: &Batch) -> Result<(), String> {
        let now = self.clock.now();
        for commit in batch
            .events
            .chunk_by(|one, two| one.revision == two.revision)
        {
            let step = state.history.take(commit, now)?;
            self.step(state, &step, &raw_of(commit))?;
        }
        state.history.is_at(batch.progress.0);
        state.answers.check(&state.history)?;
        state.taps.check(&state.history)
    }

    fn step(
        &self,
        state: &mut State,
        step: &Step,
        raw: &BTreeMap<Bytes, Option<Bytes>>,
    ) -> Result<(), String> {
        for change in &step.changes {
            let verb = match (&change.old, &change.new) {
                (None, _) => "+",
                (Some(_), Some(_)) => "~",
                (Some(_), None) => "-",
            };
            self.trace
                .note(format_args!("{} {verb} {}", step.revision, change.place));
            if let Some(new) = &change.new {
                self.trace.show(&change.place, new.at(""));
            }
        }
        self.ledger.check(step, raw)?;
        let State {
            history,
            knowledge,
            asks,
            invariants,
            ..
        } = state;
        let view = View {
            history,
            knowledge,
            asks,
            scenario: &self.scenario,
            now: step.at,
        };
        for invariant in invariants {
            let outcome = invariant.step(&view, step);
            outcome.map_err(|why| {
                format!("{} broken at {}: {why}", invariant.name(), step.revision)
            })?;
        }
        Ok(())
    }

    /// What is not as it has to be when everything is at rest; none if all is well.
    pub fn at_rest(&self) -> Vec<String> {
        let mut state = self.state();
        let mut found = Vec::new();
        let State {
            history,
            taps,
            knowledge,
            asks,
            invariants,
            ..
        } = &mut *state;
        if let Err(why) = taps.check_complete(history) {
            found.push(why);
        }
        let view = View {
            history,
            knowledge,
            asks,
            scenario: &self.scenario,
            now: self.clock.now(),
        };
        for invariant in invariants {
            if let Err(why) = invariant.rest(&view) {
                found.push(format!("{}: {why}", invariant.name()));
            }
        }
        found
    }

    /// Says that something is wrong. What was found first counts.
    pub fn violate(&self, what: impl Display) {
        let mut state = self.state();
        if state.violation.is_none() {
            self.trace.note(format_args!("VIOLATION {what}"));
            state.violation = Some(what.to_string());
        }
        self.stop.cancel();
    }

    /// What was found wrong.
    pub fn violation(&self) -> Option<String> {
        self.state().violation.clone()
    }

    /// The changing part.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a commit wrote, in the store's own terms.
fn raw_of(commit: &[Event]) -> BTreeMap<Bytes, Option<Bytes>> {
    let written = commit.iter().map(|event| {
        let value = match &event.change {
            store::Change::Put { record, .. } => Some(record.value.whole().into_owned().into()),
            store::Change::Delete { .. } => None,
        };
        (event.key().clone(), value)
    });
    written.collect()
}
