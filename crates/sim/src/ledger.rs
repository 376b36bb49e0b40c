//! What was asked of the store and what it answered: the account of writes that
//! recovery has to honour. A write that was acknowledged is in the history at
//! its revision; one that was refused is not; one whose answer never came may be
//! there, once.

use crate::history::{Place, Step};
use async_trait::async_trait;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use store::{
    Embedded, Error, Op, Outcome, Page, Range, Record, Revision, Store, Txn, Watch, WatchFrom,
};

type Ops = BTreeMap<Bytes, Option<Bytes>>;

/// All writes of a run.
#[derive(Default)]
pub struct Ledger {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    next: u64,
    /// Under way, or of unknown outcome.
    open: BTreeMap<u64, Arc<Ops>>,
    /// Acknowledged, and not yet seen in the history.
    acknowledged: BTreeMap<u64, Arc<Ops>>,
    /// Found in the history while their outcome was open, and where.
    matched: BTreeMap<u64, (u64, Arc<Ops>)>,
    /// What the history has.
    happened: BTreeMap<u64, Arc<Ops>>,
    /// The newest revision that was acknowledged.
    newest: u64,
    /// How far the history was looked at.
    seen: u64,
    violation: Option<String>,
}

impl Ledger {
    fn begin(&self, txn: &Txn) -> u64 {
        let ops = txn.ops.iter().map(|op| match op {
            Op::Put { key, value, .. } => (key.clone(), Some(value.clone())),
            Op::Delete { key } => (key.clone(), None),
        });
        let ops = Arc::new(ops.collect());
        let mut inner = self.inner();
        let id = inner.next;
        inner.next += 1;
        inner.open.insert(id, ops);
        id
    }

    fn end(&self, id: u64, outcome: &Result<Outcome, Error>) {
        let mut inner = self.inner();
        match outcome {
            Ok(Outcome::Committed(revision)) => inner.acknowledge(id, revision.0),
            Ok(Outcome::Conflict(_)) => inner.refuse(id),
            Err(error) if error.outcome_unknown() => {}
            Err(_) => inner.refuse(id),
        }
    }

    /// Holds a commit against what was asked for.
    pub fn check(&self, step: &Step, raw: &BTreeMap<Bytes, Option<Bytes>>) -> Result<(), String> {
        let mut inner = self.inner();
        if let Some(violation) = inner.violation.take() {
            return Err(violation);
        }
        inner.step(step, raw)
    }

