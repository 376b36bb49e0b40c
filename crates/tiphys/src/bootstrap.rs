//! What every cluster has from its first second: namespaces, priority classes,
//! the ranges of Services, and the Services of the API server and of DNS.
//! Reconciled at each start, through the same door as everything else; what
//! every client relies on is looked after as long as the server runs.

use anyhow::{Context as _, Result};
use auth::rbac::reconcile::Action;
use bytes::Bytes;
use client::{Client, Error, Gvr, WriteOptions};
use futures::{StreamExt as _, TryStreamExt as _};
use meta::object::Object as _;
use meta::{Value, value};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;
use stdx::Clock;

/// How many objects are made at once.
const SIDE_BY_SIDE: usize = 64;
/// How often what must not be missing is looked for.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// The namespaces that every cluster has.
const NAMESPACES: [&str; 4] = ["default", "kube-system", "kube-public", "kube-node-lease"];

/// Where the cluster's own Services lead.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The range of Services.
    pub service_cidr: String,
    /// The API server's Service address.
    pub service_ip: Ipv4Addr,
    /// The address at which the API server is found.
    pub advertise: IpAddr,
    /// Its port.
    pub port: u16,
    /// The address of cluster DNS; `None` when it does not run.
    pub dns: Option<Ipv4Addr>,
    /// The day of this start.
    pub today: String,
}

/// Brings everything into being, namespaces first.
pub async fn run(client: &Client, facts: &Facts, rbac: Vec<Value>) -> Result<()> {
    namespaces(client).await?;
    // Side by side, so that the store writes many at once.
    let roles = futures::stream::iter(rbac).map(|object| async move {
        let plural = match object.str_at(&["kind"]) {
            "ClusterRole" => "clusterroles",
            "ClusterRoleBinding" => "clusterrolebindings",
            "Role" => "roles",
            _ => "rolebindings",
        };
        reconcile(client, plural, &object).await
    });
    roles
        .buffer_unordered(SIDE_BY_SIDE)
        .try_collect::<()>()
        .await?;
    for (name, value, description) in [
        (
            "system-node-critical",
            2_000_001_000,
            "Used for system critical pods that must not be moved from their current node.",
        ),
        (
            "system-cluster-critical",
            2_000_000_000,
            "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.",
        ),
    ] {
        let object = value!({
            "apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": name},
            "value": value, "description": description
        });
        ensure(client, "priorityclasses", &object, Existing::Stays).await?;
    }
    let range = value!({
        "apiVersion": "networking.k8s.io/v1", "kind": "ServiceCIDR", "metadata": {"name": "kubernetes"},
        "spec": {"cidrs": [facts.service_cidr.as_str()]}
    });
    ensure(client, "servicecidrs", &range, Existing::Stays).await?;
    token_tracking(client, facts).await?;
    services(client, facts).await
}

/// Brings back what somebody deleted and no cluster can be without. Follows
/// pkg/controlplane/controller/kubernetesservice and systemnamespaces.
pub async fn keep(client: Client, facts: Facts, clock: Clock) {
    loop {
        clock.sleep(LOOK_EVERY).await;
        let kept = async {
            namespaces(&client).await?;
            services(&client, &facts).await
        };
        if let Err(error) = kept.await {
            tracing::warn!(
                error = format!("{error:#}"),
                "cannot keep the cluster's own objects"
            );
        }
    }
}

async fn namespaces(client: &Client) -> Result<()> {
    for name in NAMESPACES {
        let object = value!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        ensure(client, "namespaces", &object, Existing::Stays).await?;
    }
    Ok(())
}

/// Since when the use of tokens in Secrets is noted. Follows
/// pkg/controlplane/controller/legacytokentracking.
async fn token_tracking(client: &Client, facts: &Facts) -> Result<()> {
    let map = value!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "kube-apiserver-legacy-service-account-token-tracking", "namespace": "kube-system"},
        "data": {"since": facts.today.as_str()}
    });
    ensure(client, "configmaps", &map, Existing::Stays).await
}

async fn services(client: &Client, facts: &Facts) -> Result<()> {
    api_server_service(client, facts).await?;
    match facts.dns {
        Some(dns) => dns_service(client, dns).await,
        None => Ok(()),
    }
}

/// Follows pkg/controlplane/controller/kubernetesservice.
async fn api_server_service(client: &Client, facts: &Facts) -> Result<()> {
    let labels = value!({"component": "apiserver", "provider": "kubernetes"});
    let service = value!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "kubernetes", "namespace": "default", "labels": labels},
        "spec": {
            "clusterIP": facts.service_ip.to_string(), "type": "ClusterIP", "sessionAffinity": "None",
            "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": i64::from(facts.port)}]
        }
    });
    ensure(client, "services", &service, Existing::Stays).await?;
    let endpoints = value!({
        "apiVersion": "v1", "kind": "Endpoints",
        "metadata": {
            "name": "kubernetes", "namespace": "default",
            "labels": {"endpointslice.kubernetes.io/skip-mirror": "true"}
        },
        "subsets": [{
            "addresses": [{"ip": facts.advertise.to_string()}],
            "ports": [{"name": "https", "port": i64::from(facts.port), "protocol": "TCP"}]
        }]
    });
    ensure(client, "endpoints", &endpoints, Existing::Replaced).await?;
    let slice = slice(
        "kubernetes",
        "default",
        "kubernetes",
        facts.advertise,
        &[("https", "TCP", i64::from(facts.port))],
    );
    ensure(client, "endpointslices", &slice, Existing::Replaced).await
}

