//! Quotas are charged in the transaction that writes the object: a quota that
//! changed in between makes it fail, and it is tried again.

use crate::registry::{Registry, Resource};
use crate::{failure, keys, written};
use admission::{Request, resource_quota};
use meta::{Status, Value};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use store::{Range, Record, Txn};
use tokio::sync::{Mutex, OwnedMutexGuard};

/// Namespaces share so many locks.
const LOCKS: usize = 64;

/// Those who write in a namespace with quotas go one after the other, so that
/// within one server nobody is overtaken; between servers the transaction
/// decides.
pub(crate) struct Turns(Box<[Arc<Mutex<()>>]>);

impl Default for Turns {
    fn default() -> Self {
        Turns((0..LOCKS).map(|_| Arc::default()).collect())
    }
}

impl Turns {
    async fn take(&self, namespace: &str) -> OwnedMutexGuard<()> {
        let mut hasher = DefaultHasher::new();
        namespace.hash(&mut hasher);
        let place = hasher.finish() as usize % self.0.len();
        self.0[place].clone().lock_owned().await
    }
}

impl Registry {
    /// Whether a namespace has quotas.
    pub(crate) fn has_quotas(&self, namespace: &str) -> bool {
        let resource = self.any_version("", "resourcequotas");
        resource.is_some_and(|resource| has_any(&resource, namespace))
    }

    /// Charges an object to the quotas of its namespace: adds to the
    /// transaction what becomes of them. What is returned is to be held until
    /// the transaction is through.
    pub(crate) async fn charge(
        &self,
        request: &Request<'_>,
        object: &Value,
        old: Option<&Value>,
        txn: &mut Txn,
    ) -> Result<Option<OwnedMutexGuard<()>>, Status> {
        if !resource_quota::concerns(request) {
            return Ok(None);
        }
        let Some(resource) = self.any_version("", "resourcequotas") else {
            return Ok(None);
        };
        if !has_any(&resource, request.namespace) {
            return Ok(None);
        }
        let span = keys::span(&resource.prefix, request.namespace);
        let turn = self.turns.take(request.namespace).await;
        let range = self.store().range(Range::new(span)).await;
        let records = range.map_err(failure::store)?.records;
        let read = |record: &Record| written::read(&resource, record);
        let quotas: Vec<Value> = records.iter().map(read).collect::<Result<_, _>>()?;
        let now = self.clock().wall();
        for (place, mut quota) in resource_quota::charge(request, object, old, &quotas, now)? {
            let (key, modified) = (records[place].key.clone(), records[place].modified);
            let bytes = written::bytes(&resource, &mut quota);
            *txn = std::mem::take(txn)
                .unchanged(key.clone(), modified)
                .put(key, bytes);
        }
        Ok(Some(turn))
    }
}

fn has_any(quotas: &Resource, namespace: &str) -> bool {
    let span = keys::span(&quotas.prefix, namespace);
    quotas.cache.snapshot(&span, |_| false).total > 0
}
