//! The command line. Names and defaults are those that users of k3s know.

use crate::instance::{DATA_DIR, REGISTRIES};
use crate::server_args::ServerArgs;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;
use stdx::SignedDuration;

/// Where the configuration is when nobody says.
pub const CONFIG_FILE: &str = "/etc/tiphys/config.yaml";

/// Where the administrator's kubeconfig is when nobody says.
pub(crate) const KUBECONFIG: &str = "/etc/tiphys/kubeconfig.yaml";

/// Kubernetes in one binary.
#[derive(Debug, Parser)]
#[command(name = "tiphys", version = apiserver::version::GIT_VERSION, args_override_self = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the binary can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a server: control plane and, unless disabled, a node.
    Server(Box<ServerArgs>),
    /// Join a node to a server; not supported yet.
    Agent,
    /// Manage the images of this node.
    Image {
        /// Where the server keeps its data.
        #[arg(short, long, env = "TIPHYS_DATA_DIR", default_value = DATA_DIR, global = true)]
        data_dir: PathBuf,
        /// What to do with them.
        #[command(subcommand)]
        command: ImageCommand,
    },
    /// End all containers and remove networks, mounts and cgroups of a stopped server.
    Reset {
        /// Where the server keeps its data.
        #[arg(short, long, env = "TIPHYS_DATA_DIR", default_value = DATA_DIR)]
        data_dir: PathBuf,
        /// Remove the data too.
        #[arg(long)]
        purge: bool,
    },
    /// Manage bootstrap tokens.
    Token {
        /// The administrator's kubeconfig, by which the server is found.
        #[arg(long, env = "KUBECONFIG", default_value = KUBECONFIG, global = true)]
        kubeconfig: PathBuf,
        /// What to do with them.
        #[command(subcommand)]
        command: TokenCommand,
    },
    /// Talk to the API server as kubectl does.
    Kubectl {
        /// The rest of the command.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        rest: Vec<String>,
    },
    /// Save the cluster's state, keys and configuration to one file. The server may run.
    Backup {
        /// Where the server keeps its data.
        #[arg(short, long, env = "TIPHYS_DATA_DIR", default_value = DATA_DIR)]
        data_dir: PathBuf,
        /// The server's configuration file.
        #[arg(short, long, env = "TIPHYS_CONFIG_FILE", default_value = CONFIG_FILE)]
        config: PathBuf,
        /// The file to write.
        file: PathBuf,
    },
    /// Bring the state of a stopped server back from a backup.
    Restore {
        /// Where the server keeps its data.
        #[arg(short, long, env = "TIPHYS_DATA_DIR", default_value = DATA_DIR)]
        data_dir: PathBuf,
        /// The server's configuration file, written if there is none.
        #[arg(short, long, env = "TIPHYS_CONFIG_FILE", default_value = CONFIG_FILE)]
        config: PathBuf,
        /// The backup.
        file: PathBuf,
    },
    /// Look at the server's certificates, or have new ones made.
    Certificate {
        /// Where the server keeps its data.
        #[arg(short, long, env = "TIPHYS_DATA_DIR", default_value = DATA_DIR, global = true)]
        data_dir: PathBuf,
        /// What to do with them.
        #[command(subcommand)]
        command: CertificateCommand,
    },
    /// Say whether a server could run here, with a hint for what is missing.
    Check(Box<ServerArgs>),
    /// Install this binary as a service of systemd.
    Install {
        /// Write the files only, and start nothing.
        #[arg(long)]
        no_start: bool,
        /// The folder that becomes the root of a machine.
        #[arg(long, default_value = "/")]
        root: PathBuf,
        /// Arguments of the server.
        #[arg(last = true)]
        arguments: Vec<String>,
    },
    /// Write the manual pages of this program and of its kubectl.
    Man {
        /// The folder for the pages, as /usr/local/share/man/man1.
        folder: PathBuf,
    },
    /// Print the script that makes a shell complete command lines of this program.
    Completion {
        /// bash, zsh or fish.
        #[arg(value_parser = ["bash", "zsh", "fish"])]
        shell: String,
    },
    /// Remove the service, the cluster and its data.
    Uninstall {
        /// Where the server keeps its data.
        #[arg(short, long, env = "TIPHYS_DATA_DIR", default_value = DATA_DIR)]
        data_dir: PathBuf,
        /// The folder that was named to install.
        #[arg(long, default_value = "/")]
        root: PathBuf,
    },
}

