//! Update: read, change, check, compare and swap; again when somebody else was
//! faster and the client did not insist on a version.

use crate::registry::{Registry, Resource};
use crate::written::{self, Written};
use crate::{Call, failure, keys};
use admission::{Operation, Request};
use api::Door;
use bytes::Bytes;
use meta::object::Object as _;
use meta::{Errors, Field, FieldError, Path, Reason, Status, Value};
use store::{Outcome, Record, Revision, Txn};

/// How often an update that insists on nothing is tried.
const TRIES: usize = 8;
const MODIFIED: &str =
    "the object has been modified; please apply your changes to the latest version and try again";

/// Makes the new object from the old one; called anew for each try.
/// `None` asks for an object to be made.
pub trait Change: Send + Sync {
    /// The object as the client wants it, conforming to its kind.
    fn apply(&self, old: Option<&Value>) -> Result<Value, Status>;
}

impl<F: Fn(Option<&Value>) -> Result<Value, Status> + Send + Sync> Change for F {
    fn apply(&self, old: Option<&Value>) -> Result<Value, Status> {
        self(old)
    }
}

/// Which object, through which door, and how its fields are owned.
#[derive(Clone, Copy, Debug)]
pub struct Aim<'a> {
    /// Empty for objects outside of namespaces.
    pub namespace: &'a str,
    /// The object's name.
    pub name: &'a str,
    /// The door.
    pub door: Door,
    /// The change sets `managedFields` itself, as apply does.
    pub owns_fields: bool,
    /// The change is made anew from what is there, as a patch is: losing a race
    /// against another write is no conflict.
    pub follows: bool,
    /// An absent object is made, where the kind or the verb allows it.
    pub may_create: bool,
}

impl Registry {
    /// Changes an object.
    pub async fn update(
        &self,
        call: &Call<'_>,
        resource: &Resource,
        aim: Aim<'_>,
        change: &dyn Change,
    ) -> Result<Written, Status> {
        let key = keys::key(&resource.prefix, aim.namespace, aim.name);
        let mut record = self.store().get(&key, None).await.map_err(failure::store)?;
        for _ in 0..TRIES {
            let Some(found) = record else {
                match self
                    .create_by_update(call, resource, aim, &key, change)
                    .await
                {
                    // Somebody else made it in the meantime.
                    Err(status) if status.reason == Reason::AlreadyExists => {
                        let made = self.store().get(&key, None).await;
                        record = made.map_err(failure::store)?;
                        continue;
                    }
                    outcome => return outcome,
                }
            };
            match self
                .try_update(call, resource, aim, change, &key, &found)
                .await?
            {
                Tried::Done(written) => return Ok(*written),
                Tried::Overtaken(newer) => record = newer,
            }
        }
        Err(Status::conflict(
            &resource.card().group_resource(),
            aim.name,
            MODIFIED,
        ))
    }

    async fn create_by_update(
        &self,
        call: &Call<'_>,
        resource: &Resource,
        aim: Aim<'_>,
        key: &Bytes,
        change: &dyn Change,
    ) -> Result<Written, Status> {
        let of = resource.card().group_resource();
        let may = aim.door == Door::Main && (aim.may_create || resource.kind.creates_on_update());
        if !may && aim.owns_fields {
            return Err(Status::not_found(&of, aim.name));
        }
        let mut object = change.apply(None)?;
        // Who means a certain object does not mean one that is yet to be made.
        match object.uid() {
            "" => {}
            uid if aim.owns_fields => {
                let why = format!(
                    "uid mismatch: the provided object specified uid {uid}, and no existing object was found"
                );
                return Err(Status::conflict(&of, aim.name, why));
            }
            uid => {
                return Err(Status::conflict(
                    &of,
                    aim.name,
                    other_than_wanted(key, "UID", uid, ""),
                ));
            }
        }
        if !may {
            return Err(Status::not_found(&of, aim.name));
        }
        object.metadata_mut().remove("resourceVersion");
        self.create(call, resource, aim.namespace, object).await
    }

