//! ResourceQuotas: what a namespace uses is measured when a quota is new or
//! changed, when something that it counts goes, and from time to time. Follows
//! pkg/controller/resourcequota/resource_quota_controller.go.
//!
//! What is made is charged by the API server in the transaction that makes it,
//! so the quota's version moves with every charge. Everything is listed at
//! least as fresh as the quota was read, and the outcome is written to that
//! very version: a measurement that misses something cannot be written. Only what
//! is made before a quota is measured first goes uncharged; so that is done twice.

use crate::context::Context;
use crate::rule::EVENTS;
use crate::{Controller, Rule, pods};
use api::core::pod::amounts::{self, Amounts};
use api::core::resourcequota::usage;
use client::{Api, Client, Error, Gvr, ListOptions};
use informer::{
    Action, BoxError, Cached, Change, Factory, Informer, ObjectKey, Queue, Reconcile, Store,
    Workers,
};
use meta::{GroupResource, Quantity, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use stdx::Clock;
use typed::api::core::v1::{ResourceQuota, ResourceQuotaStatus, Service};
use typed::lean::Pod;
use typed::{DecodeError, PartialObject, Typed, Wire};

pub(crate) const CONTROLLER: Controller = Controller {
    name: "resourcequota-controller",
    identity: "resourcequota-controller",
    rules: &[
        Rule::new(&["*"], &["*"], &["list", "watch"]),
        Rule::new(&[""], &["resourcequotas"], &["get"]),
        Rule::new(&[""], &["resourcequotas/status"], &["update"]),
        EVENTS,
    ],
    start,
};

/// How often everything is measured anyway.
const RESYNC: Duration = Duration::from_secs(300);
/// What goes seldom goes alone.
const DEBOUNCE: Duration = Duration::from_millis(50);
/// How many objects are listed at once.
const PAGE: u32 = 500;

fn start(context: &Context) {
    let quotas = context.factory.informer::<ResourceQuota>();
    let pods = pods::informer(context);
    let services = context.factory.informer::<Service>();
    let queue = context.queue();
    let triggers = Triggers {
        quotas: quotas.store(),
        queue: queue.clone(),
    };
    let changed = queue.clone();
    quotas.on_change(move |change: &Change<ResourceQuota>| {
        if let Some(quota) = change.new.as_ref().filter(|_| is_to_be_measured(change)) {
            changed.add(ObjectKey::of(&**quota));
        }
    });
    let released = triggers.clone();
    pods.on_change(move |change: &Change<Pod>| {
        let ended = |pod: &Arc<Pod>| pods::is_terminal(pod);
        let ends =
            change.new.as_ref().is_some_and(ended) && !change.old.as_ref().is_some_and(ended);
        if change.is_removal() || ends {
            released.fire(change.object().namespace());
        }
    });
    let released = triggers.clone();
    services.on_change(move |change: &Change<Service>| {
        let spec = |service: &Option<Arc<Service>>| service.as_ref().map(|s| s.spec.clone());
        if change.old.is_some() && spec(&change.old) != spec(&change.new) {
            released.fire(change.object().namespace());
        }
    });
    let controller = Arc::new(Measurer {
        client: context.client.clone(),
        api: context.client.api(),
        clock: context.clock.clone(),
        factory: context.factory.clone(),
        triggers,
        watched: Mutex::default(),
    });
    let synced = async move { quotas.synced().await };
    context.reconcile(queue, Workers::new(5), synced, controller);
}

/// Changes of the status alone come from here or from the API server's charges. Limits that were
/// just taken over are measured again: until then nothing was charged to them.
fn is_to_be_measured(change: &Change<ResourceQuota>) -> bool {
    let (Some(new), Some(old)) = (&change.new, &change.old) else {
        return true;
    };
    let hard = |quota: &ResourceQuota| quota.spec.as_ref().and_then(|spec| spec.hard.clone());
    let taken = |quota: &ResourceQuota| quota.status.as_ref().and_then(|s| s.hard.clone());
    new.spec != old.spec || hard(new) != taken(new) || taken(new) != taken(old)
}

/// Has the quotas of a namespace looked at.
#[derive(Clone)]
struct Triggers {
    quotas: Store<ResourceQuota>,
    queue: Queue<ObjectKey>,
}

impl Triggers {
    fn fire(&self, namespace: &str) {
        for quota in self.quotas.namespace(namespace) {
            self.queue.add_after(ObjectKey::of(&*quota), DEBOUNCE);
        }
    }
}

struct Measurer {
    client: Client,
    api: Api<ResourceQuota>,
    clock: Clock,
    factory: Factory,
    triggers: Triggers,
    /// What is counted besides pods and services, and where it is served.
    watched: Mutex<BTreeMap<String, Gvr>>,
}

#[async_trait::async_trait]
impl Reconcile<ObjectKey> for Measurer {
    async fn reconcile(&self, key: &ObjectKey) -> Result<Action, BoxError> {
        let api = self.api.namespace(&key.namespace);
        let quota = match api.get(&key.name).await {
            Err(error) if error.is_not_found() => return Ok(Action::Done),
            quota => quota?,
        };
        let used = self.measure(&quota).await?;
        let wanted = with_status(&quota, &used);
        if !is_same(&quota, &wanted) {
            api.replace_status(&wanted).await?;
        }
        Ok(Action::After(RESYNC))
    }
}

impl Measurer {
    /// What of the quota's names is used, as far as somebody knows them.
    async fn measure(&self, quota: &ResourceQuota) -> Result<Amounts, BoxError> {
        let tree = tree(&quota.encode())?;
        let hard = amounts::read(tree.at(&["spec", "hard"]));
        let mut by_resource: BTreeMap<GroupResource, BTreeSet<String>> = BTreeMap::new();
        for name in hard.into_keys() {
            if let Some(resource) = usage::resource_of(&name) {
                by_resource.entry(resource).or_default().insert(name);
            }
        }
        let mut used = Amounts::new();
        for (resource, names) in by_resource {
            let found = self
                .measure_resource(quota, &tree, &resource, &names)
                .await?;
            let Some(found) = found else { continue };
            for name in names {
                let quantity = found.get(&name).copied().unwrap_or_default();
                used.insert(name, quantity);
            }
        }
        Ok(used)
    }

    /// Nothing when the resource is not served.
    async fn measure_resource(
        &self,
        quota: &ResourceQuota,
        tree: &Value,
        resource: &GroupResource,
        names: &BTreeSet<String>,
    ) -> Result<Option<Amounts>, BoxError> {
        let (group, plural) = (resource.group.as_str(), resource.resource.as_str());
        let is_known = names.iter().any(|name| !name.starts_with("count/"));
        let Some(gvr) = self.locate(resource).await? else {
            // A name of upstream's own is of nothing that is there.
            return Ok(is_known.then(Amounts::new));
        };
        let objects = self.client.resource(gvr, true).namespace(quota.namespace());
        let mut options = ListOptions {
            resource_version: Some(quota.resource_version().to_owned()),
            resource_version_match: Some("NotOlderThan"),
            ..ListOptions::default()
        };
        if !matches!((group, plural), ("", "pods" | "services")) {
            if !usage::is_in_scope(group, plural, tree, &Value::Null) {
                return Ok(Some(Amounts::new()));
            }
            let count = Quantity::from_units(count(&objects, options).await?);
            let counted = names.iter().map(|name| (name.clone(), count));
            return Ok(Some(counted.collect()));
        }
        let mut used = Amounts::new();
        options.limit = Some(PAGE);
        loop {
            let page = objects.list(&options).await?;
            for item in &page.items {
                let object = self::tree(item)?;
                if usage::is_in_scope(group, plural, tree, &object) {
                    let now = self.clock.wall();
                    amounts::add(&mut used, &usage::usage(group, plural, &object, now));
                }
            }
            match page.continue_token {
                Some(token) => options = next_page(token),
                None => return Ok(Some(used)),
            }
        }
    }

    /// Where a resource is served. What is counted there is watched from now
    /// on, so that its going is noticed.
    async fn locate(&self, resource: &GroupResource) -> Result<Option<Gvr>, Error> {
        let of = resource.to_string();
        if resource.group.is_empty() && matches!(&*resource.resource, "pods" | "services") {
            return Ok(Some(Gvr::new("", "v1", resource.resource.to_string())));
        }
        let known = self.watched().get(&of).cloned();
        if known.is_some() {
            return Ok(known);
        }
        let served = self.client.discover().await?.resources.into_iter();
        let mut served = served.filter(|found| {
            *found.gvr.group == *resource.group
                && *found.gvr.resource == *resource.resource
                && found.namespaced
                && found.can("list")
        });
        let Some(found) = served.next() else {
            return Ok(None);
        };
        if found.can("watch") {
            self.watch(&found.gvr);
        }
        self.watched().insert(of, found.gvr.clone());
        Ok(Some(found.gvr))
    }

    fn watch(&self, gvr: &Gvr) {
        let informer: Informer<Counted> =
            self.factory
                .projected(gvr.clone(), true, ListOptions::default(), Counted::decode);
        let triggers = self.triggers.clone();
        informer.on_change(move |change: &Change<Counted>| {
            if change.is_removal() {
                triggers.fire(&change.object().key.namespace);
            }
        });
    }

    fn watched(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Gvr>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An object of which only its being there counts.
struct Counted {
    key: ObjectKey,
    revision: String,
}

impl Counted {
    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let metadata = PartialObject::decode(bytes)?.metadata;
        let text = |text: Option<String>| text.unwrap_or_default();
        Ok(Counted {
            key: ObjectKey::new(text(metadata.namespace), text(metadata.name)),
            revision: text(metadata.resource_version),
        })
    }
}

impl Cached for Counted {
    fn object_key(&self) -> ObjectKey {
        self.key.clone()
    }

    fn revision(&self) -> &str {
        &self.revision
    }
}

/// How many there are: one is listed, and the server says how many are left.
async fn count(objects: &client::Resource, mut options: ListOptions) -> Result<i64, Error> {
    options.limit = Some(1);
    let mut count = 0;
    loop {
        let page = objects.list(&options).await?;
        count += i64::try_from(page.items.len()).unwrap_or(i64::MAX);
        match (page.continue_token, page.remaining_item_count) {
            (Some(_), Some(left)) => return Ok(count + left),
            (Some(token), None) => options = next_page(token),
            (None, _) => return Ok(count),
        }
    }
}

fn next_page(token: String) -> ListOptions {
    ListOptions {
        limit: Some(PAGE),
        continue_token: Some(token),
        ..ListOptions::default()
    }
}

fn tree(bytes: &[u8]) -> Result<Value, BoxError> {
    codec::json::parse_value(bytes).map_err(|error| error.to_string().into())
}

/// The quota with its limits taken over, and what is used of them. What nobody
/// could measure stays as it was.
fn with_status(quota: &ResourceQuota, used: &Amounts) -> ResourceQuota {
    let hard = quota.spec.as_ref().and_then(|spec| spec.hard.clone());
    let before = quota.status.as_ref().and_then(|status| status.used.clone());
    let mut all = before.unwrap_or_default();
    for (name, quantity) in used {
        all.insert(name.clone(), typed::Quantity(quantity.to_string()));
    }
    all.retain(|name, _| hard.as_ref().is_some_and(|hard| hard.contains_key(name)));
    let status = ResourceQuotaStatus {
        hard,
        used: Some(all),
    };
    ResourceQuota {
        status: Some(status),
        ..quota.clone()
    }
}

fn is_same(one: &ResourceQuota, other: &ResourceQuota) -> bool {
    let hard = |quota: &ResourceQuota| quota.status.as_ref().and_then(|s| s.hard.clone());
    let used = |quota: &ResourceQuota| -> BTreeMap<String, Option<Quantity>> {
        let used = quota.status.as_ref().and_then(|s| s.used.clone());
        let used = used.unwrap_or_default().into_iter();
        used.map(|(name, quantity)| (name, quantity.0.parse().ok()))
            .collect()
    };
    one.status.is_some() && hard(one) == hard(other) && used(one) == used(other)
}

#[cfg(test)]
mod tests {
    use crate::testing::Cluster;
    use serde_json::{Value, json};

    fn quota(cluster: &Cluster, hard: Value) {
        let object = json!({"metadata": {"name": "q", "namespace": "a"}, "spec": {"hard": hard}});
        cluster.api.create("resourcequotas", object);
    }

    fn pod(cluster: &Cluster, name: &str) {
        let container = json!({"name": "c", "resources": {"requests": {"cpu": "100m"}}});
        let pod = json!({"metadata": {"name": name, "namespace": "a"}, "spec": {"containers": [container]}});
        cluster.api.create("pods", pod);
    }

    fn status(cluster: &Cluster) -> Value {
        cluster.api.get("resourcequotas", "a", "q").unwrap()["status"].clone()
    }

    #[tokio::test(start_paused = true)]
    async fn quotas_follow_what_is_there() {
        let cluster = Cluster::start(&["resourcequota-controller"]);
        pod(&cluster, "one");
        pod(&cluster, "two");
        let map = json!({"metadata": {"name": "m", "namespace": "a"}});
        cluster.api.create("configmaps", map.clone());
        let mut elsewhere = map;
        elsewhere["metadata"]["namespace"] = json!("b");
        cluster.api.create("configmaps", elsewhere);
        let hard = json!({
            "configmaps": "5", "count/replicasets.apps": "3", "persistentvolumeclaims": "1",
            "pods": "10", "requests.cpu": "1",
        });
        quota(&cluster, hard.clone());
        cluster.settle().await;
        let used = json!({
            "configmaps": "1", "count/replicasets.apps": "0", "persistentvolumeclaims": "0",
            "pods": "2", "requests.cpu": "200m",
        });
        assert_eq!(status(&cluster), json!({"hard": hard, "used": used}));

        cluster.api.remove("configmaps", "a", "m");
        cluster.api.edit("pods", "a", "one", |pod| {
            pod["status"]["phase"] = json!("Succeeded")
        });
        cluster.settle().await;
        let now = status(&cluster)["used"].clone();
        assert_eq!(now["configmaps"], "0");
        assert_eq!(
            (&now["pods"], &now["requests.cpu"]),
            (&json!("1"), &json!("100m"))
        );

        cluster.api.edit("resourcequotas", "a", "q", |quota| {
            quota["spec"]["hard"] = json!({"pods": "3"})
        });
        cluster.settle().await;
        assert_eq!(
            status(&cluster),
            json!({"hard": {"pods": "3"}, "used": {"pods": "1"}})
        );
        cluster.api.take_writes();
        cluster.pass(600).await;
        assert_eq!(cluster.api.take_writes(), Vec::<String>::new());
    }
}