/// What can be done with certificates.
#[derive(Clone, Copy, Debug, Subcommand)]
pub enum CertificateCommand {
    /// Print when they end.
    Check,
    /// Have a stopped server make new ones, with new keys, at its next start.
    Rotate,
}

/// What can be done with bootstrap tokens.
#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Create a bootstrap token, and print it.
    Create(TokenCreate),
    /// List bootstrap tokens.
    #[command(alias = "list")]
    Ls {
        /// The form of the list.
        #[arg(short, long, default_value = "text")]
        output: TokenFormat,
    },
    /// Delete bootstrap tokens.
    #[command(aliases = ["delete", "remove"])]
    Rm {
        /// The tokens, or their ids: the part before the point.
        #[arg(required = true)]
        tokens: Vec<String>,
    },
    /// Print a new token that is not created.
    Generate,
}

/// What a bootstrap token shall be.
#[derive(Args, Clone, Debug)]
pub struct TokenCreate {
    /// The token: six and sixteen letters or digits with a point between; a random one by default.
    pub token: Option<String>,
    /// How long it holds, as 1h or 24h0m0s; 0 for ever.
    #[arg(long, default_value = "24h0m0s", value_parser = crate::roles::token::ttl)]
    pub ttl: SignedDuration,
    /// What it is for.
    #[arg(long)]
    pub description: Option<String>,
    /// Groups of whoever comes by it.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "system:bootstrappers:tiphys:default-node-token"
    )]
    pub groups: Vec<String>,
    /// What it may be used for.
    #[arg(long, value_delimiter = ',', default_value = "signing,authentication")]
    pub usages: Vec<String>,
}

/// The forms of a list of tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TokenFormat {
    /// A table for people.
    Text,
    /// Objects for programs.
    Json,
}

/// What can be done with images.
#[derive(Debug, Subcommand)]
pub enum ImageCommand {
    /// Import OCI or docker archives.
    Import {
        /// The archives.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// List images.
    #[command(alias = "list")]
    Ls,
    /// Remove images, by name or id.
    #[command(alias = "remove")]
    Rm {
        /// Names or ids.
        #[arg(required = true)]
        images: Vec<String>,
    },
    /// Write images as an OCI image layout.
    Export {
        /// Names or ids.
        #[arg(required = true)]
        images: Vec<String>,
        /// The archive.
        #[arg(short, long)]
        output: PathBuf,
    },
    /// Push an image to a registry.
    Push {
        /// Its name or id.
        image: String,
        /// The name that it gets there; its own by default.
        target: Option<String>,
        /// Mirrors, credentials and certificates of registries.
        #[arg(long, env = "TIPHYS_PRIVATE_REGISTRY", default_value = REGISTRIES)]
        private_registry: PathBuf,
        /// Push as this user, given as user:password.
        #[arg(short, long, env = "TIPHYS_CREDS", hide_env_values = true)]
        creds: Option<String>,
        /// Print the digest only, without progress.
        #[arg(short, long)]
        quiet: bool,
    },
    /// Pull images from their registries.
    Pull {
        /// Their names.
        #[arg(required = true)]
        images: Vec<String>,
        /// Mirrors, credentials and certificates of registries.
        #[arg(long, env = "TIPHYS_PRIVATE_REGISTRY", default_value = REGISTRIES)]
        private_registry: PathBuf,
        /// Pull as this user, given as user:password.
        #[arg(short, long, env = "TIPHYS_CREDS", hide_env_values = true)]
        creds: Option<String>,
        /// Print names only, without progress.
        #[arg(short, long)]
        quiet: bool,
    },
}
