//! Delete: at once, gracefully, or when the last finalizer is gone. Follows
//! apiserver's pkg/registry/rest/delete.go and generic/registry/store.go.

use crate::registry::{Registry, Resource};
use crate::stored::Selection;
use crate::update::overtaken;
use crate::written;
use crate::{Call, failure, keys};
use admission::{Operation, Request};
use bytes::Bytes;
use jiff::SignedDuration;
use meta::object::Object as _;
use meta::{GroupResource, Status, Value, labels, time};
use store::{Outcome, Record, Txn};

/// What becomes of dependents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Propagation {
    /// They stay, without this owner.
    Orphan,
    /// They go after it.
    Background,
    /// They go before it.
    Foreground,
}

/// How a client wants an object deleted.
#[derive(Clone, Debug, Default)]
pub struct DeleteOptions {
    /// Seconds until it is killed.
    pub grace_period_seconds: Option<i64>,
    /// Only this very object.
    pub uid: Option<String>,
    /// Only at this version.
    pub resource_version: Option<String>,
    /// What becomes of dependents; the kind's own way when absent.
    pub propagation: Option<Propagation>,
}

/// How a delete ended.
#[derive(Debug)]
pub enum Deleted {
    /// It is gone; as it last was.
    Gone(Value),
    /// It is on its way out; as it is now.
    Going(Value),
}

impl Deleted {
    /// The object, gone or going.
    pub fn object(self) -> Value {
        match self {
            Deleted::Gone(object) | Deleted::Going(object) => object,
        }
    }
}

impl Registry {
    /// Deletes one object.
    pub async fn delete(
        &self,
        call: &Call<'_>,
        resource: &Resource,
        namespace: &str,
        name: &str,
        options: &DeleteOptions,
    ) -> Result<Deleted, Status> {
        let card = resource.card();
        let key = keys::key(&resource.prefix, namespace, name);
        let mut record = self.store().get(&key, None).await.map_err(failure::store)?;
        self.admit_delete(call, resource, namespace, name, record.as_ref())
            .await?;
        loop {
            let Some(found) = record else {
                return Err(Status::not_found(&card.group_resource(), name));
            };
            match self
                .try_delete(call, resource, &key, &found, options)
                .await?
            {
                Ok(deleted) => return Ok(deleted),
                Err(newer) => record = newer,
            }
        }
    }

    async fn admit_delete(
        &self,
        call: &Call<'_>,
        resource: &Resource,
        namespace: &str,
        name: &str,
        record: Option<&Record>,
    ) -> Result<(), Status> {
        let Some(record) = record else { return Ok(()) };
        let card = resource.card();
        let kind = card.gvk();
        let request = Request {
            user: call.user,
            operation: Operation::Delete,
            group: card.group,
            resource: card.plural,
            subresource: "",
            kind: &kind,
            namespace,
            name,
            dry_run: call.dry_run,
        };
        let old = written::serve(resource, written::read(resource, record)?);
        self.admission
            .mutate(&request, &mut Value::Null, Some(&old), self)
            .await?;
        let mut warnings = Vec::new();
        self.admission
            .validate(&request, &Value::Null, Some(&old), self, &mut warnings)
            .await?;
        warnings.into_iter().for_each(|w| call.warn(w));
        Ok(())
    }

    /// One try; `Err` inside brings the newer record after losing a race.
    async fn try_delete(
        &self,
        call: &Call<'_>,
        resource: &Resource,
        key: &Bytes,
        record: &Record,
        options: &DeleteOptions,
    ) -> Result<Result<Deleted, Option<Record>>, Status> {
        let old = written::read(resource, record)?;
        check_preconditions(resource, &old, options)?;
        let mut object = old.clone();
        self.mark(resource, &mut object, options);
        let stays = !self.is_ready_to_go(resource, &object);
        if stays && object == old {
            return Ok(Ok(Deleted::Going(written::serve(resource, old))));
        }
        if call.dry_run {
            let object = written::serve(resource, object);
            return Ok(Ok(if stays {
                Deleted::Going(object)
            } else {
                Deleted::Gone(object)
            }));
        }
        let mut txn = Txn::default().unchanged(key.clone(), record.modified);
        if stays {
            let bytes = written::bytes(resource, &mut object);
            txn = txn.put_for(key.clone(), bytes, resource.hub().ttl());
        } else {
            if let Some(hook) = self.hooks.of(resource.hub().card()) {
                hook.delete(self, &object, &mut txn).await?;
            }
            txn = txn.delete(key.clone());
        }
        match self.store().txn(txn).await.map_err(failure::store)? {
            Outcome::Committed(revision) => {
                if stays {
                    object
                        .metadata_mut()
                        .insert("resourceVersion", revision.to_string());
                    return Ok(Ok(Deleted::Going(written::serve(resource, object))));
                }
                Ok(Ok(Deleted::Gone(written::serve(resource, old))))
            }
            Outcome::Conflict(conflict) => Ok(Err(overtaken(self, conflict, key).await?)),
        }
    }