    async fn try_update(
        &self,
        call: &Call<'_>,
        resource: &Resource,
        aim: Aim<'_>,
        change: &dyn Change,
        key: &Bytes,
        record: &Record,
    ) -> Result<Tried, Status> {
        let card = resource.card();
        let old = written::serve(resource, written::read(resource, record)?);
        let mut object = change.apply(Some(&old))?;
        let insists = check_version(resource, aim.name, key, &object, &old)?;
        if !insists {
            let version = old.resource_version();
            object.metadata_mut().insert("resourceVersion", version);
        }
        crate::create::check_namespace(resource, aim.namespace, &mut object)?;
        restore(resource, aim, &mut object, &old);
        resource.kind.default(&mut object);
        if !aim.owns_fields {
            let subresource = door_name(aim.door);
            crate::fields::updated(
                resource,
                call,
                self.clock().wall(),
                Some(&old),
                &mut object,
                subresource,
            );
        }
        let kind = card.gvk();
        let request = request(call, aim, card, &kind);
        self.admission
            .mutate(&request, &mut object, Some(&old), self)
            .await?;
        restore_metadata(&mut object, &old);
        resource.kind.prepare_update(&mut object, &old, aim.door);
        count_generation(resource, &mut object, &old, aim.door);
        let mut txn = Txn::default();
        if let (Some(hook), Door::Main) = (self.hooks.of(card), aim.door) {
            hook.update(self, &mut object, &old, &mut txn).await?;
        }
        validate(resource, aim, &object, &old)?;
        if aim.door == Door::Main {
            resource
                .kind
                .warnings(&object, Some(&old))
                .into_iter()
                .for_each(|w| call.warn(w));
        }
        let mut warnings = Vec::new();
        self.admission
            .validate(&request, &object, Some(&old), self, &mut warnings)
            .await?;
        warnings.into_iter().for_each(|w| call.warn(w));
        let turn = self.charge(&request, &object, Some(&old), &mut txn).await?;
        drop(old);
        let insists = insists && !aim.follows;
        let tried = self.swap(call, resource, object, key, record, txn, insists);
        let tried = tried.await;
        drop(turn);
        tried
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "the end of one pipeline, called once"
    )]
    async fn swap(
        &self,
        call: &Call<'_>,
        resource: &Resource,
        object: Value,
        key: &Bytes,
        record: &Record,
        txn: Txn,
        insists: bool,
    ) -> Result<Tried, Status> {
        let name = object.name().to_string();
        let mut object = written::keep(resource, object);
        let bytes = written::bytes(resource, &mut object);
        if self.is_ready_to_go(resource, &object) {
            return self.swap_away(call, resource, object, key, record).await;
        }
        if record.value == bytes && txn.ops.is_empty() {
            return Ok(Tried::done(resource, object, record.modified));
        }
        if call.dry_run {
            return Ok(Tried::done(resource, object, record.modified));
        }
        drop(object);
        let txn = txn.unchanged(key.clone(), record.modified).put_for(
            key.clone(),
            bytes.clone(),
            resource.hub().ttl(),
        );
        match self.store().txn(txn).await.map_err(failure::store)? {
            Outcome::Committed(revision) => {
                let written = Written::stored(resource, key.clone(), &bytes, revision, false);
                Ok(Tried::Done(Box::new(written?)))
            }
            // What the object wanted was taken; it will find something else, or
            // hear that there is nothing.
            Outcome::Conflict(conflict) if conflict.current.iter().all(|(k, _)| k != key) => {
                Ok(Tried::Overtaken(Some(record.clone())))
            }
            Outcome::Conflict(_) if insists => Err(Status::conflict(
                &resource.card().group_resource(),
                &name,
                MODIFIED,
            )),
            Outcome::Conflict(conflict) => {
                Ok(Tried::Overtaken(overtaken(self, conflict, key).await?))
            }
        }
    }

    /// An object that only waited for its last finalizer goes with the update
    /// that takes it away.
    pub(crate) fn is_ready_to_go(&self, resource: &Resource, object: &Value) -> bool {
        object.is_deleting()
            && object.finalizers().is_empty()
            && !resource.hub().is_held(object)
            && object
                .metadata()
                .and_then(|m| m.get("deletionGracePeriodSeconds"))
                .is_none_or(Value::is_empty)
    }

    async fn swap_away(
        &self,
        call: &Call<'_>,
        resource: &Resource,
        object: Value,
        key: &Bytes,
        record: &Record,
    ) -> Result<Tried, Status> {
        if call.dry_run {
            return Ok(Tried::done(resource, object, record.modified));
        }
        let mut txn = Txn::default();
        if let Some(hook) = self.hooks.of(resource.hub().card()) {
            hook.delete(self, &object, &mut txn).await?;
        }
        let txn = txn
            .unchanged(key.clone(), record.modified)
            .delete(key.clone());
        match self.store().txn(txn).await.map_err(failure::store)? {
            Outcome::Committed(revision) => Ok(Tried::done(resource, object, revision)),
            Outcome::Conflict(conflict) => {
                Ok(Tried::Overtaken(overtaken(self, conflict, key).await?))
            }
        }
    }
}

