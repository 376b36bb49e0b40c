//! From kubeconfig and flags to one connection. Follows client_config.go and overrides.go of
//! client-go's tools/clientcmd.

use super::{Kubeconfig, exec, impersonate};
use crate::error::{Result, said};
use crate::globals::Globals;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use client::HttpConfig;
use client::http::{Pem, Proxies, Proxy, Token};
use http::HeaderName;
use meta::Value;
use std::path::{Path, PathBuf};

const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
const SYSTEM_ROOTS: &str = "/etc/ssl/certs/ca-certificates.crt";

/// How to reach the cluster, and as whom.
#[derive(Debug)]
pub struct Connection {
    /// For the transport.
    pub http: HttpConfig,
    /// `Authorization` of a user with name and password.
    pub basic: Option<String>,
    /// Impersonation headers.
    pub impersonate: Vec<(HeaderName, String)>,
}

/// Chooses from kubeconfig and flags.
pub fn resolve(config: &Kubeconfig, globals: &Globals) -> Result<Connection> {
    let context = context(config, globals)?;
    let cluster_name = pick(&globals.cluster, context.str_at(&["cluster"]));
    let user_name = pick(&globals.user, context.str_at(&["user"]));
    let nothing = (Value::object(), PathBuf::new());
    let owned = |(body, folder): (&Value, &Path)| (body.clone(), folder.to_path_buf());
    let (cluster, cluster_dir) = match config.entry("clusters", &cluster_name) {
        Some(found) => owned(found),
        None if globals.cluster.is_some() => {
            return said(format!("cluster \"{cluster_name}\" does not exist"));
        }
        None => nothing.clone(),
    };
    let (user, user_dir) = match config.entry("users", &user_name) {
        Some(found) => owned(found),
        None if globals.user.is_some() => {
            return said(format!("auth info \"{user_name}\" does not exist"));
        }
        None => nothing,
    };
    if cluster.is_empty() && globals.server.is_none() && in_cluster() {
        return pod_connection(globals);
    }
    let server = pick(&globals.server, cluster.str_at(&["server"]));
    let server = match server.as_str() {
        "" => "http://localhost:8080".to_string(),
        bare if !bare.contains("://") => format!("http://{bare}"),
        whole => whole.to_string(),
    };
    let mut http = HttpConfig {
        tls_server_name: globals
            .tls_server_name
            .clone()
            .or_else(|| text(&cluster, "tls-server-name")),
        ca: authority(&cluster, &cluster_dir, globals, &server)?,
        insecure_skip_tls_verify: globals.insecure_skip_tls_verify
            || (cluster.is_true_at(&["insecure-skip-tls-verify"])
                && globals.certificate_authority.is_none()),
        proxies: proxies(&cluster_name, cluster.str_at(&["proxy-url"]))?,
        server,
        ..HttpConfig::default()
    };
    let basic = identify(&mut http, &user, &user_dir, globals)?;
    Ok(Connection {
        http,
        basic,
        impersonate: impersonate::headers(&user_name, &user, globals)?,
    })
}

/// The context that is asked for, or the current one, or an empty one.
pub(crate) fn context(config: &Kubeconfig, globals: &Globals) -> Result<Value> {
    let asked = globals.context.as_deref().filter(|name| !name.is_empty());
    let name = asked.unwrap_or(config.current_context());
    match config.entry("contexts", name) {
        Some((body, _)) => Ok(body.clone()),
        None if name.is_empty() => Ok(Value::object()),
        None if asked.is_some() => said(format!("context \"{name}\" does not exist")),
        None => said(format!(
            "context was not found for specified context: {name}"
        )),
    }
}

pub(super) fn pick(flag: &Option<String>, otherwise: &str) -> String {
    flag.clone()
        .filter(|text| !text.is_empty())
        .unwrap_or_else(|| otherwise.to_string())
}

pub(super) fn text(tree: &Value, key: &str) -> Option<String> {
    tree.get(key)
        .and_then(Value::as_str)
        .filter(|text| !text.is_empty())
        .map(str::to_string)
}

fn pem(tree: &Value, folder: &Path, key: &str) -> Result<Option<Pem>> {
    if let Some(data) = text(tree, &format!("{key}-data")) {
        let data = STANDARD.decode(data.trim());
        return match data {
            Ok(data) => Ok(Some(Pem::Data(data))),
            Err(error) => said(format!("{key}-data in kubeconfig is not base64: {error}")),
        };
    }
    Ok(text(tree, key).map(|file| Pem::File(folder.join(file))))
}

