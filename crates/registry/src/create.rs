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
/// How often a name is made, or what belongs to an object is looked for, before
/// giving up, as upstream does with names.
const TRIES: usize = 8;
const OVERTAKEN: &str = "something that belongs to it was taken in the meantime; please try again";

/// How one try ended.
enum Made {
    Done(Box<Written>),
    /// An object of this name is there.
    Exists(String),
    /// What the object wanted, as an address, was taken meanwhile.
    Overtaken,
}

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
        // What names itself and takes nothing that others may take is tried once.
        let again = generated || self.competes(resource, namespace);
        let mut name = object.name().to_string();
        for _ in 0..TRIES {
            let object = match again {
                true => object.clone(),
                false => std::mem::replace(&mut object, Value::Null),
            };
            let tried = self.create_once(call, resource, namespace, object).await;
            match tried? {
                Made::Done(written) => return Ok(*written),
                Made::Exists(taken) if !generated => {
                    let resource = resource.card().group_resource();
                    return Err(Status::already_exists(&resource, &taken));
                }
                Made::Exists(taken) => name = taken,
                Made::Overtaken if again => {}
                Made::Overtaken => break,
            }
        }
        let resource = resource.card().group_resource();
        Err(match generated {
            true => Status::generated_name_exists(&resource, &name),
            false => Status::conflict(&resource, &name, OVERTAKEN),
        })
    }

    async fn create_once(
        &self,
        call: &Call<'_>,
        resource: &Resource,
        namespace: &str,
        mut object: Value,
    ) -> Result<Made, Status> {
        let card = resource.card();
        if resource.kind.refuses_create() {
            let why = "create not allowed while custom resource definition is terminating";
            return Err(Status::new(meta::Reason::MethodNotAllowed, why));
        }
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
        let turn = self.charge(&request, &object, None, &mut txn).await?;
        let made = self.insert(call, resource, namespace, &name, object, txn);
        let made = made.await;
        drop(turn);
        made
    }

    async fn insert(
        &self,
        call: &Call<'_>,
        resource: &Resource,
        namespace: &str,
        name: &str,
        object: Value,
        txn: Txn,
    ) -> Result<Made, Status> {
        let mut object = written::keep(resource, object);
        let bytes = written::bytes(resource, &mut object);
        let key = keys::key(&resource.prefix, namespace, name);
        if call.dry_run {
            return match self.store().get(&key, None).await.map_err(failure::store)? {
                Some(_) => Ok(Made::Exists(name.to_string())),
                None => Ok(Made::done(Written::tree(resource, object, None, true))),
            };
        }
        drop(object);
        let txn = txn
            .absent(key.clone())
            .put_for(key.clone(), bytes.clone(), resource.hub().ttl());
        match self.store().txn(txn).await.map_err(failure::store)? {
            Outcome::Committed(revision) => {
                Written::stored(resource, key, &bytes, revision, true).map(Made::done)
            }
            Outcome::Conflict(conflict) if conflict.current.iter().any(|(k, _)| *k == key) => {
                Ok(Made::Exists(name.to_string()))
            }
            Outcome::Conflict(_) => Ok(Made::Overtaken),
        }
    }

    /// Whether what an object wants beside its name may be taken meanwhile:
    /// addresses, or what a quota has left.
    fn competes(&self, resource: &Resource, namespace: &str) -> bool {
        self.hooks.of(resource.card()).is_some() || self.has_quotas(namespace)
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
        if card.has_status() && !resource.kind.keeps_status_on_create() {
            object.remove_at(&["status"]);
        }
    }
}

impl Made {
    fn done(written: Written) -> Self {
        Made::Done(Box::new(written))
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
