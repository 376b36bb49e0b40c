//! What tests of plugins share: objects to look at, and requests to admit.

use crate::{Operation, Plugin, Request, View};
use async_trait::async_trait;
use auth::User;
use meta::object::Object as _;
use meta::{GroupVersionKind, Status, Value};
use std::sync::{Arc, Mutex};

/// Objects that a plugin may look at, by resource.
#[derive(Default)]
pub(crate) struct Objects(Mutex<Vec<(String, Arc<Value>)>>);

impl Objects {
    pub(crate) fn with(self, resource: &str, object: Value) -> Self {
        self.put(resource, object);
        self
    }

    pub(crate) fn put(&self, resource: &str, object: Value) {
        self.0
            .lock()
            .unwrap()
            .push((resource.into(), Arc::new(object)));
    }
}

#[async_trait]
impl View for Objects {
    async fn get(
        &self,
        _group: &str,
        resource: &str,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Arc<Value>>, Status> {
        let all = self.list("", resource, namespace).await?;
        Ok(all
            .into_iter()
            .find(|o| o.namespace() == namespace && o.name() == name))
    }

    async fn list(
        &self,
        _group: &str,
        resource: &str,
        namespace: &str,
    ) -> Result<Vec<Arc<Value>>, Status> {
        let objects = self.0.lock().unwrap();
        let found = objects.iter().filter(|(of, object)| {
            of == resource && (namespace.is_empty() || object.namespace() == namespace)
        });
        Ok(found.map(|(_, object)| object.clone()).collect())
    }
}

/// A request, and what it brings.
pub(crate) struct Case {
    pub(crate) user: User,
    operation: Operation,
    group: String,
    resource: String,
    subresource: String,
    namespace: String,
    name: String,
    object: Value,
    old: Option<Value>,
}

/// `resource` may be `group:resource` and end in `/subresource`.
fn case(
    operation: Operation,
    resource: &str,
    namespace: &str,
    object: Value,
    old: Option<Value>,
) -> Case {
    let (group, resource) = resource.split_once(':').unwrap_or(("", resource));
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    let mut object = object;
    if !namespace.is_empty() && !object.is_null() {
        object.metadata_mut().insert("namespace", namespace);
    }
    Case {
        user: User::new("jane", &["system:authenticated"]),
        operation,
        group: group.into(),
        resource: resource.into(),
        subresource: subresource.into(),
        namespace: namespace.into(),
        name: object.name().into(),
        object,
        old,
    }
}

pub(crate) fn create(resource: &str, namespace: &str, object: Value) -> Case {
    case(Operation::Create, resource, namespace, object, None)
}

pub(crate) fn update(resource: &str, namespace: &str, old: Value, object: Value) -> Case {
    case(Operation::Update, resource, namespace, object, Some(old))
}

pub(crate) fn delete(resource: &str, namespace: &str, name: &str) -> Case {
    let old = meta::value!({"metadata": {"namespace": namespace, "name": name}});
    let mut case = case(
        Operation::Delete,
        resource,
        namespace,
        Value::Null,
        Some(old),
    );
    case.name = name.into();
    case
}

impl Case {
    pub(crate) fn by(mut self, user: User) -> Self {
        self.user = user;
        self
    }

    /// What the request brings, and what was there.
    pub(crate) fn objects(&self) -> (&Value, Option<&Value>) {
        (&self.object, self.old.as_ref())
    }

    pub(crate) fn request<'a>(&'a self, kind: &'a GroupVersionKind) -> Request<'a> {
        Request {
            user: &self.user,
            operation: self.operation,
            group: &self.group,
            resource: &self.resource,
            subresource: &self.subresource,
            kind,
            namespace: &self.namespace,
            name: &self.name,
            dry_run: false,
        }
    }

    /// What the plugin makes of the object.
    pub(crate) async fn mutate(
        &self,
        plugin: &dyn Plugin,
        objects: &Objects,
    ) -> Result<Value, Status> {
        let kind = GroupVersionKind::default();
        let mut object = self.object.clone();
        let request = self.request(&kind);
        plugin
            .mutate(&request, &mut object, self.old.as_ref(), objects)
            .await?;
        Ok(object)
    }

    /// The warnings with which the plugin lets the object pass.
    pub(crate) async fn validate(
        &self,
        plugin: &dyn Plugin,
        objects: &Objects,
    ) -> Result<Vec<String>, Status> {
        let kind = GroupVersionKind::default();
        let mut warnings = Vec::new();
        let request = self.request(&kind);
        plugin
            .validate(
                &request,
                &self.object,
                self.old.as_ref(),
                objects,
                &mut warnings,
            )
            .await?;
        Ok(warnings)
    }

    /// Both, one after the other.
    pub(crate) async fn admit(
        mut self,
        plugin: &dyn Plugin,
        objects: &Objects,
    ) -> Result<Value, Status> {
        self.object = self.mutate(plugin, objects).await?;
        self.validate(plugin, objects).await?;
        Ok(self.object)
    }
}
