//! The node in this process: container runtime, images, pod network, kubelet,
//! service proxy and cluster DNS.

use crate::config::Config;
use anyhow::{Context as _, Result, bail};
use client::{Client, ListOptions};
use container::embedded::Embedded;
use dns::Zone;
use images::Images;
use images::access::Access;
use images::pull::Puller;
use images::registry::{Registries, Remote};
use informer::{Change, Factory, Informer};
use kubelet::adapters::{LocalImages, NetworkSettings, RoutedNetwork};
use kubelet::machine::{LinuxCgroups, LinuxMachine, LinuxMounts};
use linux::netns::Netns;
use podnet::Podnet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use stdx::{Clock, Importance, Rng, Supervisor};
use tokio::net::TcpListener;
use tokio::sync::watch;
use typed::Typed;
use typed::api::core::v1::{Namespace, Node, Pod, Service};
use typed::api::discovery::v1::EndpointSlice;

/// What kind of machine a node is; the older name too, as kubelets set both.
const INSTANCE_TYPE: [&str; 2] = [
    "beta.kubernetes.io/instance-type",
    "node.kubernetes.io/instance-type",
];

/// What the node is started with.
pub struct Parts {
    /// Speaks as the node.
    pub client: Client,
    /// The caches of the process, for proxy and DNS.
    pub shared: Factory,
    /// The certificate that the kubelet's HTTPS door shows, and whom it believes.
    pub door: kubelet::server::Door,
    /// Where the door is.
    pub listener: TcpListener,
    /// The node's address.
    pub node_ip: Ipv4Addr,
    /// The time.
    pub clock: Clock,
    /// Randomness.
    pub rng: Rng,
    /// The owner of all tasks.
    pub supervisor: Supervisor,
}

/// Starts everything of the node.
pub async fn start(config: &Config, parts: Parts) -> Result<kubelet::Handle> {
    let instance = &config.instance;
    let runtime_config = container::embedded::Config::new(
        instance.run().join("containers"),
        instance.containers(),
        instance.cgroup(),
    );
    let runtime = Arc::new(
        Embedded::open(runtime_config)
            .await
            .context("open the container runtime")?,
    );
    let images = Images::open(&instance.images()).context("open the image store")?;
    import_waiting(&images, &instance.image_imports());
    let registries = Registries::read(&config.args.private_registry)?;
    let remote = Remote::new(registries, parts.clock.clone())?;
    let remote = remote.docker_files(images::keyring::node_files(Some(&instance.kubelet())));
    let puller = puller(config, images, remote, &parts.clock)?;
    let (opened, network_open) = watch::channel(false);
    let network = Arc::new(RoutedNetwork::new(network_settings(
        config,
        parts.node_ip,
        opened,
    )));
    if config.runs("proxy") {
        proxy_loop(config, &parts)?;
    }
    if config.runs("dns") {
        dns_loop(config, &parts, network_open);
    }
    let doors = kubelet::Doors {
        runtime,
        images: Arc::new(LocalImages::new(puller)),
        network,
        mounts: Arc::new(LinuxMounts),
        cgroups: Arc::new(LinuxCgroups::detect().context("find cgroups")?),
        machine: Arc::new(LinuxMachine),
        prober: None,
        events: None,
    };
    let own = Factory::new(
        parts.client.clone(),
        parts.clock.clone(),
        parts.rng.fork(),
        parts.supervisor.clone(),
    );
    let settings = kubelet_config(config, parts.node_ip)?;
    let handle = kubelet::run(
        settings,
        parts.client,
        doors,
        &own,
        parts.clock,
        parts.rng,
        parts.supervisor.clone(),
    )
    .await
    .context("start the kubelet")?;
    kubelet::server::serve(&handle, parts.listener, parts.door)
        .context("open the kubelet's door")?;
    Ok(handle)
}

/// Pulls images for pods, and knows which of them each pod may use.
fn puller(config: &Config, images: Images, remote: Remote, clock: &Clock) -> Result<Puller> {
    let options = &config.args.kubelet;
    let records = config.instance.kubelet().join("image_manager");
    let access = Access::open(&records, options.verification()?, &images, clock.clone())
        .context("read who may use which images")?;
    let puller = Puller::new(images, Arc::new(remote), clock.clone()).access(access);
    Ok(match options.parallel_pulls()? {
        Some(max) => puller.parallel(max),
        None => puller,
    })
}

