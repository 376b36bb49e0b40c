//! The double's objects and their history.

use super::kinds;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use stdx::{Clock, Rng};

/// Why the server says no.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// The HTTP status code.
    pub code: u16,
    /// The reason in one word.
    pub reason: String,
    /// The message.
    pub message: String,
    /// A cause in one word, if there is one.
    pub cause: Option<String>,
}

impl Refusal {
    /// A refusal without a cause.
    pub fn new(code: u16, reason: &str, message: impl Into<String>) -> Self {
        Self {
            code,
            reason: reason.to_owned(),
            message: message.into(),
            cause: None,
        }
    }

    pub(super) fn not_found(resource: &str, name: &str) -> Self {
        Self::new(404, "NotFound", format!("{resource} \"{name}\" not found"))
    }

    pub(super) fn conflict(resource: &str, name: &str, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {resource} \"{name}\": {why}");
        Self::new(409, "Conflict", message)
    }
}

/// Something that happened to an object.
#[derive(Clone)]
pub(super) struct Change {
    pub(super) revision: u64,
    pub(super) resource: String,
    pub(super) before: Option<Value>,
    pub(super) after: Option<Value>,
}

type Key = (String, String, String);

/// Objects by resource, namespace and name.
pub(crate) struct Store {
    objects: BTreeMap<Key, Value>,
    history: Vec<Change>,
    compacted: u64,
    revision: u64,
    clock: Clock,
    rng: Rng,
}

impl Store {
    pub(super) fn new(clock: Clock, rng: Rng) -> Self {
        // As with etcd, there is no revision 0.
        Self {
            objects: BTreeMap::new(),
            history: Vec::new(),
            compacted: 0,
            revision: 1,
            clock,
            rng,
        }
    }

    pub(super) fn revision(&self) -> u64 {
        self.revision
    }

    pub(super) fn compact(&mut self) {
        self.revision += 1;
        self.compacted = self.revision;
        self.history.clear();
    }

    /// What happened after a revision, or nothing if that is no longer known.
    pub(super) fn since(&self, revision: u64) -> Option<&[Change]> {
        if revision < self.compacted {
            return None;
        }
        let start = self
            .history
            .partition_point(|change| change.revision <= revision);
        Some(&self.history[start..])
    }

    pub(super) fn find(&self, resource: &str, namespace: &str, name: &str) -> Option<&Value> {
        self.objects
            .get(&(resource.to_owned(), namespace.to_owned(), name.to_owned()))
    }

    pub(super) fn require(
        &self,
        resource: &str,
        namespace: &str,
        name: &str,
    ) -> Result<&Value, Refusal> {
        self.find(resource, namespace, name)
            .ok_or_else(|| Refusal::not_found(resource, name))
    }

    pub(super) fn all(&self, resource: &str) -> Vec<Value> {
        self.objects
            .iter()
            .filter(|((found, ..), _)| found == resource)
            .map(|(_, object)| object.clone())
            .collect()
    }

    pub(super) fn create(
        &mut self,
        resource: &str,
        namespace: &str,
        mut object: Value,
    ) -> Result<Value, Refusal> {
        self.refuse_in_ending_namespace(resource, namespace)?;
        let kind =
            kinds::by_resource(resource).ok_or_else(|| Refusal::not_found("resource", resource))?;
        let time = self.time();
        let meta = metadata(&mut object);
        if meta
            .get("name")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .is_empty()
        {
            let prefix = meta
                .get("generateName")
                .and_then(Value::as_str)
                .unwrap_or_default();
            meta.insert(
                "name".into(),
                json!(format!("{prefix}{}", self.rng.name_suffix())),
            );
        }
        let name = meta
            .get("name")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned();
        if kind.namespaced {
            meta.insert("namespace".into(), json!(namespace));
        }
        meta.insert("uid".into(), json!(self.rng.uuid().to_string()));
        meta.entry("creationTimestamp").or_insert(json!(time));
        meta.insert("generation".into(), json!(1));
        meta.remove("deletionTimestamp");
        if self.find(resource, namespace, &name).is_some() {
            let message = format!("{resource} \"{name}\" already exists");
            return Err(Refusal::new(409, "AlreadyExists", message));
        }
        object["kind"] = json!(kind.kind);
        object["apiVersion"] = json!(kind.api_version);
        if resource == "namespaces" {
            object["spec"]["finalizers"] = json!(["kubernetes"]);
            object["status"]["phase"] = json!("Active");
        }
        Ok(self.put(resource, namespace, &name, object))
    }

