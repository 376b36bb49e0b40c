//! `config set-cluster` and `config set-credentials`.
//!
//! Follows staging/src/k8s.io/kubectl/pkg/cmd/config (set_cluster.go, set_credentials.go). Most of
//! what they set are options that every command takes.

use crate::config::Kubeconfig;
use crate::error::{Result, said};
use crate::globals::Globals;
use crate::io;
use crate::words::{changes, quote};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use meta::{Map, Value, value};

/// The arguments of `config set-cluster`.
#[derive(clap::Args, Debug)]
pub(super) struct ClusterArgs {
    name: String,
    /// Embed the certificate authority in the file.
    #[arg(long)]
    embed_certs: bool,
    /// The proxy for the cluster entry in kubeconfig.
    #[arg(long)]
    proxy_url: Option<String>,
}

/// The arguments of `config set-credentials`.
#[derive(clap::Args, Debug)]
pub(super) struct CredentialsArgs {
    name: String,
    /// Embed the client certificate and key in the file.
    #[arg(long)]
    embed_certs: bool,
    /// Auth provider for the user entry in kubeconfig.
    #[arg(long)]
    auth_provider: Option<String>,
    /// 'key=value' arguments for the auth provider.
    #[arg(long, value_delimiter = ',')]
    auth_provider_arg: Vec<String>,
    /// Command for the exec credential plugin.
    #[arg(long)]
    exec_command: Option<String>,
    /// API version of the exec credential plugin.
    #[arg(long)]
    exec_api_version: Option<String>,
    /// New arguments for the exec credential plugin command.
    #[arg(long, value_delimiter = ',')]
    exec_arg: Vec<String>,
    /// 'key=value' environment values for the exec credential plugin.
    #[arg(long)]
    exec_env: Vec<String>,
    /// Whether the exec credential plugin may ask: Never, IfAvailable or Always.
    #[arg(long)]
    exec_interactive_mode: Option<String>,
    /// Tell the exec credential plugin about the cluster.
    #[arg(long)]
    exec_provide_cluster_info: bool,
}

/// Runs `set-cluster`.
pub(super) fn set_cluster(
    config: &mut Kubeconfig,
    globals: &Globals,
    args: &ClusterArgs,
) -> Result {
    let authority = globals.certificate_authority.as_deref().unwrap_or_default();
    if globals.insecure_skip_tls_verify && !authority.is_empty() {
        return said(
            "you cannot specify a certificate authority and insecure mode at the same time",
        );
    }
    if args.embed_certs {
        check_embedded("certificate-authority", authority, "certificate-authority")?;
    }
    let (path, body) = config.edit("clusters", &args.name)?;
    let cluster = body.make_object();
    if let Some(server) = &globals.server {
        put(cluster, "server", server);
        // The name goes with the server that it was for.
        cluster.remove("tls-server-name");
    }
    if let Some(name) = &globals.tls_server_name {
        put(cluster, "tls-server-name", name);
    }
    if globals.insecure_skip_tls_verify {
        cluster.insert("insecure-skip-tls-verify", true);
        cluster.remove("certificate-authority");
        cluster.remove("certificate-authority-data");
    }
    if globals.certificate_authority.is_some() {
        put_file(
            cluster,
            "certificate-authority",
            authority,
            args.embed_certs,
        )?;
        cluster.remove("insecure-skip-tls-verify");
    }
    if let Some(url) = &args.proxy_url {
        put(cluster, "proxy-url", url);
    }
    config.save(&path)?;
    io::line(format!("Cluster {} set.", quote(&args.name)));
    Ok(())
}

/// Runs `set-credentials`.
pub(super) fn set_credentials(
    config: &mut Kubeconfig,
    globals: &Globals,
    args: &CredentialsArgs,
) -> Result {
    let given = |flag: &Option<String>| flag.clone().unwrap_or_default();
    let (certificate, key) = (
        given(&globals.client_certificate),
        given(&globals.client_key),
    );
    let has_basic = !given(&globals.username).is_empty() || !given(&globals.password).is_empty();
    let has_token = !given(&globals.token).is_empty();
    if has_basic && has_token {
        return said(
            "you cannot specify more than one authentication method at the same time: --token, --username/--password",
        );
    }
    if args.embed_certs {
        if certificate.is_empty() && key.is_empty() {
            return said("you must specify a --client-certificate or --client-key to embed");
        }
        for (flag, file) in [("client-certificate", &certificate), ("client-key", &key)] {
            if !file.is_empty() {
                check_embedded(flag, file, flag)?;
            }
        }
    }
    let (path, body) = config.edit("users", &args.name)?;
    let user = body.make_object();
    for (field, file) in [
        ("client-certificate", &globals.client_certificate),
        ("client-key", &globals.client_key),
    ] {
        if let Some(file) = file {
            put_file(user, field, file, args.embed_certs)?;
        }
    }
    for (field, text) in [
        ("token", &globals.token),
        ("username", &globals.username),
        ("password", &globals.password),
    ] {
        if let Some(text) = text {
            put(user, field, text);
        }
    }
    args.set_provider(user)?;
    args.set_plugin(user)?;
    if has_token {
        user.remove("username");
        user.remove("password");
    }
    if has_basic {
        user.remove("token");
    }
    config.save(&path)?;
    io::line(format!("User {} set.", quote(&args.name)));
    Ok(())
}