fn kubelet_config(config: &Config, node_ip: Ipv4Addr) -> Result<kubelet::Config> {
    let instance = &config.instance;
    let mut out = kubelet::Config::new(&config.node_name, instance.kubelet());
    out.node_ips = vec![node_ip.to_string()];
    out.node_labels = config
        .args
        .node_label
        .iter()
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(key, value)| (key.to_string(), value.to_string()))
        .collect();
    for key in INSTANCE_TYPE {
        let label = out.node_labels.entry(key.to_string());
        label.or_insert_with(|| "tiphys".to_string());
    }
    out.node_taints = config.args.node_taint.clone();
    out.image_root = instance.images();
    out.image_gc = config.args.kubelet.image_gc()?;
    out.eviction = config.args.kubelet.eviction()?;
    let streaming_idle = config.args.kubelet.streaming_idle();
    out.streaming_idle_timeout = streaming_idle.unwrap_or(out.streaming_idle_timeout);
    out.cgroup_root = instance.cgroup();
    if config.runs("dns") {
        out.cluster_dns = vec![config.cluster_dns.to_string()];
    }
    out.cluster_domain = config.args.cluster_domain.clone();
    out.resolv_conf = config.args.resolv_conf.clone();
    out.port = config.args.kubelet_port;
    let limits = config.args.node_limits;
    out.pods_max = limits.max_pods.unwrap_or(out.pods_max);
    out.pod_pids_limit = limits.pod_max_pids;
    let (size, files) = (
        limits.container_log_max_size,
        limits.container_log_max_files,
    );
    out.container_log_max_size = size.unwrap_or(out.container_log_max_size);
    out.container_log_max_files = files.unwrap_or(out.container_log_max_files);
    out.version = apiserver::version::GIT_VERSION.into();
    Ok(out)
}

/// Archives that lie in the images directory are there before the first pod.
fn import_waiting(images: &Images, folder: &Path) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        if !path.is_file() {
            continue;
        }
        match images.import(&path, &images::ImportOptions::default()) {
            Ok(imported) => {
                tracing::info!(path = %path.display(), images = imported.len(), "imported")
            }
            Err(error) => {
                tracing::warn!(path = %path.display(), error = images::chain(&error), "not imported")
            }
        }
    }
}

fn network_settings(
    config: &Config,
    node_ip: Ipv4Addr,
    opened: watch::Sender<bool>,
) -> NetworkSettings {
    let dns = config.runs("dns").then_some(config.cluster_dns);
    let service_cidr = config.service_cidr;
    NetworkSettings {
        instance: config.instance.name.clone(),
        cluster_cidr: config.cluster_cidr,
        node_ip,
        state_dir: config.instance.network(),
        mtu: None,
        node: Box::new(|| Ok(Netns::current()?)),
        opened: Box::new(move |network: &Arc<Podnet>| {
            if let Some(dns) = dns {
                network.ensure_dns_address(dns)?;
            }
            network.ensure_service_route(service_cidr)?;
            if let Some(obstacle) = network.forwarding_obstacle()? {
                tracing::warn!(obstacle, "the host's packet filter drops what pods send");
            }
            opened.send_replace(true);
            Ok(())
        }),
    }
}

fn each<T: Typed>(
    informer: &Informer<T>,
    put: impl Fn(&T) + Send + 'static,
    gone: impl Fn(&T) + Send + 'static,
) where
    T: Send + Sync + 'static,
{
    informer.on_change(move |change: &Change<T>| match &change.new {
        Some(object) => put(object),
        None => gone(change.object()),
    });
}

fn proxy_loop(config: &Config, parts: &Parts) -> Result<()> {
    let facts = proxy::Facts {
        node: config.node_name.clone(),
        zone: None,
        ipv6: false,
        cluster_cidrs: vec![config.cluster_cidr],
        service_cidrs: vec![config.service_cidr],
        exempt: config
            .runs("dns")
            .then_some(IpAddr::V4(config.cluster_dns))
            .into_iter()
            .collect(),
        pod_links: Some((
            podnet::link_prefix(&config.instance.name),
            parts.node_ip.into(),
        )),
        loopback: true,
    };
    let netns = Netns::current().context("open the node's network namespace")?;
    let backend = proxy::Kernel::open(&config.instance.name, &facts, &netns)
        .context("open the packet filter")?;
    let cache = proxy::Cache::new();
    let services = parts.shared.informer::<Service>();
    let slices = parts.shared.informer::<EndpointSlice>();
    let here = ListOptions::fields(format!("spec.nodeName={}", config.node_name));
    let pods = parts.shared.selected::<Pod>(here);
    let (a, b) = (cache.clone(), cache.clone());
    each(
        &services,
        move |s| a.set_service(s),
        move |s| b.remove_service(&s.metadata),
    );
    let (a, b) = (cache.clone(), cache.clone());
    each(
        &slices,
        move |s| a.set_slice(s),
        move |s| b.remove_slice(&s.metadata),
    );
    let (a, b) = (cache.clone(), cache.clone());
    each(
        &pods,
        move |pod| a.set_pod(pod),
        move |pod| b.remove_pod(&pod.metadata),
    );
    let proxy = proxy::Proxy::new(
        cache.clone(),
        cache.dirty(),
        backend,
        facts,
        parts.clock.clone(),
        parts.rng.fork(),
    );
    proxy_health(config, parts, &proxy.health());
    let stop = parts.supervisor.token();
    parts
        .supervisor
        .spawn("proxy", Importance::Essential, async move {
            tokio::join!(services.synced(), slices.synced(), pods.synced());
            proxy.run(stop).await;
        });
    Ok(())
}

