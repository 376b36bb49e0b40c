//! `create secret generic|docker-registry|tls`.

use super::Common;
use super::sources::{Sources, hash_suffix, repeated};
use crate::error::{Result, said};
use crate::io;
use crate::print::compact;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Subcommand;
use meta::{Value, value};

/// The arguments.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    #[command(subcommand)]
    kind: Kind,
}

#[derive(Debug, Subcommand)]
enum Kind {
    /// Create a secret from a local file, directory, or literal value.
    Generic {
        name: String,
        #[command(flatten)]
        sources: Sources,
        /// The type of secret to create.
        #[arg(long = "type", default_value = "")]
        kind: String,
        #[command(flatten)]
        hash: HashArgs,
        #[command(flatten)]
        common: Common,
    },
    /// Create a secret for use with a Docker registry.
    DockerRegistry {
        name: String,
        /// Server location for Docker registry.
        #[arg(long, default_value = "https://index.docker.io/v1/")]
        docker_server: String,
        /// Username for Docker registry authentication.
        #[arg(long, default_value = "")]
        docker_username: String,
        /// Password for Docker registry authentication.
        #[arg(long, default_value = "")]
        docker_password: String,
        /// Email for Docker registry.
        #[arg(long, default_value = "")]
        docker_email: String,
        /// A file in the form of `.dockerconfigjson`.
        #[arg(long)]
        from_file: Vec<String>,
        #[command(flatten)]
        hash: HashArgs,
        #[command(flatten)]
        common: Common,
    },
    /// Create a TLS secret.
    Tls {
        name: String,
        /// Path to PEM encoded public key certificate.
        #[arg(long)]
        cert: String,
        /// Path to private key associated with given certificate.
        #[arg(long)]
        key: String,
        #[command(flatten)]
        hash: HashArgs,
        #[command(flatten)]
        common: Common,
    },
}

/// Whether the name says what is inside.
#[derive(clap::Args, Debug)]
struct HashArgs {
    /// Append a hash of the secret to its name.
    #[arg(long)]
    append_hash: bool,
}

impl HashArgs {
    /// Follows SecretHash of staging/src/k8s.io/kubectl/pkg/util/hash/hash.go.
    fn append(&self, secret: &mut Value) {
        if !self.append_hash {
            return;
        }
        let name = secret.str_at(&["metadata", "name"]).to_string();
        let json = format!(
            "{{\"data\":{},\"kind\":\"Secret\",\"name\":{},\"type\":{}}}",
            secret.get("data").map_or_else(|| "null".into(), compact),
            compact(&Value::from(name.as_str())),
            compact(&Value::from(secret.str_at(&["type"]))),
        );
        let hashed = format!("{name}-{}", hash_suffix(&json));
        secret.set_at(&["metadata", "name"], hashed);
    }
}

impl Args {
    pub(super) fn object(self) -> Result<(Common, Value)> {
        match self.kind {
            Kind::Generic {
                name,
                sources,
                kind,
                hash,
                common,
            } => {
                let mut secret = secret(&name, &kind);
                let entries = sources.entries()?;
                if let Some(key) = repeated(&entries) {
                    return said(format!(
                        "cannot add key {key}, another key by that name already exists"
                    ));
                }
                fill(&mut secret, entries);
                hash.append(&mut secret);
                Ok((common, secret))
            }
            Kind::DockerRegistry {
                name,
                docker_server,
                docker_username,
                docker_password,
                docker_email,
                from_file,
                hash,
                common,
            } => {
                let content = match from_file.first() {
                    Some(file) => {
                        io::read(file.strip_prefix(".dockerconfigjson=").unwrap_or(file))?
                    }
                    None if docker_username.is_empty() || docker_password.is_empty() => {
                        return said(
                            "either --from-file or the combination of --docker-username, --docker-password and --docker-server is required",
                        );
                    }
                    None => docker_config(
                        &docker_server,
                        &docker_username,
                        &docker_password,
                        &docker_email,
                    ),
                };
                let mut secret = secret(&name, "kubernetes.io/dockerconfigjson");
                fill(
                    &mut secret,
                    vec![(".dockerconfigjson".into(), content.into_bytes())],
                );
                hash.append(&mut secret);
                Ok((common, secret))
            }
            Kind::Tls {
                name,
                cert,
                key,
                hash,
                common,
            } => {
                let mut secret = secret(&name, "kubernetes.io/tls");
                let (cert, key) = (io::read_bytes(&cert)?, io::read_bytes(&key)?);
                fill(
                    &mut secret,
                    vec![("tls.crt".into(), cert), ("tls.key".into(), key)],
                );
                hash.append(&mut secret);
                Ok((common, secret))
            }
        }
    }
}

fn secret(name: &str, kind: &str) -> Value {
    let mut secret = value!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": (name), "creationTimestamp": null}
    });
    if !kind.is_empty() {
        secret.set_at(&["type"], kind);
    }
    secret
}

fn fill(secret: &mut Value, entries: Vec<(String, Vec<u8>)>) {
    for (key, bytes) in entries {
        secret.set_at(&["data", &key], STANDARD.encode(bytes));
    }
}

fn docker_config(server: &str, user: &str, password: &str, email: &str) -> String {
    let mut entry = value!({});
    entry.set_at(&["username"], user);
    entry.set_at(&["password"], password);
    if !email.is_empty() {
        entry.set_at(&["email"], email);
    }
    entry.set_at(&["auth"], STANDARD.encode(format!("{user}:{password}")));
    let mut config = value!({});
    config.set_at(&["auths", server], entry);
    // In the order in which upstream writes the fields.
    let entry = config.at(&["auths", server]).cloned().unwrap_or_default();
    let fields = ["username", "password", "email", "auth"]
        .iter()
        .filter_map(|name| Some(format!("\"{name}\":{}", entry.get(name)?.to_json())));
    let fields: Vec<String> = fields.collect();
    format!(
        "{{\"auths\":{{{}:{{{}}}}}}}",
        crate::words::quote(server),
        fields.join(",")
    )
}