    /// Stores an object as it is; what is deleted and waits for nothing goes instead.
    pub(super) fn put(
        &mut self,
        resource: &str,
        namespace: &str,
        name: &str,
        mut object: Value,
    ) -> Value {
        if is_finished(resource, &object) {
            self.remove(resource, namespace, name);
            return object;
        }
        let key = (resource.to_owned(), namespace.to_owned(), name.to_owned());
        if self.objects.get(&key) == Some(&object) {
            return object;
        }
        self.revision += 1;
        metadata(&mut object).insert("resourceVersion".into(), json!(self.revision.to_string()));
        let before = self.objects.insert(key, object.clone());
        self.record(resource, before, Some(object.clone()));
        object
    }

    pub(super) fn remove(&mut self, resource: &str, namespace: &str, name: &str) {
        let key = (resource.to_owned(), namespace.to_owned(), name.to_owned());
        if let Some(mut before) = self.objects.remove(&key) {
            self.revision += 1;
            metadata(&mut before)
                .insert("resourceVersion".into(), json!(self.revision.to_string()));
            self.record(resource, Some(before), None);
        }
    }

    pub(super) fn edit(
        &mut self,
        resource: &str,
        namespace: &str,
        name: &str,
        change: impl FnOnce(&mut Value),
    ) -> bool {
        let Some(mut object) = self.find(resource, namespace, name).cloned() else {
            return false;
        };
        let spec = object.get("spec").cloned();
        change(&mut object);
        raise_generation(&mut object, spec.as_ref());
        self.put(resource, namespace, name, object);
        true
    }

    /// The present time as objects carry it.
    pub(super) fn time(&self) -> String {
        stdx::format_seconds(self.clock.wall())
    }

    fn record(&mut self, resource: &str, before: Option<Value>, after: Option<Value>) {
        let resource = resource.to_owned();
        self.history.push(Change {
            revision: self.revision,
            resource,
            before,
            after,
        });
    }

    fn refuse_in_ending_namespace(&self, resource: &str, namespace: &str) -> Result<(), Refusal> {
        let ending = self.find("namespaces", "", namespace);
        let ending =
            ending.is_some_and(|object| object.pointer("/metadata/deletionTimestamp").is_some());
        if !ending {
            return Ok(());
        }
        let message = format!(
            "{resource} is forbidden: unable to create new content in namespace {namespace} because it is being terminated"
        );
        let cause = Some("NamespaceTerminating".to_owned());
        Err(Refusal {
            cause,
            ..Refusal::new(403, "Forbidden", message)
        })
    }
}

/// An object's metadata, made if it is absent.
pub(super) fn metadata(object: &mut Value) -> &mut Map<String, Value> {
    if !object.get("metadata").is_some_and(Value::is_object) {
        object["metadata"] = json!({});
    }
    match &mut object["metadata"] {
        Value::Object(fields) => fields,
        _ => unreachable!("metadata was just made an object"),
    }
}

/// Raises the generation if spec differs from what it was.
pub(super) fn raise_generation(object: &mut Value, spec_before: Option<&Value>) {
    if object.get("spec") != spec_before {
        let generation = object
            .pointer("/metadata/generation")
            .and_then(Value::as_i64)
            .unwrap_or(0);
        metadata(object).insert("generation".into(), json!(generation + 1));
    }
}

fn is_finished(resource: &str, object: &Value) -> bool {
    let empty = |pointer: &str| {
        object
            .pointer(pointer)
            .and_then(Value::as_array)
            .is_none_or(Vec::is_empty)
    };
    let grace = object
        .pointer("/metadata/deletionGracePeriodSeconds")
        .and_then(Value::as_i64)
        .unwrap_or(0);
    object.pointer("/metadata/deletionTimestamp").is_some()
        && empty("/metadata/finalizers")
        && (resource != "namespaces" || empty("/spec/finalizers"))
        && grace == 0
}
