//! `tiphys server`: the control plane and, unless disabled, a node. Read
//! [`serve`] from top to bottom: each line brings up one thing that the next
//! stands on.

use crate::bootstrap::{self, Facts};
use crate::config::{Config, ipv4_parts};
use crate::identity::{Identity, Rights};
use crate::kubelets::HttpsKubelets;
use crate::node::{self, Parts};
use crate::node_role;
use crate::notify;
use crate::preflight;
use crate::server_args::ServerArgs;
use anyhow::{Context as _, Result, anyhow, bail};
use apiserver::{Server, edge};
use auth::User;
use auth::user::{AUTHENTICATED, MASTERS, NODES};
use client::Client;
use controllers::Manager;
use loopback::Loopback;
use manifests::Manifests;
use meta::schema::Ref;
use registry::hooks::Hooks;
use registry::{Registry, ServiceAllocator};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use stdx::{Clock, Importance, Rng, Supervisor};
use store::Store;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// How long tasks have to end.
const GRACE: Duration = Duration::from_secs(10);
/// How often certificates are looked at.
const RENEW_EVERY: Duration = Duration::from_secs(12 * 3600);

/// Runs until a signal or a failure.
pub fn run(args: ServerArgs) -> Result<()> {
    let config = Config::new(args)?;
    crate::logging::start(&config.args.log)?;
    preflight::check(&config)?;
    raise_limits();
    give_memory_back();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("start a runtime")?;
    let outcome = runtime.block_on(serve(config));
    // Blocking work of the node (a packet filter's thread, a pull) is not waited for.
    runtime.shutdown_timeout(Duration::from_secs(1));
    outcome
}

/// As many descriptors as the machine allows: each watch and each pod takes
/// some, and shells give 1,024.
fn raise_limits() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "cannot raise the number of open files");
    }
}

/// Lets a thread of the allocator's give back what has lain free for a while.
/// Without one it does so only while memory is asked for, and a server that has
/// nothing to do would keep what its last burst needed.
fn give_memory_back() {
    use tikv_jemalloc_ctl::{background_thread, max_background_threads};
    let started = max_background_threads::write(1).and_then(|()| background_thread::write(true));
    if let Err(error) = started {
        tracing::warn!(%error, "free memory is given back only while the server is busy");
    }
}

async fn serve(config: Config) -> Result<()> {
    let (clock, rng) = (Clock::system(), Rng::system());
    let supervisor = Supervisor::new("tiphys");
    let started = clock.now();
    let listener = listen(&config, config.args.https_listen_port, "https-listen-port").await?;
    let kubelet_listener = match config.args.disable_agent {
        true => None,
        false => Some(listen(&config, config.args.kubelet_port, "kubelet-port").await?),
    };
    let node_ip = node::address(config.args.node_ip)?;
    let advertise = config.args.advertise_address.unwrap_or(IpAddr::V4(node_ip));
    let store = open_store(&config, &clock, &rng, &supervisor).await?;
    let rights = Rights::new();
    let registry = registry(&config, &rights, store.clone(), &clock, &rng);
    let feed = registry.start().await.context("read the store")?;
    supervisor.spawn("feed", Importance::Essential, feed);
    let identity = Identity::open(
        &config,
        &rights,
        advertise,
        node_ip,
        &registry,
        &clock,
        &supervisor,
    )
    .await?;
    let kubelets = HttpsKubelets {
        tls: identity.to_kubelets()?,
        clock: clock.clone(),
    };
    let server = Arc::new(Server::new(
        registry.clone(),
        identity.authenticator(),
        identity.authorizer(),
        identity.tokens(),
        Arc::new(kubelets),
    ));
    let door = edge::serve(
        server.clone(),
        listener,
        identity.server_tls()?,
        supervisor.token(),
    );
    supervisor.spawn("https", Importance::Ordinary, door);
    let as_server = client(
        &server,
        User::new("system:apiserver", &[MASTERS, AUTHENTICATED]),
    );
    let own = facts(&config, advertise, &clock);
    bootstrap::run(&as_server, &own, identity.bootstrap_rbac()).await?;
    let manifests = Manifests::new(
        config.instance.manifests(),
        as_server.clone(),
        clock.clone(),
        rng.fork(),
    );
    supervisor.spawn("manifests", Importance::Ordinary, manifests.run());
    let keep = bootstrap::keep(as_server.clone(), own, clock.clone());
    supervisor.spawn("own objects", Importance::Ordinary, keep);
    renew_certificates(&identity, &clock, &supervisor);
    write_kubeconfig(&config, &identity)?;
    let shared = control(&config, &server, &identity, &clock, &rng, &supervisor)?;
    tracing::info!(
        url = format!("https://{}:{}", loopback_of(&config), config.args.https_listen_port),
        kubeconfig = %config.args.write_kubeconfig.display(),
        milliseconds = clock.since(started).as_millis() as u64,
        "tiphys is ready"
    );
    notify::ready();
    if let Some(kubelet_listener) = kubelet_listener {
        let user = User::new(
            format!("system:node:{}", config.node_name),
            &[NODES, AUTHENTICATED],
        );
        let client = client(&server, user).with_user_agent("kubelet");
        let door = identity.kubelet_door();
        let parts = Parts {
            client,
            shared,
            door,
            listener: kubelet_listener,
            node_ip,
            clock: clock.clone(),
            rng: rng.fork(),
            supervisor: supervisor.child("node"),
        };
        node::start(&config, parts).await?;
        let marked = node_role::mark(as_server, node_role::marks(&config, node_ip), clock.clone());
        supervisor.spawn("node role", Importance::Ordinary, marked);
    }
    let failure = wait_for_end(&supervisor).await;
    notify::stopping();
    let late = supervisor.shutdown(GRACE).await;
    if !late.is_empty() {
        tracing::warn!(tasks = late.join(", "), "did not end in time");
    }
    store.close().await;
    failure
}