impl CredentialsArgs {
    fn set_provider(&self, user: &mut Map) -> Result {
        if let Some(name) = &self.auth_provider {
            let known = user
                .get("auth-provider")
                .map(|known| known.str_at(&["name"]));
            if known != Some(name) {
                user.insert(
                    "auth-provider",
                    value!({"name": (name.as_str()), "config": null}),
                );
            }
        }
        let Some(provider) = user.get_mut("auth-provider") else {
            return Ok(());
        };
        let (set, removed) = changes("auth-provider-arg", &self.auth_provider_arg)?;
        for (key, text) in set {
            provider.set_at(&["config", &key], text);
        }
        for key in removed {
            provider.remove_at(&["config", &key]);
        }
        Ok(())
    }

    /// The program that is asked for credentials. Only its command makes one.
    fn set_plugin(&self, user: &mut Map) -> Result {
        if let Some(command) = &self.exec_command {
            let plugin = user.object("exec");
            plugin.insert("command", command.as_str());
            plugin.insert("args", Value::Null);
            for field in ["apiVersion", "env", "provideClusterInfo"] {
                plugin.entry(field);
            }
            if plugin.get("provideClusterInfo").is_some_and(Value::is_null) {
                plugin.insert("provideClusterInfo", false);
            }
        }
        let Some(plugin) = user.get_mut("exec") else {
            return Ok(());
        };
        if let Some(version) = &self.exec_api_version {
            plugin.set_at(&["apiVersion"], version.as_str());
        }
        if !self.exec_arg.is_empty() {
            plugin.set_at(&["args"], self.exec_arg.clone());
        }
        if let Some(mode) = &self.exec_interactive_mode {
            plugin.set_at(&["interactiveMode"], mode.as_str());
        }
        if self.exec_provide_cluster_info {
            plugin.set_at(&["provideClusterInfo"], true);
        }
        if self.exec_env.is_empty() {
            return Ok(());
        }
        let (set, removed) = changes("exec-env", &self.exec_env)?;
        let env = plugin.make_object().entry("env").make_array();
        env.retain(|variable| {
            !removed
                .iter()
                .any(|name| name == variable.str_at(&["name"]))
        });
        for (name, text) in set {
            match env
                .iter_mut()
                .find(|variable| variable.str_at(&["name"]) == name)
            {
                Some(known) => known.set_at(&["value"], text),
                None => env.push(value!({"name": (name), "value": (text)})),
            }
        }
        Ok(())
    }
}

/// An empty text takes the field away, as upstream leaves out what is empty.
fn put(body: &mut Map, field: &str, text: &str) {
    match text {
        "" => body.remove(field),
        text => body.insert(field, text),
    };
}

/// A file's name with its whole path, or its content.
fn put_file(body: &mut Map, field: &str, file: &str, embed: bool) -> Result {
    let data = format!("{field}-data");
    if embed && !file.is_empty() {
        body.insert(data, STANDARD.encode(io::read_bytes(file)?));
        body.remove(field);
        return Ok(());
    }
    let whole = std::path::absolute(file);
    let whole = whole.map_or_else(|_| file.to_string(), |path| path.display().to_string());
    put(body, field, &whole);
    body.remove(&data);
    Ok(())
}

fn check_embedded(flag: &str, file: &str, what: &str) -> Result {
    if file.is_empty() {
        return said(format!("you must specify a --{flag} to embed"));
    }
    match std::fs::metadata(file) {
        Ok(_) => Ok(()),
        Err(error) => said(format!(
            "could not stat {what} file {file}: {}",
            io::file_words("stat", file, &error)
        )),
    }
}
