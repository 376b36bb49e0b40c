//! Describers: what `describe` says of an object and of those that belong to
//! it. Pure but for [`Source`], through which related objects are read.
//!
//! Follows staging/src/k8s.io/kubectl/pkg/describe/describe.go; a kind without
//! a describer of its own gets the generic one.

mod config;
mod containers;
mod events;
mod generic;
mod namespace;
mod network;
mod node;
mod pod;
mod policy;
mod rbac;
mod resources;
mod service;
mod text;
mod volumes;
mod workloads;
mod writer;

#[cfg(test)]
mod tests;

use async_trait::async_trait;
use jiff::Timestamp;
use meta::{GroupVersionResource, Status, Value};
use writer::Writer;

/// Why an object cannot be described.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server refused to give something.
    #[error("{0}")]
    Api(Box<Status>),
    /// The server could not be asked.
    #[error("{0}")]
    Other(String),
}

/// Where objects that belong to the described one are read.
#[async_trait]
pub trait Source: Send + Sync {
    /// One object; the namespace is empty for those of the cluster.
    async fn get(
        &self,
        resource: &GroupVersionResource,
        namespace: &str,
        name: &str,
    ) -> Result<Value, Error>;

    /// The objects that both selectors choose; an empty namespace is all of them.
    async fn list(
        &self,
        resource: &GroupVersionResource,
        namespace: &str,
        labels: &str,
        fields: &str,
    ) -> Result<Vec<Value>, Error>;

    /// The time by which ages are told.
    fn now(&self) -> Timestamp;
}

/// What is asked of a description.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Whether the object's events are shown.
    pub show_events: bool,
}

/// Describes an object, which carries its kind and apiVersion.
pub async fn describe(
    source: &dyn Source,
    object: &Value,
    settings: Settings,
) -> Result<String, Error> {
    let it = Described {
        source,
        object,
        settings,
    };
    let version = object.str_at(&["apiVersion"]);
    let group = version.split_once('/').map_or("", |(group, _)| group);
    let mut w = Writer::default();
    match (group, object.str_at(&["kind"])) {
        ("", "ConfigMap") => config::config_map(&it, &mut w).await,
        ("", "Endpoints") => service::endpoints(&it, &mut w).await,
        ("", "LimitRange") => policy::limit_range(&it, &mut w),
        ("", "Namespace") => namespace::namespace(&it, &mut w).await?,
        ("", "Node") => node::node(&it, &mut w).await?,
        ("", "Pod") => pod::pod(&it, &mut w).await,
        ("", "ReplicationController") => workloads::replication_controller(&it, &mut w).await?,
        ("", "ResourceQuota") => policy::resource_quota(&it, &mut w),
        ("", "Secret") => config::secret(&it, &mut w),
        ("", "Service") => service::service(&it, &mut w).await,
        ("", "ServiceAccount") => config::service_account(&it, &mut w).await,
        ("apps", "DaemonSet") => workloads::daemon_set(&it, &mut w).await?,
        ("apps", "Deployment") => workloads::deployment(&it, &mut w).await,
        ("apps", "ReplicaSet") => workloads::replica_set(&it, &mut w).await,
        ("apps", "StatefulSet") => workloads::stateful_set(&it, &mut w).await?,
        ("batch", "CronJob") => workloads::cron_job(&it, &mut w).await,
        ("batch", "Job") => workloads::job(&it, &mut w).await,
        ("discovery.k8s.io", "EndpointSlice") => service::endpoint_slice(&it, &mut w).await,
        ("networking.k8s.io", "IPAddress") => network::ip_address(&it, &mut w).await,
        ("networking.k8s.io", "NetworkPolicy") => network::network_policy(&it, &mut w),
        ("networking.k8s.io", "ServiceCIDR") => network::service_cidr(&it, &mut w).await,
        ("policy", "PodDisruptionBudget") => policy::pod_disruption_budget(&it, &mut w).await,
        ("rbac.authorization.k8s.io", "ClusterRole" | "Role") => rbac::role(&it, &mut w),
        ("rbac.authorization.k8s.io", "ClusterRoleBinding" | "RoleBinding") => {
            rbac::binding(&it, &mut w);
        }
        ("scheduling.k8s.io", "PriorityClass") => policy::priority_class(&it, &mut w).await,
        _ => generic::generic(&it, &mut w).await,
    }
    Ok(w.finish())
}

/// What there is to say of a pod that is gone but has events; nothing when it
/// has none.
pub async fn describe_gone_pod(
    source: &dyn Source,
    namespace: &str,
    name: &str,
    error: &str,
) -> Option<String> {
    let fields = format!("involvedObject.name={name},involvedObject.namespace={namespace}");
    let events = resource("", "v1", "events");
    let found = source.list(&events, namespace, "", &fields);
    let found = found.await.ok().filter(|events| !events.is_empty())?;
    let mut w = Writer::default();
    w.line(
        0,
        &format!("Pod '{name}': error '{error}', but found events."),
    );
    events::print(found, source.now(), &mut w);
    Some(w.finish())
}

/// Describes the template of pods, as the history of a rollout shows it.
pub fn pod_template(template: &Value) -> String {
    let mut w = Writer::default();
    pod::template(Some(template), &mut w);
    w.unaligned()
}

/// An object with the way to those that belong to it.
struct Described<'a> {
    source: &'a dyn Source,
    object: &'a Value,
    settings: Settings,
}

impl Described<'_> {
    fn name(&self) -> &str {
        self.object.str_at(&["metadata", "name"])
    }

    fn namespace(&self) -> &str {
        self.object.str_at(&["metadata", "namespace"])
    }

    /// `Name:` and `Namespace:`
    fn head(&self, w: &mut Writer) {
        w.field(0, "Name", self.name());
        w.field(0, "Namespace", self.namespace());
    }

    fn labels(&self, w: &mut Writer) {
        text::labels(w, "", "Labels", self.object.at(&["metadata", "labels"]));
    }

    fn annotations(&self, w: &mut Writer) {
        let annotations = self.object.at(&["metadata", "annotations"]);
        text::annotations(w, "Annotations", annotations);
    }

    async fn events(&self, w: &mut Writer) {
        let kind = self.object.str_at(&["kind"]);
        let uid = self.object.str_at(&["metadata", "uid"]);
        self.events_about(kind, uid, w).await;
    }

    /// The events about this name with a kind and uid, each of which may be empty.
    async fn events_about(&self, kind: &str, uid: &str, w: &mut Writer) {
        if self.settings.show_events
            && let Ok(found) = events::search(self, kind, uid).await
        {
            events::print(found, self.source.now(), w);
        }
    }
}

fn resource(group: &str, version: &str, resource: &str) -> GroupVersionResource {
    GroupVersionResource::new(group, version, resource)
}