/// A port in use is said before anything is touched.
async fn listen(config: &Config, port: u16, option: &str) -> Result<TcpListener> {
    let address = SocketAddr::new(config.args.bind_address, port);
    TcpListener::bind(address).await.map_err(|error| match error.kind() {
        std::io::ErrorKind::AddrInUse => anyhow!(
            "port {port} is in use: {address} cannot be listened on\nhint: choose another with --{option}"
        ),
        _ => anyhow!(error).context(format!("listen on {address}")),
    })
}

async fn open_store(
    config: &Config,
    clock: &Clock,
    rng: &Rng,
    supervisor: &Supervisor,
) -> Result<Arc<dyn Store>> {
    if !config.args.datastore_endpoint.is_empty() {
        let endpoints = store::etcd::Endpoints {
            urls: config.args.datastore_endpoint.clone(),
            cafile: config.args.datastore_cafile.clone(),
            certfile: config.args.datastore_certfile.clone(),
            keyfile: config.args.datastore_keyfile.clone(),
        };
        let options = store::etcd::EtcdOptions {
            sharing: Some(registry::alike),
            ..store::etcd::EtcdOptions::default()
        };
        let etcd = store::etcd::Etcd::connect(&endpoints, clock.clone(), options).await;
        return Ok(Arc::new(etcd.context("connect to the datastore")?));
    }
    let dir = config.instance.store();
    let options = store::Options {
        sharing: Some(registry::alike),
        ..store::Options::default()
    };
    let opened = store::Embedded::open(&dir, clock.clone(), rng.fork(), options).await;
    let embedded =
        Arc::new(opened.with_context(|| format!("open the store in {}", dir.display()))?);
    let watched = embedded.clone();
    supervisor.spawn_graceful("store", Importance::Essential, move |stop| async move {
        tokio::select! {
            () = watched.ended() => {}
            () = stop.cancelled() => {}
        }
    });
    Ok(embedded)
}

fn registry(
    config: &Config,
    rights: &Rights,
    store: Arc<dyn Store>,
    clock: &Clock,
    rng: &Rng,
) -> Arc<Registry> {
    let allocator = ServiceAllocator {
        network: ipv4_parts(&config.service_cidr),
        reserved: vec![config.service_ip, config.cluster_dns],
        ports: config.node_ports,
    };
    let hooks = Hooks::default().with("", "services", allocator);
    let kinds = api::kinds().map(Ref::Static);
    Arc::new(Registry::new(
        store,
        clock.clone(),
        rng.fork(),
        rights.admission(clock, rng),
        hooks,
        kinds,
    ))
}