/// Cluster DNS runs in no pod: a Service without selector describes it, so
/// that tools find what they expect.
async fn dns_service(client: &Client, dns: Ipv4Addr) -> Result<()> {
    let ports = [("dns", "UDP", 53), ("dns-tcp", "TCP", 53)];
    let service_ports = ports.iter().map(|(name, protocol, port)| {
        value!({"name": *name, "protocol": *protocol, "port": *port, "targetPort": *port})
    });
    let service = value!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {
            "name": "kube-dns", "namespace": "kube-system",
            "labels": {"k8s-app": "kube-dns", "kubernetes.io/cluster-service": "true", "kubernetes.io/name": "CoreDNS"}
        },
        "spec": {"clusterIP": dns.to_string(), "ports": Value::Array(service_ports.collect())}
    });
    ensure(client, "services", &service, Existing::Stays).await?;
    let slice = slice("kube-dns", "kube-system", "kube-dns", dns.into(), &ports);
    ensure(client, "endpointslices", &slice, Existing::Replaced).await
}

fn slice(
    name: &str,
    namespace: &str,
    service: &str,
    address: IpAddr,
    ports: &[(&str, &str, i64)],
) -> Value {
    let ports = ports.iter().map(
        |(name, protocol, port)| value!({"name": *name, "protocol": *protocol, "port": *port}),
    );
    value!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {"name": name, "namespace": namespace, "labels": {"kubernetes.io/service-name": service}},
        "addressType": if address.is_ipv4() { "IPv4" } else { "IPv6" },
        "endpoints": [{"addresses": [address.to_string()], "conditions": {"ready": true}}],
        "ports": Value::Array(ports.collect())
    })
}

/// What becomes of an object that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Existing {
    /// It is the users' now.
    Stays,
    /// It is ours.
    Replaced,
}

fn at(client: &Client, plural: &'static str, object: &Value) -> Result<client::Resource> {
    let gvk = object
        .gvk()
        .with_context(|| format!("make {plural} {:?}", object.name()))?;
    let gvr = Gvr::new(gvk.group.to_string(), gvk.version.to_string(), plural);
    let namespace = object.namespace();
    let resource = client.resource(gvr, !namespace.is_empty());
    Ok(if namespace.is_empty() {
        resource
    } else {
        resource.namespace(namespace)
    })
}

/// Brings a role or binding up to what is shipped.
async fn reconcile(client: &Client, plural: &'static str, shipped: &Value) -> Result<()> {
    let name = shipped.name();
    let what = || format!("make {plural} {name:?}");
    let resource = at(client, plural, shipped)?;
    let stored = match resource.get(name, "").await {
        Ok(found) => Some(codec::json::parse_value(&found).with_context(what)?),
        Err(error) if error.is_not_found() => None,
        Err(error) => return Err(error).with_context(what),
    };
    let options = WriteOptions::default();
    match auth::rbac::reconcile::plan(shipped, stored.as_ref()) {
        Action::Leave => {}
        Action::Create(object) => {
            resource
                .create(Bytes::from(object.to_json()), &options)
                .await
                .with_context(what)?;
        }
        Action::Update(object) => {
            resource
                .replace(name, "", Bytes::from(object.to_json()), &options)
                .await
                .with_context(what)?;
        }
        Action::Replace(object) => {
            resource
                .delete(name, &client::DeleteOptions::default())
                .await
                .with_context(what)?;
            resource
                .create(Bytes::from(object.to_json()), &options)
                .await
                .with_context(what)?;
        }
    }
    Ok(())
}

async fn ensure(
    client: &Client,
    plural: &'static str,
    object: &Value,
    existing: Existing,
) -> Result<()> {
    let name = object.name().to_string();
    let what = || format!("make {plural} {name:?}");
    let resource = at(client, plural, object)?;
    let found = match resource.get(&name, "").await {
        Ok(_) if existing == Existing::Stays => return Ok(()),
        Ok(found) => found,
        Err(error) if error.is_not_found() => {
            let body = Bytes::from(object.to_json());
            resource
                .create(body, &WriteOptions::default())
                .await
                .with_context(what)?;
            return Ok(());
        }
        Err(error) => return Err(error).with_context(what),
    };
    let found = codec::json::parse_value(&found).with_context(what)?;
    let Some(wanted) = merged(&found, object, existing) else {
        return Ok(());
    };
    match resource
        .replace(
            &name,
            "",
            Bytes::from(wanted.to_json()),
            &WriteOptions::default(),
        )
        .await
    {
        Ok(_) => Ok(()),
        // Somebody changed it meanwhile; the next start looks again.
        Err(error) if Error::is_conflict(&error) => Ok(()),
        Err(error) => Err(error).with_context(what),
    }
}

/// The object as it should be; `None` when it is so.
fn merged(found: &Value, wanted: &Value, existing: Existing) -> Option<Value> {
    let mut out = found.clone();
    match existing {
        Existing::Stays => return None,
        Existing::Replaced => {
            for (key, value) in wanted.as_object()?.iter().filter(|(k, _)| *k != "metadata") {
                out.make_object().insert(key.clone(), value.clone());
            }
        }
    }
    (out != *found).then_some(out)
}