fn authority(
    cluster: &Value,
    folder: &Path,
    globals: &Globals,
    server: &str,
) -> Result<Option<Pem>> {
    if let Some(file) = &globals.certificate_authority {
        return Ok(Some(Pem::File(file.into())));
    }
    let given = pem(cluster, folder, "certificate-authority")?;
    let system = || {
        (server.starts_with("https") && Path::new(SYSTEM_ROOTS).exists())
            .then(|| Pem::File(SYSTEM_ROOTS.into()))
    };
    Ok(given.or_else(system))
}

/// The cluster's own proxy, or those of the environment.
fn proxies(cluster: &str, url: &str) -> Result<Proxies> {
    if url.is_empty() {
        return environment();
    }
    let scheme = url.split_once(':').map_or("", |(scheme, _)| scheme);
    if !["http", "https", "socks5"].contains(&scheme) {
        return said(format!(
            "invalid 'proxy-url' \"{url}\" for cluster \"{cluster}\": unsupported scheme \"{scheme}\", must be http, https, or socks5"
        ));
    }
    match Proxy::new(url) {
        Some(proxy) => Ok(Proxies::one(proxy)),
        None => said(format!(
            "invalid 'proxy-url' \"{url}\" for cluster \"{cluster}\": could not parse: {url}"
        )),
    }
}

/// The proxies that the environment names.
pub(crate) fn environment() -> Result<Proxies> {
    Proxies::from_environment().or_else(|error| said(error.to_string()))
}

fn identify(
    http: &mut HttpConfig,
    user: &Value,
    folder: &Path,
    globals: &Globals,
) -> Result<Option<String>> {
    let certificate = match &globals.client_certificate {
        Some(file) => Some(Pem::File(file.into())),
        None => pem(user, folder, "client-certificate")?,
    };
    let key = match &globals.client_key {
        Some(file) => Some(Pem::File(file.into())),
        None => pem(user, folder, "client-key")?,
    };
    http.client_certificate = match (certificate, key) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        _ => return said("tls: client certificate and client key must be given together"),
    };
    let file = text(user, "tokenFile").map(|file| Token::File(folder.join(file)));
    http.token = match &globals.token {
        Some(token) => Some(Token::Value(token.clone())),
        None => file.or_else(|| text(user, "token").map(Token::Value)),
    };
    if user.get("auth-provider").is_some_and(|p| !p.is_null()) {
        return said("auth-provider in kubeconfig is not supported; use an exec plugin");
    }
    let name = globals.username.clone().or_else(|| text(user, "username"));
    if let Some(name) = name {
        let password = globals.password.clone().or_else(|| text(user, "password"));
        let pair = format!("{name}:{}", password.unwrap_or_default());
        return Ok(Some(format!("Basic {}", STANDARD.encode(pair))));
    }
    let plugin = user.get("exec").filter(|exec| !exec.is_null());
    if let Some(plugin) = plugin.filter(|_| http.token.is_none()) {
        let credential = exec::run(plugin, folder)?;
        http.token = credential.token.map(Token::Value);
        if let Some((certificate, key)) = credential.certificate {
            http.client_certificate = Some((Pem::Data(certificate), Pem::Data(key)));
        }
    }
    Ok(None)
}

fn in_cluster() -> bool {
    std::env::var_os("KUBERNETES_SERVICE_HOST").is_some()
        && Path::new(SERVICE_ACCOUNT).join("token").exists()
}

/// The namespace of the pod that this program runs in.
pub(crate) fn pod_namespace() -> Option<String> {
    let text = std::fs::read_to_string(Path::new(SERVICE_ACCOUNT).join("namespace")).ok()?;
    Some(text.trim().to_string()).filter(|name| !name.is_empty())
}

fn pod_connection(globals: &Globals) -> Result<Connection> {
    let host = std::env::var("KUBERNETES_SERVICE_HOST").unwrap_or_default();
    let port = std::env::var("KUBERNETES_SERVICE_PORT").unwrap_or_else(|_| "443".into());
    let host = if host.contains(':') {
        format!("[{host}]")
    } else {
        host
    };
    let folder = Path::new(SERVICE_ACCOUNT);
    let mut http = HttpConfig {
        server: format!("https://{host}:{port}"),
        ca: Some(Pem::File(folder.join("ca.crt"))),
        token: Some(Token::File(folder.join("token"))),
        proxies: environment()?,
        ..HttpConfig::default()
    };
    if let Some(token) = &globals.token {
        http.token = Some(Token::Value(token.clone()));
    }
    Ok(Connection {
        http,
        basic: None,
        impersonate: impersonate::headers("", &Value::object(), globals)?,
    })
}
