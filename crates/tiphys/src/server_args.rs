//! The options of a server. Names and defaults are those that users of k3s know.

use crate::cli::{CONFIG_FILE, KUBECONFIG};
use crate::instance::{DATA_DIR, REGISTRIES};
use crate::kubelet_options::KubeletOptions;
use crate::logging::VModule;
use clap::{Args, ValueEnum};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// The options of a server.
#[derive(Args, Clone, Debug)]
pub struct ServerArgs {
    /// Configuration file; its keys are these options.
    #[arg(
        short,
        long,
        env = "TIPHYS_CONFIG_FILE",
        default_value = CONFIG_FILE
    )]
    pub config: PathBuf,
    /// Where data is kept.
    #[arg(short, long, env = "TIPHYS_DATA_DIR", default_value = DATA_DIR)]
    pub data_dir: PathBuf,
    /// Port of the API server.
    #[arg(
        long,
        env = "TIPHYS_HTTPS_LISTEN_PORT",
        default_value_t = 6443,
        help_heading = "API server"
    )]
    pub https_listen_port: u16,
    /// Address on which the API server listens.
    #[arg(
        long,
        env = "TIPHYS_BIND_ADDRESS",
        default_value_t = IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        help_heading = "API server"
    )]
    pub bind_address: IpAddr,
    /// Address at which pods and other nodes find the API server; the node's by default.
    #[arg(long, env = "TIPHYS_ADVERTISE_ADDRESS", help_heading = "API server")]
    pub advertise_address: Option<IpAddr>,
    /// Further names or addresses of the API server's certificate.
    #[arg(
        long,
        env = "TIPHYS_TLS_SAN",
        value_delimiter = ',',
        help_heading = "API server"
    )]
    pub tls_san: Vec<String>,
    /// Where the administrator's kubeconfig is written.
    #[arg(
        short = 'o',
        long,
        env = "TIPHYS_KUBECONFIG_OUTPUT",
        default_value = KUBECONFIG,
        help_heading = "API server"
    )]
    pub write_kubeconfig: PathBuf,
    /// The name of this node; the host's by default.
    #[arg(long, env = "TIPHYS_NODE_NAME", help_heading = "Node")]
    pub node_name: Option<String>,
    /// The address of this node.
    #[arg(long, env = "TIPHYS_NODE_IP", help_heading = "Node")]
    pub node_ip: Option<IpAddr>,
    /// Labels of this node.
    #[arg(
        long,
        env = "TIPHYS_NODE_LABEL",
        value_delimiter = ',',
        help_heading = "Node"
    )]
    pub node_label: Vec<String>,
    /// Taints of this node, as key=value:Effect.
    #[arg(
        long,
        env = "TIPHYS_NODE_TAINT",
        value_delimiter = ',',
        help_heading = "Node"
    )]
    pub node_taint: Vec<String>,
    /// Port of this node's kubelet.
    #[arg(
        long,
        env = "TIPHYS_KUBELET_PORT",
        default_value_t = 10250,
        help_heading = "Node"
    )]
    pub kubelet_port: u16,
    /// Where the addresses of pods come from.
    #[arg(
        long,
        env = "TIPHYS_CLUSTER_CIDR",
        default_value = "10.42.0.0/16",
        help_heading = "Network"
    )]
    pub cluster_cidr: String,
    /// Where the addresses of Services come from.
    #[arg(
        long,
        env = "TIPHYS_SERVICE_CIDR",
        default_value = "10.43.0.0/16",
        help_heading = "Network"
    )]
    pub service_cidr: String,
    /// The first and last node port.
    #[arg(
        long,
        env = "TIPHYS_SERVICE_NODE_PORT_RANGE",
        default_value = "30000-32767",
        help_heading = "Network"
    )]
    pub service_node_port_range: String,
    /// The address of cluster DNS; the tenth of the Services' by default.
    #[arg(long, env = "TIPHYS_CLUSTER_DNS", help_heading = "Network")]
    pub cluster_dns: Option<Ipv4Addr>,
    /// The domain of cluster DNS.
    #[arg(
        long,
        env = "TIPHYS_CLUSTER_DOMAIN",
        default_value = "cluster.local",
        help_heading = "Network"
    )]
    pub cluster_domain: String,
    /// The file that names the resolvers for everything else.
    #[arg(
        long,
        env = "TIPHYS_RESOLV_CONF",
        default_value = "/etc/resolv.conf",
        help_heading = "Node"
    )]
    pub resolv_conf: PathBuf,
    /// A bearer token that may do everything.
    #[arg(
        long,
        env = "TIPHYS_TOKEN",
        hide_env_values = true,
        help_heading = "API server"
    )]
    pub token: Option<String>,
    /// Mirrors, credentials and certificates of registries.
    #[arg(
        long,
        env = "TIPHYS_PRIVATE_REGISTRY",
        default_value = REGISTRIES,
        help_heading = "Node"
    )]
    pub private_registry: PathBuf,
    /// Run the control plane only.
    #[arg(long, env = "TIPHYS_DISABLE_AGENT", help_heading = "Node")]
    pub disable_agent: bool,
    /// Parts that do not run: scheduler, controllers, proxy, dns.
    #[arg(
        long,
        env = "TIPHYS_DISABLE",
        value_delimiter = ',',
        help_heading = "Components"
    )]
    pub disable: Vec<String>,
    /// An etcd cluster that keeps the data, as URLs; the embedded store by default.
    #[arg(
        long,
        env = "TIPHYS_DATASTORE_ENDPOINT",
        value_delimiter = ',',
        help_heading = "Datastore"
    )]
    pub datastore_endpoint: Vec<String>,
    /// The authority that vouches for the etcd cluster.
    #[arg(long, env = "TIPHYS_DATASTORE_CAFILE", help_heading = "Datastore")]
    pub datastore_cafile: Option<PathBuf>,
    /// The certificate to show to the etcd cluster.
    #[arg(long, env = "TIPHYS_DATASTORE_CERTFILE", help_heading = "Datastore")]
    pub datastore_certfile: Option<PathBuf>,
    /// Its key.
    #[arg(long, env = "TIPHYS_DATASTORE_KEYFILE", help_heading = "Datastore")]
    pub datastore_keyfile: Option<PathBuf>,
    /// Options in the words of kube-apiserver, as name=value; those that are supported.
    #[arg(long, env = "TIPHYS_KUBE_APISERVER_ARG", help_heading = "Components")]
    pub kube_apiserver_arg: Vec<String>,
    /// Options in the words of kube-controller-manager.
    #[arg(
        long,
        env = "TIPHYS_KUBE_CONTROLLER_MANAGER_ARG",
        value_delimiter = ',',
        help_heading = "Components"
    )]
    pub kube_controller_manager_arg: Vec<String>,
    /// Options in the words of kube-scheduler.
    #[arg(long, env = "TIPHYS_KUBE_SCHEDULER_ARG", help_heading = "Components")]
    pub kube_scheduler_arg: Vec<String>,
    /// Options in the words of kubelet.
    #[arg(long, env = "TIPHYS_KUBELET_ARG", help_heading = "Components")]
    pub kubelet_arg: Vec<String>,
    /// What this node allows its pods, from the words of kubelet.
    #[arg(skip)]
    pub node_limits: NodeLimits,
    /// Options in the words of kube-proxy.
    #[arg(long, env = "TIPHYS_KUBE_PROXY_ARG", help_heading = "Components")]
    pub kube_proxy_arg: Vec<String>,
    /// What kubelet's own options say.
    #[arg(skip)]
    pub kubelet: KubeletOptions,
    /// Where the proxy says how it does; nowhere if absent.
    #[arg(skip = Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 10256))))]
    pub proxy_healthz: Option<SocketAddr>,
    /// What is said of all this.
    #[command(flatten, next_help_heading = "Log")]
    pub log: LogArgs,
}