    /// Marks an object as deleted: when, with what grace, and who must still
    /// have their say.
    fn mark(&self, resource: &Resource, object: &mut Value, options: &DeleteOptions) {
        let kind = resource.hub();
        let grace = kind.grace(object, options.grace_period_seconds);
        if object.is_deleting() && kind.is_held(object) {
            // A namespace that is being emptied: what the first delete said stands.
            return;
        }
        if object.is_deleting() {
            let asked = grace.filter(|_| options.grace_period_seconds.is_some());
            if shorten(object, asked) == Pending::Still {
                return;
            }
        } else {
            let grace = grace.unwrap_or(0);
            let at = self.clock().wall() + SignedDuration::from_secs(grace);
            let metadata = object.metadata_mut();
            metadata.insert("deletionTimestamp", time::seconds(at));
            metadata.insert("deletionGracePeriodSeconds", grace);
            if resource.hub().card().generation {
                let next = object.generation() + 1;
                object.metadata_mut().insert("generation", next);
            }
        }
        hold(kind, object, options.propagation);
        kind.prepare_delete(object);
    }

    /// Deletes all that is selected; gives what was deleted.
    pub async fn delete_collection(
        &self,
        call: &Call<'_>,
        resource: &Resource,
        selection: &Selection,
        options: &DeleteOptions,
    ) -> Result<Vec<Value>, Status> {
        let listed = self.list_now(resource, selection).await?;
        let mut deleted = Vec::with_capacity(listed.len());
        for stored in listed {
            match self
                .delete(call, resource, stored.namespace(), stored.name(), options)
                .await
            {
                Ok(outcome) => deleted.push(outcome.object()),
                Err(status) if status.reason == meta::Reason::NotFound => {}
                Err(status) => return Err(status),
            }
        }
        Ok(deleted)
    }
}

/// Whether an object that is on its way out goes on as it did.
#[derive(PartialEq, Eq)]
enum Pending {
    /// Its grace runs; nothing of it can be changed by another delete.
    Still,
    /// It has none, or less than before.
    NoMore,
}

/// A second delete can shorten the grace, never lengthen it.
fn shorten(object: &mut Value, grace: Option<i64>) -> Pending {
    let current = object
        .i64_at(&["metadata", "deletionGracePeriodSeconds"])
        .unwrap_or(0);
    if current == 0 {
        return Pending::NoMore;
    }
    let Some(grace) = grace.filter(|grace| *grace < current) else {
        return Pending::Still;
    };
    let at = time::parse(object.meta_str("deletionTimestamp"));
    let metadata = object.metadata_mut();
    if let Some(at) = at {
        metadata.insert(
            "deletionTimestamp",
            time::seconds(at - SignedDuration::from_secs(current - grace)),
        );
    }
    metadata.insert("deletionGracePeriodSeconds", grace);
    Pending::NoMore
}

/// The finalizers by which the garbage collector has its say.
fn hold(kind: &dyn api::Kind, object: &mut Value, propagation: Option<Propagation>) {
    let held: Vec<String> = object
        .finalizers()
        .into_iter()
        .map(str::to_string)
        .collect();
    let propagation = propagation.or_else(|| {
        let orphans =
            kind.orphans_by_default() && !held.iter().any(|f| f == labels::FOREGROUND_DELETION);
        orphans.then_some(Propagation::Orphan)
    });
    let Some(propagation) = propagation else {
        return;
    };
    let mut finalizers: Vec<String> = held
        .into_iter()
        .filter(|f| f != labels::FOREGROUND_DELETION && f != labels::ORPHAN_DEPENDENTS)
        .collect();
    match propagation {
        Propagation::Orphan => finalizers.push(labels::ORPHAN_DEPENDENTS.into()),
        Propagation::Foreground => finalizers.push(labels::FOREGROUND_DELETION.into()),
        Propagation::Background => {}
    }
    let metadata = object.metadata_mut();
    match finalizers.is_empty() {
        true => metadata.remove("finalizers"),
        false => metadata.insert("finalizers", finalizers),
    };
}

/// Follows apiserver's pkg/registry/rest/delete.go, BeforeDelete.
fn check_preconditions(
    resource: &Resource,
    object: &Value,
    options: &DeleteOptions,
) -> Result<(), Status> {
    let conflict = |what: &str, wanted: &str, found: &str, so: &str| {
        let why = format!(
            "the {what} in the precondition ({wanted}) does not match the {what} in record ({found}). The object might have been {so}"
        );
        // Upstream names the kind where others name the resource.
        let card = resource.card();
        let of = GroupResource::new(card.group, card.kind);
        Err(Status::conflict(&of, object.name(), why))
    };
    match (&options.uid, &options.resource_version) {
        (Some(uid), _) if uid != object.uid() => {
            conflict("UID", uid, object.uid(), "deleted and then recreated")
        }
        (_, Some(version)) if version != object.resource_version() => {
            let found = object.resource_version();
            conflict("ResourceVersion", version, found, "modified")
        }
        _ => Ok(()),
    }
}
