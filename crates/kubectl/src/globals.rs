//! The options that every command takes.

use crate::error::{Result, said};
use clap::Args;

/// Whom to talk to, as whom, and where.
#[derive(Args, Clone, Debug, Default)]
pub struct Globals {
    /// Path to the kubeconfig file to use for CLI requests.
    #[arg(long, global = true, help_heading = "Global options")]
    pub kubeconfig: Option<String>,
    /// The name of the kubeconfig context to use.
    #[arg(long, global = true, help_heading = "Global options")]
    pub context: Option<String>,
    /// The name of the kubeconfig cluster to use.
    #[arg(long, global = true, help_heading = "Global options")]
    pub cluster: Option<String>,
    /// The name of the kubeconfig user to use.
    #[arg(long, global = true, help_heading = "Global options")]
    pub user: Option<String>,
    /// If present, the namespace scope for this CLI request.
    #[arg(short, long, global = true, help_heading = "Global options")]
    pub namespace: Option<String>,
    /// The address and port of the Kubernetes API server.
    #[arg(short, long, global = true, help_heading = "Global options")]
    pub server: Option<String>,
    /// Bearer token for authentication to the API server.
    #[arg(long, global = true, help_heading = "Global options")]
    pub token: Option<String>,
    /// Username for basic authentication to the API server.
    #[arg(long, global = true, help_heading = "Global options")]
    pub username: Option<String>,
    /// Password for basic authentication to the API server.
    #[arg(long, global = true, help_heading = "Global options")]
    pub password: Option<String>,
    /// Username to impersonate for the operation.
    #[arg(long = "as", global = true, help_heading = "Global options")]
    pub as_user: Option<String>,
    /// Group to impersonate for the operation; can be repeated.
    #[arg(long, global = true, help_heading = "Global options")]
    pub as_group: Vec<String>,
    /// UID to impersonate for the operation.
    #[arg(long, global = true, help_heading = "Global options")]
    pub as_uid: Option<String>,
    /// User extras to impersonate for the operation, as key=value; can be repeated, also to give
    /// several values to one key.
    #[arg(long, global = true, help_heading = "Global options")]
    pub as_user_extra: Vec<String>,
    /// Path to a cert file for the certificate authority.
    #[arg(long, global = true, help_heading = "Global options")]
    pub certificate_authority: Option<String>,
    /// Path to a client certificate file for TLS.
    #[arg(long, global = true, help_heading = "Global options")]
    pub client_certificate: Option<String>,
    /// Path to a client key file for TLS.
    #[arg(long, global = true, help_heading = "Global options")]
    pub client_key: Option<String>,
    /// If true, the server's certificate will not be checked for validity.
    #[arg(long, global = true, help_heading = "Global options")]
    pub insecure_skip_tls_verify: bool,
    /// Server name to use for server certificate validation.
    #[arg(long, global = true, help_heading = "Global options")]
    pub tls_server_name: Option<String>,
    /// How long to wait before giving up on a single server request; zero means not to.
    #[arg(
        long,
        global = true,
        default_value = "0",
        help_heading = "Global options"
    )]
    pub request_timeout: String,
    /// Treat warnings received from the server as errors.
    #[arg(long, global = true, help_heading = "Global options")]
    pub warnings_as_errors: bool,
    /// Number for the log level verbosity; 6 shows the requests.
    #[arg(
        short,
        long = "v",
        global = true,
        default_value_t = 0,
        help_heading = "Global options"
    )]
    pub v: u8,
    /// Default cache directory; nothing is cached.
    #[arg(long, global = true, help_heading = "Global options")]
    pub cache_dir: Option<String>,
    /// Opt out of response compression; responses are never compressed.
    #[arg(long, global = true, help_heading = "Global options")]
    pub disable_compression: bool,
    /// Require server version to match client version.
    #[arg(long, global = true, help_heading = "Global options")]
    pub match_server_version: bool,
    /// Seconds between log flushes; every line is written at once.
    #[arg(
        long,
        global = true,
        default_value = "5s",
        help_heading = "Global options"
    )]
    pub log_flush_frequency: String,
    /// Path to the kuberc file to use for preferences.
    #[arg(long, global = true, help_heading = "Global options")]
    pub kuberc: Option<String>,
    /// Name of profile to capture; only none is supported.
    #[arg(
        long,
        global = true,
        default_value = "none",
        help_heading = "Global options"
    )]
    pub profile: String,
    /// Name of the file to write the profile to.
    #[arg(
        long,
        global = true,
        default_value = "profile.pprof",
        help_heading = "Global options"
    )]
    pub profile_output: String,
    /// Verbosity of single files; there are none to name.
    #[arg(
        long,
        global = true,
        default_value = "",
        help_heading = "Global options"
    )]
    pub vmodule: String,
}

impl Globals {
    /// Refuses what upstream can do to look at itself and this program cannot.
    pub fn check(&self) -> Result {
        if self.profile != "none" {
            return said(format!("--profile={} is not supported", self.profile));
        }
        if !self.vmodule.is_empty() {
            return said("--vmodule is not supported; use -v");
        }
        crate::words::duration_flag("--log-flush-frequency", &self.log_flush_frequency).map(|_| ())
    }
}