/// What a node allows its pods, where that is not upstream's default.
#[derive(Clone, Copy, Debug, Default)]
pub struct NodeLimits {
    /// Files that are kept of a container's log.
    pub container_log_max_files: Option<u32>,
    /// Bytes at which a container's log is rotated.
    pub container_log_max_size: Option<u64>,
    /// Pods at a time.
    pub max_pods: Option<u32>,
    /// Processes of a pod.
    pub pod_max_pids: Option<i64>,
}

/// The options of the log.
#[derive(Args, Clone, Debug)]
pub struct LogArgs {
    /// The form of the log.
    #[arg(long, env = "TIPHYS_LOGGING_FORMAT", default_value = "text")]
    pub logging_format: LogFormat,
    /// How much to say: 0 what matters, 4 how it is done, 6 everything, 10 the libraries too.
    #[arg(
        short,
        long,
        env = "TIPHYS_V",
        value_name = "LEVEL",
        default_value_t = 0
    )]
    pub v: u8,
    /// Another level for source files, as pattern=LEVEL: node=4,plugins/*=6.
    #[arg(
        long,
        env = "TIPHYS_VMODULE",
        value_name = "PATTERN=LEVEL",
        value_delimiter = ','
    )]
    pub vmodule: Vec<VModule>,
    /// A file to log to, instead of standard error.
    #[arg(short, long, env = "TIPHYS_LOG_FILE", value_name = "FILE")]
    pub log: Option<PathBuf>,
    /// Log to standard error as well as to the file.
    #[arg(long, env = "TIPHYS_ALSOLOGTOSTDERR", requires = "log")]
    pub alsologtostderr: bool,
}

/// The forms of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// An object a line, for programs.
    Json,
}