enum Tried {
    Done(Box<Written>),
    Overtaken(Option<Record>),
}

impl Tried {
    fn done(resource: &Resource, object: Value, revision: Revision) -> Self {
        let written = Written::tree(resource, object, Some(revision), false);
        Tried::Done(Box::new(written))
    }
}

/// What is at the key now, after a transaction lost.
pub(crate) async fn overtaken(
    registry: &Registry,
    conflict: store::Conflict,
    key: &Bytes,
) -> Result<Option<Record>, Status> {
    match conflict.current.into_iter().find(|(k, _)| k == key) {
        Some((_, record)) => Ok(record),
        None => registry
            .store()
            .get(key, None)
            .await
            .map_err(failure::store),
    }
}

fn door_name(door: Door) -> &'static str {
    match door {
        Door::Main => "",
        Door::Status => "status",
        Door::Other(name) => name,
    }
}

fn request<'a>(
    call: &'a Call<'_>,
    aim: Aim<'a>,
    card: &'a api::Card,
    kind: &'a meta::GroupVersionKind,
) -> Request<'a> {
    Request {
        user: call.user,
        operation: Operation::Update,
        group: card.group,
        resource: card.plural,
        subresource: door_name(aim.door),
        kind,
        namespace: aim.namespace,
        name: aim.name,
        dry_run: call.dry_run,
    }
}

/// Follows apiserver's pkg/storage/errors.go, NewInvalidObjError.
pub(crate) fn other_than_wanted(key: &Bytes, what: &str, wanted: &str, found: &str) -> String {
    let key = String::from_utf8_lossy(key);
    format!(
        "StorageError: invalid object, Code: 4, Key: {key}, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: {what} in precondition: {wanted}, {what} in object meta: {found}"
    )
}

/// Whether the client insists on a version, and whether it is this one.
fn check_version(
    resource: &Resource,
    name: &str,
    key: &Bytes,
    object: &Value,
    old: &Value,
) -> Result<bool, Status> {
    let card = resource.card();
    let version = object.resource_version();
    let insists = !version.is_empty() && version != "0";
    if !insists && !resource.kind.updates_unconditionally() {
        let mut errors = Errors::new();
        let path = Path::new("metadata.resourceVersion");
        errors.push(FieldError::invalid(
            &path,
            0,
            "must be specified for an update",
        ));
        return Err(Status::invalid(&card.gvk(), name, &errors));
    }
    if insists && version != old.resource_version() {
        return Err(Status::conflict(&card.group_resource(), name, MODIFIED));
    }
    let uid = object.uid();
    if !uid.is_empty() && uid != old.uid() {
        let why = other_than_wanted(key, "UID", uid, old.uid());
        return Err(Status::conflict(&card.group_resource(), name, why));
    }
    Ok(insists)
}