    /// Says whether something acknowledged is missing at this revision.
    pub fn check_recovered(&self, revision: u64) -> Result<(), String> {
        let newest = self.inner().newest;
        if revision < newest {
            return Err(format!(
                "recovery ended at {revision}, but {newest} was acknowledged"
            ));
        }
        Ok(())
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn acknowledge(&mut self, id: u64, revision: u64) {
        self.newest = self.newest.max(revision);
        let ops = match self.open.get(&id).cloned() {
            Some(ops) => ops,
            None => match self.matched.remove(&id) {
                Some((at, _)) if at == revision => return,
                Some((at, ops)) => {
                    self.pass_on(at, &ops, "acknowledged at another revision");
                    ops
                }
                None => return,
            },
        };
        if self
            .happened
            .get(&revision)
            .is_some_and(|done| agrees(&ops, done))
        {
            // What was taken for this commit's was another's of the same content.
            self.open.remove(&id);
        } else if ops.values().any(Option::is_some) || revision > self.seen {
            self.open.remove(&id);
            self.expect(revision, ops);
        }
        // What deletes only may have found nothing, and have made no commit.
    }

    fn expect(&mut self, revision: u64, ops: Arc<Ops>) {
        if revision <= self.seen {
            self.violation = Some(format!(
                "commit {revision} was acknowledged, but the history has something else there: {}",
                places(&ops)
            ));
            return;
        }
        self.acknowledged.insert(revision, ops);
    }

    fn refuse(&mut self, id: u64) {
        if self.open.remove(&id).is_none()
            && let Some((revision, ops)) = self.matched.remove(&id)
        {
            self.pass_on(revision, &ops, "refused");
        }
    }

    /// A commit was taken for a write that did not make it: then another one of
    /// the same content did.
    fn pass_on(&mut self, revision: u64, ops: &Arc<Ops>, what: &str) {
        match self.take_open(ops) {
            Some((id, ops)) => drop(self.matched.insert(id, (revision, ops))),
            None => {
                self.violation = Some(format!(
                    "a write was {what}, but it happened at {revision}: {}",
                    places(ops)
                ));
            }
        }
    }

    fn step(&mut self, step: &Step, raw: &Ops) -> Result<(), String> {
        let revision = step.revision;
        self.seen = revision;
        while let Some((lost, ops)) = self.acknowledged.first_key_value()
            && *lost < revision
        {
            if ops.values().any(Option::is_some) {
                return Err(format!(
                    "commit {lost} was acknowledged, but it is not in the history: {}",
                    places(ops)
                ));
            }
            self.acknowledged.pop_first();
        }
        self.happened.insert(revision, Arc::new(raw.clone()));
        match self.acknowledged.remove(&revision) {
            Some(ops) if agrees(&ops, raw) => return Ok(()),
            Some(ops) if ops.values().any(Option::is_some) => {
                return Err(format!(
                    "commit {revision} should have changed {}, but changed {}",
                    places(&ops),
                    places(raw)
                ));
            }
            _ => {}
        }
        match self.take_open(raw) {
            Some((id, ops)) => drop(self.matched.insert(id, (revision, ops))),
            None if is_expiry(step) => {}
            None => {
                return Err(format!(
                    "commit {revision} was asked for by nobody: {}",
                    places(raw)
                ));
            }
        }
        Ok(())
    }

    fn take_open(&mut self, raw: &Ops) -> Option<(u64, Arc<Ops>)> {
        let id = self
            .open
            .iter()
            .find(|(_, ops)| agrees(ops, raw))
            .map(|(id, _)| *id)?;
        Some((id, self.open.remove(&id)?))
    }
}

/// Whether a commit did what was asked. Deleting what does not exist is asked
/// for and does nothing.
fn agrees(asked: &Ops, done: &Ops) -> bool {
    done.iter()
        .all(|(key, value)| asked.get(key) == Some(value))
        && asked
            .iter()
            .all(|(key, value)| value.is_none() || done.contains_key(key))
}

/// Events end by themselves.
fn is_expiry(step: &Step) -> bool {
    let mut changes = step.changes.iter();
    changes.all(|change| change.is_removal() && change.place.kind == "core/events")
}

fn places(ops: &Ops) -> String {
    let place = |(key, value): (&Bytes, &Option<Bytes>)| {
        let verb = if value.is_some() { "put" } else { "delete" };
        format!("{verb} {}", Place::of(key))
    };
    ops.iter().map(place).collect::<Vec<_>>().join(", ")
}

/// A store whose writes are noted.
pub struct Noted {
    /// The store.
    pub inner: Arc<Embedded>,
    /// Where they are noted.
    pub ledger: Arc<Ledger>,
}

#[async_trait]
impl Store for Noted {
    async fn get(&self, key: &[u8], at: Option<Revision>) -> Result<Option<Record>, Error> {
        self.inner.get(key, at).await
    }

    async fn range(&self, range: Range) -> Result<Page, Error> {
        self.inner.range(range).await
    }

    async fn txn(&self, txn: Txn) -> Result<Outcome, Error> {
        let id = self.ledger.begin(&txn);
        let outcome = self.inner.txn(txn).await;
        self.ledger.end(id, &outcome);
        outcome
    }

    async fn watch(&self, from: WatchFrom) -> Result<Watch, Error> {
        self.inner.watch(from).await
    }

    async fn compact(&self, at: Revision) -> Result<(), Error> {
        self.inner.compact(at).await
    }

    async fn revision(&self) -> Result<Revision, Error> {
        self.inner.revision().await
    }

    async fn compacted(&self) -> Result<Revision, Error> {
        self.inner.compacted().await
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}
