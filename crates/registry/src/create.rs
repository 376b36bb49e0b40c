//! Create: default, mutate, prepare, validate, admit, one transaction.

use crate::registry::{Registry, Resource};
use crate::written::{self, Written};
use crate::{Call, failure, keys};
use admission::{Operation, Request};
use api::NameRule;
use meta::object::Object as _;
use meta::{Errors, Field, Status, Value, time};
use store::{Outcome, Txn};

/// The longest name that can be made from `generateName`; the rest is suffix.
const GENERATED_PREFIX_MAX: usize = 58;
/// How often a generated name is tried before giving up, as upstream does.
const GENERATE_TRIES: usize = 8;

impl Registry {
    /// Makes an object. `object` conforms to its kind already.
    pub async fn create(
        &self,
        call: &Call<'_>,
        resource: &Resource,
        namespace: &str,
        mut object: Value,
    ) -> Result<Written, Status> {
        prepare_metadata(resource, namespace, &mut object)?;
        resource.kind.default(&mut object);
        if !has_managers(&object) {
            crate::fields::updated(resource, call, self.clock().wall(), None, &mut object, "");
        }
        let generated = object.name().is_empty() && !object.meta_str("generateName").is_empty();
        if !generated {
            return self.create_once(call, resource, namespace, object).await;
        }
        let mut taken = String::new();
        for _ in 0..GENERATE_TRIES {
            match self
                .create_once(call, resource, namespace, object.clone())
                .await
            {
                Err(status) if status.reason == meta::Reason::AlreadyExists => {
                    taken = status.details.name;
                }
                outcome => return outcome,
            }
        }
        let resource = resource.card().group_resource();
        Err(Status::generated_name_exists(&resource, &taken))
    }

    async fn create_once(
        &self,
        call: &Call<'_>,
        resource: &Resource,
        namespace: &str,
        mut object: Value,
    ) -> Result<Written, Status> {
        let card = resource.card();
        let kind = card.gvk();
        self.name(resource, &mut object);
        let name = object.name().to_string();
        let request = Request {
            user: call.user,
            operation: Operation::Create,
            group: card.group,
            resource: card.plural,
            subresource: "",
            kind: &kind,
            namespace,
            name: &name,
            dry_run: call.dry_run,
        };
        self.admission
            .mutate(&request, &mut object, None, self)
            .await?;
        self.stamp(resource, &mut object);
        resource.kind.prepare_create(&mut object);
        let mut txn = Txn::default();
        let hook = self.hooks.of(card);
        if let Some(hook) = hook {
            hook.create(self, &mut object, &mut txn).await?;
        }
        validate(resource, &name, &object)?;
        for warning in resource.kind.warnings(&object, None) {
            call.warn(warning);
        }
        let mut warnings = Vec::new();
        self.admission
            .validate(&request, &object, None, self, &mut warnings)
            .await?;
        warnings.into_iter().for_each(|w| call.warn(w));
        self.insert(call, resource, namespace, &name, object, txn)
            .await
    }

    async fn insert(
        &self,
        call: &Call<'_>,
        resource: &Resource,
        namespace: &str,
        name: &str,
        object: Value,
        txn: Txn,
    ) -> Result<Written, Status> {
        let mut object = written::keep(resource, object);
        let bytes = written::bytes(resource, &mut object);
        let key = keys::key(&resource.prefix, namespace, name);
        let exists = || Status::already_exists(&resource.card().group_resource(), name);
        if call.dry_run {
            return match self.store().get(&key, None).await.map_err(failure::store)? {
                Some(_) => Err(exists()),
                None => Ok(Written::new(resource, object, None, true)),
            };
        }
        let txn = txn
            .absent(key.clone())
            .put_for(key.clone(), bytes, resource.hub().ttl());
        match self.store().txn(txn).await.map_err(failure::store)? {
            Outcome::Committed(revision) => {
                Ok(Written::new(resource, object, Some(revision), true))
            }
            Outcome::Conflict(conflict) if conflict.current.iter().any(|(k, _)| *k == key) => {
                Err(exists())
            }
            Outcome::Conflict(_) => Err(Status::conflict(
                &resource.card().group_resource(),
                name,
                "something that belongs to it was taken in the meantime; please try again",
            )),
        }
    }

    /// Makes a name from `generateName`.
    fn name(&self, resource: &Resource, object: &mut Value) {
        let prefix = object.meta_str("generateName");
        if !object.name().is_empty() || prefix.is_empty() || resource.card().name == NameRule::Any {
            return;
        }
        let cut = prefix.floor_char_boundary(GENERATED_PREFIX_MAX);
        let name = format!("{}{}", &prefix[..cut], self.rng().name_suffix());
        object.metadata_mut().insert("name", name);
    }

    /// What the server alone decides of a new object's metadata.
    fn stamp(&self, resource: &Resource, object: &mut Value) {
        let card = resource.card();
        let metadata = object.metadata_mut();
        for gone in [
            "deletionTimestamp",
            "deletionGracePeriodSeconds",
            "selfLink",
            "generation",
        ] {
            metadata.remove(gone);
        }
        metadata.insert("creationTimestamp", time::seconds(self.clock().wall()));
        metadata.insert("uid", self.rng().uuid().to_string());
        if card.generation {
            metadata.insert("generation", 1);
        }
        if card.has_status() {
            object.remove_at(&["status"]);
        }
    }
}

/// An apply that makes an object has said already who owns what.
fn has_managers(object: &Value) -> bool {
    object
        .metadata()
        .is_some_and(|m| m.contains_key("managedFields"))
}

fn prepare_metadata(
    resource: &Resource,
    namespace: &str,
    object: &mut Value,
) -> Result<(), Status> {
    let metadata = object.metadata_mut();
    if !metadata.get("resourceVersion").is_none_or(Value::is_empty) {
        return Err(Status::bad_request(
            "resourceVersion should not be set on objects to be created",
        ));
    }
    check_namespace(resource, namespace, object)
}

/// The object's namespace is the request's, or not said.
pub(crate) fn check_namespace(
    resource: &Resource,
    namespace: &str,
    object: &mut Value,
) -> Result<(), Status> {
    let found = object.namespace();
    if !found.is_empty() && found != namespace {
        return Err(Status::bad_request(match resource.card().namespaced {
            true => {
                "the namespace of the provided object does not match the namespace sent on the request"
            }
            false => "namespace may not be set on objects outside of namespaces",
        }));
    }
    if resource.card().namespaced {
        object.metadata_mut().insert("namespace", namespace);
    }
    Ok(())
}

fn validate(resource: &Resource, name: &str, object: &Value) -> Result<(), Status> {
    let mut errors = Errors::new();
    let root = Field::root(object);
    api::metadata::validate(resource.card(), &root, &mut errors);
    resource.kind.validate(&root, &mut errors);
    match errors.is_empty() {
        true => Ok(()),
        false => Err(Status::invalid(&resource.card().gvk(), name, &errors)),
    }
}