/// What this door cannot change stays as it was.
fn restore(resource: &Resource, aim: Aim<'_>, object: &mut Value, old: &Value) {
    if object.name().is_empty() {
        object.metadata_mut().insert("name", aim.name);
    }
    restore_metadata(object, old);
    match aim.door {
        Door::Main if resource.card().has_status() => copy(object, old, "status"),
        Door::Main => {}
        Door::Status => {
            let status = object.get("status").cloned();
            let managed = object
                .metadata()
                .and_then(|m| m.get("managedFields"))
                .cloned();
            let metadata = object.get("metadata").cloned();
            *object = old.clone();
            set_or_remove(object, "status", status);
            restore_status_metadata(object, metadata, managed);
        }
        Door::Other(_) => {}
    }
}

/// Through the status door metadata stays, but for labels, annotations and
/// finalizers, which upstream lets most kinds change there too.
fn restore_status_metadata(object: &mut Value, metadata: Option<Value>, managed: Option<Value>) {
    let sent = metadata.unwrap_or_else(Value::object);
    for key in ["labels", "annotations", "finalizers", "ownerReferences"] {
        let value = sent.get(key).cloned();
        match value {
            Some(value) => object.metadata_mut().insert(key, value),
            None => object.metadata_mut().remove(key),
        };
    }
    if let Some(managed) = managed {
        object.metadata_mut().insert("managedFields", managed);
    }
}

fn copy(object: &mut Value, old: &Value, key: &str) {
    set_or_remove(object, key, old.get(key).cloned());
}

fn set_or_remove(object: &mut Value, key: &str, value: Option<Value>) {
    match value {
        Some(value) => object.make_object().insert(key, value),
        None => object.make_object().remove(key),
    };
}

/// What only the server writes in metadata. A client that sends nothing means
/// no change; one that sends something else is told so by validation.
fn restore_metadata(object: &mut Value, old: &Value) {
    for key in ["uid", "creationTimestamp"] {
        if object.meta_str(key).is_empty() {
            copy_metadata(object, old, key);
        }
    }
    for key in [
        "generation",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "selfLink",
        "generateName",
    ] {
        if key != "generateName" || object.meta_str(key).is_empty() {
            copy_metadata(object, old, key);
        }
    }
}

fn copy_metadata(object: &mut Value, old: &Value, key: &str) {
    match old.metadata().and_then(|m| m.get(key)) {
        Some(value) => object.metadata_mut().insert(key, value.clone()),
        None => object.metadata_mut().remove(key),
    };
}

/// `metadata.generation` counts changes of what the client desires.
fn count_generation(resource: &Resource, object: &mut Value, old: &Value, door: Door) {
    if !resource.card().generation || door == Door::Status {
        return;
    }
    let desired = |v: &Value| {
        let map = v.as_object();
        let entries = map.into_iter().flat_map(|m| m.iter());
        let is_apart = |key: &str| match key {
            "metadata" | "kind" | "apiVersion" => true,
            // A custom resource without that door keeps anything there.
            "status" => resource.card().has_status() || !resource.card().is_custom(),
            _ => false,
        };
        entries
            .filter(|(k, _)| !is_apart(k.as_str()))
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect::<Vec<_>>()
    };
    let (mut new_spec, mut old_spec) = (Value::object(), Value::object());
    for (spec, of) in [(&mut new_spec, &*object), (&mut old_spec, old)] {
        *spec = Value::Object(desired(of).into_iter().collect());
        codec::complete(spec, &resource.card().schema);
    }
    if new_spec != old_spec {
        object
            .metadata_mut()
            .insert("generation", old.generation() + 1);
    }
}

fn validate(resource: &Resource, aim: Aim<'_>, object: &Value, old: &Value) -> Result<(), Status> {
    let mut errors = Errors::new();
    let (root, before) = (Field::root(object), Field::root(old));
    api::metadata::validate_update(resource.card(), &root, &before, &mut errors);
    resource
        .kind
        .validate_update(&root, &before, aim.door, &mut errors);
    match errors.is_empty() {
        true => Ok(()),
        false => Err(Status::invalid(&resource.card().gvk(), aim.name, &errors)),
    }
}
