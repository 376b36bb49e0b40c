//! `proxy`: the API server on a port of this machine, with the user's credentials.
//!
//! Follows staging/src/k8s.io/kubectl/pkg/cmd/proxy/proxy.go and pkg/proxy/proxy_server.go.

mod files;
mod filter;
mod relay;
mod server;

use crate::error::{Result, said};
use crate::shell::Shell;
use crate::streaming::log_line;
use crate::{io, words};
use filter::Filter;
use relay::Relay;
use server::Server;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::{TcpListener, UnixListener};

/// The arguments of `proxy`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Regular expression for hosts that the proxy should accept.
    #[arg(long, default_value = filter::ACCEPT_HOSTS)]
    accept_hosts: String,
    /// Regular expression for paths that the proxy should accept.
    #[arg(long, default_value = filter::ACCEPT_PATHS)]
    accept_paths: String,
    /// The IP address on which to serve on.
    #[arg(long, default_value = "127.0.0.1")]
    address: String,
    /// Prefix to serve the proxied API under.
    #[arg(long, default_value = "/")]
    api_prefix: String,
    /// If true, enables automatic path appending of the kube context server path to each request.
    #[arg(long)]
    append_server_path: bool,
    /// If true, disable request filtering in the proxy. This is dangerous, and can leave you
    /// vulnerable to XSRF attacks, when used with an accessible port.
    #[arg(long)]
    disable_filter: bool,
    /// keepalive specifies the keep-alive period for an active network connection. Set to 0 to
    /// disable keepalive.
    #[arg(long, default_value = "0s")]
    keepalive: String,
    /// The port on which to run the proxy. Set to 0 to pick a random port.
    #[arg(short, long, default_value_t = PORT)]
    port: u16,
    /// Regular expression for HTTP methods that the proxy should reject (example
    /// --reject-methods='POST,PUT,PATCH').
    #[arg(long, default_value = filter::REJECT_METHODS)]
    reject_methods: String,
    /// Regular expression for paths that the proxy should reject. Paths specified here will be
    /// rejected even accepted by --accept-paths.
    #[arg(long, default_value = filter::REJECT_PATHS)]
    reject_paths: String,
    /// Unix socket on which to run the proxy.
    #[arg(short, long, default_value = "")]
    unix_socket: String,
    /// Also serve static files from the given directory under the specified prefix.
    #[arg(short, long, default_value = "")]
    www: String,
    /// Prefix to serve static files under, if static file directory is specified.
    #[arg(short = 'P', long, default_value = "/static/")]
    www_prefix: String,
}

const PORT: u16 = 8001;

/// Runs it.
pub async fn run(shell: &Shell, args: Args) -> Result {
    let filter = filter(&args)?;
    let keepalive = words::duration_flag("--keepalive", &args.keepalive);
    let keepalive = keepalive.map_err(|error| words::flag_usage("proxy", error))?;
    if args.port != PORT && !args.unix_socket.is_empty() {
        return said("cannot set --unix-socket and --port at the same time");
    }
    let folder = folder(&args);
    let api = shell.api().await?;
    let relay = Relay::new(api, args.append_server_path)?;
    let api_prefix = with_slash(&args.api_prefix);
    let server = Server {
        relay,
        filter,
        // Below /api the server's own paths say where they are.
        strips: !api_prefix.starts_with("/api"),
        api_prefix,
        files: folder.map(|folder| (with_slash(&args.www_prefix), folder)),
        keepalive: (keepalive > 0.0).then(|| Duration::from_secs_f64(keepalive)),
    };
    if args.unix_socket.is_empty() {
        let address = format!("{}:{}", args.address, args.port);
        let listener = TcpListener::bind(&address).await;
        let listener =
            listener.or_else(|error| said(io::file_words("listen tcp", &address, &error)))?;
        let at = listener.local_addr().map_or(address, |at| at.to_string());
        io::line(format!("Starting to serve on {at}"));
        return server.serve(listener).await;
    }
    let listener = listen_unix(&args.unix_socket)?;
    io::line(format!("Starting to serve on {}", args.unix_socket));
    server.serve_unix(listener).await
}

fn filter(args: &Args) -> Result<Option<Filter>> {
    if args.disable_filter {
        if args.unix_socket.is_empty() {
            log_line::warning(
                "Request filter disabled, your proxy is vulnerable to XSRF attacks, please be cautious",
            );
        }
        return Ok(None);
    }
    if args.reject_paths.is_empty() || args.reject_methods.is_empty() {
        log_line::warning(
            "Request filter has been relaxed, your proxy may be vulnerable to attacks, please be cautious",
        );
    }
    Filter::new(
        &args.accept_paths,
        &args.reject_paths,
        &args.accept_hosts,
        &args.reject_methods,
    )
    .map(Some)
}

/// The folder of static files, even when it is not there yet.
fn folder(args: &Args) -> Option<PathBuf> {
    if args.www.is_empty() {
        return None;
    }
    match std::fs::metadata(&args.www) {
        Ok(metadata) if metadata.is_dir() => {}
        Ok(_) => log_line::warning(&format!(
            "Static file directory {} is not a directory",
            args.www
        )),
        Err(error) => log_line::warning(&format!(
            "Failed to stat static file directory {}: {}",
            args.www,
            io::file_words("stat", &args.www, &error)
        )),
    }
    Some(PathBuf::from(&args.www))
}

fn with_slash(prefix: &str) -> String {
    match prefix.ends_with('/') {
        true => prefix.to_string(),
        false => format!("{prefix}/"),
    }
}

/// Only the user may use the socket until somebody opens it up.
fn listen_unix(path: &str) -> Result<UnixListener> {
    use std::os::unix::fs::FileTypeExt as _;
    let metadata = Path::new(path).metadata();
    if metadata.is_ok_and(|metadata| metadata.file_type().is_socket()) {
        // What cannot be removed is in the way of the next step, which says so.
        let _ = std::fs::remove_file(path);
    }
    let before = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let listener = UnixListener::bind(path);
    rustix::process::umask(before);
    listener.or_else(|error| said(io::file_words("listen unix", path, &error)))
}