fn facts(config: &Config, advertise: IpAddr, clock: &Clock) -> Facts {
    let now = stdx::format_seconds(clock.wall());
    Facts {
        service_cidr: config.args.service_cidr.clone(),
        service_ip: config.service_ip,
        advertise,
        port: config.args.https_listen_port,
        dns: (config.runs("dns") && !config.args.disable_agent).then_some(config.cluster_dns),
        today: now.split('T').next().unwrap_or_default().to_string(),
    }
}

fn client(server: &Arc<Server>, user: User) -> Client {
    Client::new(Arc::new(Loopback::new(server.clone(), user)))
}

/// A client under the identity of a loop.
fn client_of(server: &Arc<Server>, identity: &str) -> Client {
    let user = match identity
        .strip_prefix("system:serviceaccount:")
        .and_then(|rest| rest.split_once(':'))
    {
        Some((namespace, name)) => User::service_account(namespace, name),
        None => User::new(identity, &[AUTHENTICATED]),
    };
    client(server, user)
}

/// Controllers and scheduler, on shared caches.
fn control(
    config: &Config,
    server: &Arc<Server>,
    identity: &Identity,
    clock: &Clock,
    rng: &Rng,
    supervisor: &Supervisor,
) -> Result<informer::Factory> {
    let clients = server.clone();
    let manager = Manager {
        clients: Box::new(move |identity| client_of(&clients, identity)),
        clock: clock.clone(),
        rng: rng.fork(),
        supervisor: supervisor.child("controllers"),
        metrics: informer::Metrics::default(),
        options: controllers::Options {
            root_ca: identity.root_ca(),
            token_signer: Some(identity.token_signer()),
            cluster_cidrs: vec![config.args.cluster_cidr.clone()],
            service_cidrs: vec![config.args.service_cidr.clone()],
            ..controllers::Options::default()
        },
    };
    let factory = manager.start(|_| config.runs("controllers"));
    if config.runs("scheduler") {
        let runner = scheduler::Runner {
            client: client_of(server, "system:kube-scheduler").with_user_agent("kube-scheduler"),
            factory: factory.clone(),
            clock: clock.clone(),
            rng: rng.fork(),
            supervisor: supervisor.child("scheduler"),
            config: scheduler::Config::default(),
        };
        runner.start().context("start the scheduler")?;
    }
    Ok(factory)
}

fn renew_certificates(identity: &Identity, clock: &Clock, supervisor: &Supervisor) {
    let (pki, clock) = (identity.pki(), clock.clone());
    supervisor.spawn("certificates", Importance::Ordinary, async move {
        loop {
            clock.sleep(RENEW_EVERY).await;
            match pki.renew() {
                Ok(renewed) if renewed.is_empty() => {}
                Ok(renewed) => tracing::info!(files = renewed.join(", "), "certificates renewed"),
                Err(error) => tracing::error!(%error, "certificates could not be renewed"),
            }
        }
    });
}

fn loopback_of(config: &Config) -> IpAddr {
    match config.args.bind_address {
        address if address.is_unspecified() => IpAddr::from([127, 0, 0, 1]),
        address => address,
    }
}

/// The administrator's kubeconfig, for its owner's eyes only.
fn write_kubeconfig(config: &Config, identity: &Identity) -> Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let path = &config.args.write_kubeconfig;
    let url = format!(
        "https://{}:{}",
        loopback_of(config),
        config.args.https_listen_port
    );
    let text = identity.pki().admin_kubeconfig(&url);
    if std::fs::read_to_string(path).is_ok_and(|found| found == text) {
        return Ok(());
    }
    let write = || -> std::io::Result<()> {
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        let mut temporary = path.clone().into_os_string();
        temporary.push(".new");
        let mut options = std::fs::OpenOptions::new();
        let mut file = options
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&temporary)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&temporary, path)
    };
    write().with_context(|| format!("write the kubeconfig {}", path.display()))
}

async fn wait_for_end(supervisor: &Supervisor) -> Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("listen to SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listen to SIGINT")?;
    tokio::select! {
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
        failure = supervisor.failed() => {
            let why = failure.panic.map(|message| format!(": {message}")).unwrap_or_default();
            bail!("{} ended{why}", failure.task)
        }
    }
}