/// Answers load balancers.
fn proxy_health(config: &Config, parts: &Parts, health: &proxy::Health) {
    let (told, name) = (health.clone(), config.node_name.clone());
    let nodes = parts.shared.informer::<Node>();
    each(
        &nodes,
        move |node| {
            if node.name() == name {
                told.set_node_goes(goes(node));
            }
        },
        |_| {},
    );
    let (supervisor, ordinary) = (&parts.supervisor, Importance::Ordinary);
    let services = health.clone().serve_services();
    supervisor.spawn("health of services", ordinary, services);
    if let Some(address) = config.args.proxy_healthz {
        let node = health.clone().serve_node(address);
        supervisor.spawn("health of the proxy", ordinary, node);
    }
}

/// Whether a node is about to go: then it is to get no new traffic.
fn goes(node: &Node) -> bool {
    let taints = node
        .spec
        .iter()
        .flat_map(|spec| spec.taints.iter().flatten());
    let mut taints = taints.map(|taint| taint.key.as_str());
    node.metadata.deletion_timestamp.is_some()
        || taints.any(|key| key == "ToBeDeletedByClusterAutoscaler")
}

fn dns_loop(config: &Config, parts: &Parts, mut network_open: watch::Receiver<bool>) {
    let zone = Arc::new(Zone::new());
    let services = parts.shared.informer::<Service>();
    let slices = parts.shared.informer::<EndpointSlice>();
    let namespaces = parts.shared.informer::<Namespace>();
    let (a, b) = (zone.clone(), zone.clone());
    each(
        &services,
        move |s| a.set_service(dns::service(s)),
        move |s| b.remove_service(s.namespace(), s.name()),
    );
    let (a, b) = (zone.clone(), zone.clone());
    each(
        &slices,
        move |s| match dns::slice(s) {
            Some(slice) => a.set_slice(slice),
            None => a.remove_slice(s.namespace(), s.name()),
        },
        move |s| b.remove_slice(s.namespace(), s.name()),
    );
    let (a, b) = (zone.clone(), zone.clone());
    each(
        &namespaces,
        move |n| a.set_namespace(n.name()),
        move |n| b.remove_namespace(n.name()),
    );
    let address = SocketAddr::from((config.cluster_dns, 53));
    let domain = config.args.cluster_domain.clone();
    let (clock, rng, known) = (parts.clock.clone(), parts.rng.fork(), zone.clone());
    parts
        .supervisor
        .spawn("dns", Importance::Essential, async move {
            tokio::join!(services.synced(), slices.synced(), namespaces.synced());
            known.set_synced();
            let _ = network_open.wait_for(|open| *open).await;
            loop {
                match serve_dns(address, &domain, known.clone(), clock.clone(), rng.fork()).await {
                    Ok(()) => return,
                    Err(error) => {
                        tracing::error!(error = format!("{error:#}"), "cluster DNS does not run")
                    }
                }
                clock.sleep(std::time::Duration::from_secs(5)).await;
            }
        });
}

async fn serve_dns(
    address: SocketAddr,
    domain: &str,
    zone: Arc<Zone>,
    clock: Clock,
    rng: Rng,
) -> Result<()> {
    let mut settings = dns::Config::new(vec![address]);
    settings.domain = domain.into();
    match dns::resolv_conf::resolvers(&[address.ip()]) {
        Ok(resolvers) => settings.upstreams = resolvers.servers,
        Err(error) => tracing::warn!(%error, "names outside of the cluster are not resolved"),
    }
    let server = dns::Server::bind(&settings, zone, clock, rng)
        .with_context(|| format!("listen on {address}"))?;
    server.run().await;
    Ok(())
}

/// The node's address: the one given, else the one it speaks from.
pub fn address(wanted: Option<IpAddr>) -> Result<Ipv4Addr> {
    let netns = Netns::current().context("open the node's network namespace")?;
    match podnet::node_address(wanted, &netns).context("find the node's address")? {
        IpAddr::V4(address) => Ok(address),
        IpAddr::V6(address) => {
            bail!("the node's address {address} is IPv6, which is not supported yet")
        }
    }
}
