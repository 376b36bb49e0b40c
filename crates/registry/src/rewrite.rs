//! Rewrite: read, change, compare and swap, and nothing else. It is for what the
//! server itself writes into an object because of a request that was about
//! something else, such as a binding: that request was admitted and checked, and
//! what it brings about has no owner among the managers of fields.
//!
//! Follows GuaranteedUpdate of k8s.io/apiserver/pkg/storage/etcd3/store.go.

use crate::registry::{Registry, Resource};
use crate::update::{other_than_wanted, overtaken};
use crate::{Call, failure, keys, written};
use bytes::Bytes;
use meta::object::Object as _;
use meta::{Status, Value};
use store::{Outcome, Txn};

/// Which object it has to be; what is empty does not matter.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// This very object.
    pub uid: &'a str,
    /// At this version.
    pub resource_version: &'a str,
}

impl Wanted<'_> {
    /// Follows Check of apiserver's pkg/storage/interfaces.go.
    fn check(self, key: &Bytes, object: &Value) -> Result<(), String> {
        let (uid, version) = (object.uid(), object.resource_version());
        for (what, wanted, found) in [
            ("UID", self.uid, uid),
            ("ResourceVersion", self.resource_version, version),
        ] {
            if !wanted.is_empty() && wanted != found {
                return Err(other_than_wanted(key, what, wanted, found));
            }
        }
        Ok(())
    }
}

impl Registry {
    /// Changes an object in its stored form if it is what is wanted, again
    /// whenever somebody else was faster. `change` leaves it as valid as it was.
    pub async fn rewrite(
        &self,
        call: &Call<'_>,
        resource: &Resource,
        namespace: &str,
        name: &str,
        wanted: Wanted<'_>,
        change: &(dyn Fn(&mut Value) -> Result<(), Status> + Sync),
    ) -> Result<(), Status> {
        let key = keys::key(&resource.prefix, namespace, name);
        let mut record = self.store().get(&key, None).await.map_err(failure::store)?;
        loop {
            let Some(found) = record else {
                return Err(Status::not_found(&resource.card().group_resource(), name));
            };
            let mut object = written::read(resource, &found)?;
            wanted
                .check(&key, &object)
                .map_err(|why| Status::conflict(&resource.card().group_resource(), name, why))?;
            change(&mut object)?;
            let bytes = written::bytes(resource, &mut object);
            if call.dry_run || found.value == bytes {
                return Ok(());
            }
            let txn = Txn::default().unchanged(key.clone(), found.modified);
            let txn = txn.put_for(key.clone(), bytes, resource.hub().ttl());
            match self.store().txn(txn).await.map_err(failure::store)? {
                Outcome::Committed(_) => return Ok(()),
                Outcome::Conflict(conflict) => record = overtaken(self, conflict, &key).await?,
            }
        }
    }
}
