//! Kubeconfig files: which server, and who we are.
//!
//! What is not supported here (exec plugins, auth providers, basic authentication) is
//! refused by name rather than ignored.

use super::config::{HttpConfig, Pem, Token};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use detour::{Proxies, Proxy, ProxyError};
use serde::Deserialize;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// A kubeconfig, as it stands in its file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Kubeconfig {
    current_context: Option<String>,
    clusters: Vec<Named<Cluster>>,
    contexts: Vec<Named<ContextEntry>>,
    users: Vec<Named<User>>,
    #[serde(skip)]
    directory: PathBuf,
}

/// A kubeconfig cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KubeconfigError {
    /// The file cannot be read.
    #[error("read kubeconfig {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        #[source]
        source: std::io::Error,
    },
    /// The text is not a kubeconfig.
    #[error("parse kubeconfig")]
    Parse(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A name leads nowhere.
    #[error("kubeconfig has no {what} {name:?}")]
    Missing {
        /// context, cluster or user.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// No context is asked for, and none is current.
    #[error("kubeconfig has no current context")]
    NoContext,
    /// Embedded data is not base64.
    #[error("decode {field} in kubeconfig")]
    Base64 {
        /// The field.
        field: &'static str,
        /// What went wrong.
        #[source]
        source: base64::DecodeError,
    },
    /// A proxy is none.
    #[error(transparent)]
    Proxy(#[from] ProxyError),
    /// The file asks for something that is not supported.
    #[error("{field} in kubeconfig is not supported")]
    Unsupported {
        /// The field.
        field: String,
    },
}

#[derive(Clone, Debug, Deserialize)]
struct Named<T> {
    name: String,
    #[serde(alias = "cluster", alias = "context", alias = "user")]
    value: T,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Cluster {
    server: String,
    certificate_authority: Option<PathBuf>,
    certificate_authority_data: Option<String>,
    insecure_skip_tls_verify: bool,
    tls_server_name: Option<String>,
    proxy_url: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct ContextEntry {
    cluster: String,
    user: String,
    namespace: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct User {
    client_certificate: Option<PathBuf>,
    client_certificate_data: Option<String>,
    client_key: Option<PathBuf>,
    client_key_data: Option<String>,
    token: Option<String>,
    #[serde(alias = "tokenFile")]
    token_file: Option<PathBuf>,
    username: Option<String>,
    #[serde(rename = "as")]
    impersonate: Option<String>,
    exec: Option<Value>,
    auth_provider: Option<Value>,
}

impl Kubeconfig {
    /// Reads a kubeconfig file; relative paths in it are meant from its directory.
    pub fn read(path: &Path) -> Result<Self, KubeconfigError> {
        let text = std::fs::read_to_string(path);
        let text = text.map_err(|source| KubeconfigError::Read {
            path: path.to_owned(),
            source,
        })?;
        let mut config = Self::parse(&text)?;
        config.directory = path.parent().map(Path::to_owned).unwrap_or_default();
        Ok(config)
    }

    /// Reads a kubeconfig's text.
    pub fn parse(text: &str) -> Result<Self, KubeconfigError> {
        serde_saphyr::from_str(text).map_err(|error| KubeconfigError::Parse(Box::new(error)))
    }

    /// The namespace of a context (the current one if none is named).
    pub fn namespace(&self, context: Option<&str>) -> Result<Option<String>, KubeconfigError> {
        Ok(self.context(context)?.namespace.clone())
    }

    /// How to connect in a context (the current one if none is named).
    pub fn http_config(&self, context: Option<&str>) -> Result<HttpConfig, KubeconfigError> {
        let context = self.context(context)?;
        let cluster = find("cluster", &self.clusters, &context.cluster)?;
        let user = find("user", &self.users, &context.user)?;
        refuse_unsupported(user)?;
        let certificate = self.pem(
            "client-certificate-data",
            &user.client_certificate_data,
            &user.client_certificate,
        )?;
        let key = self.pem("client-key-data", &user.client_key_data, &user.client_key)?;
        let client_certificate = match (certificate, key) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            (Some(_), None) => return Err(missing("client-key of user", &context.user)),
            (None, Some(_)) => return Err(missing("client-certificate of user", &context.user)),
        };
        Ok(HttpConfig {
            server: cluster.server.clone(),
            tls_server_name: cluster.tls_server_name.clone(),
            ca: self.pem(
                "certificate-authority-data",
                &cluster.certificate_authority_data,
                &cluster.certificate_authority,
            )?,
            insecure_skip_tls_verify: cluster.insecure_skip_tls_verify,
            client_certificate,
            token: self.token(user),
            proxies: proxies(cluster)?,
        })
    }

    fn context(&self, name: Option<&str>) -> Result<&ContextEntry, KubeconfigError> {
        let current = self
            .current_context
            .as_deref()
            .filter(|name| !name.is_empty());
        find(
            "context",
            &self.contexts,
            name.or(current).ok_or(KubeconfigError::NoContext)?,
        )
    }

    /// Data goes before a file, as with client-go.
    fn pem(
        &self,
        field: &'static str,
        data: &Option<String>,
        file: &Option<PathBuf>,
    ) -> Result<Option<Pem>, KubeconfigError> {
        if let Some(data) = data.as_ref().filter(|data| !data.is_empty()) {
            let data = STANDARD
                .decode(data.trim())
                .map_err(|source| KubeconfigError::Base64 { field, source })?;
            return Ok(Some(Pem::Data(data)));
        }
        Ok(file
            .as_ref()
            .map(|file| Pem::File(self.directory.join(file))))
    }

    /// A token file goes before a token, as with client-go.
    fn token(&self, user: &User) -> Option<Token> {
        let file = user
            .token_file
            .as_ref()
            .map(|file| Token::File(self.directory.join(file)));
        file.or_else(|| {
            user.token
                .clone()
                .filter(|token| !token.is_empty())
                .map(Token::Value)
        })
    }
}

fn find<'a, T>(
    what: &'static str,
    entries: &'a [Named<T>],
    name: &str,
) -> Result<&'a T, KubeconfigError> {
    let entry = entries.iter().find(|entry| entry.name == name);
    entry
        .map(|entry| &entry.value)
        .ok_or_else(|| missing(what, name))
}

fn missing(what: &'static str, name: &str) -> KubeconfigError {
    KubeconfigError::Missing {
        what,
        name: name.to_owned(),
    }
}

/// The cluster's own proxy, or those of the environment.
fn proxies(cluster: &Cluster) -> Result<Proxies, KubeconfigError> {
    let url = cluster.proxy_url.as_deref().filter(|url| !url.is_empty());
    let named = "proxy-url in kubeconfig";
    match url.map(|url| Proxy::new(url).ok_or(ProxyError { named })) {
        None => Ok(Proxies::from_environment()?),
        Some(proxy) => Ok(Proxies::one(proxy?)),
    }
}

fn refuse_unsupported(user: &User) -> Result<(), KubeconfigError> {
    let fields = [
        ("username", user.username.is_some()),
        ("as", user.impersonate.is_some()),
        ("exec", user.exec.is_some()),
        ("auth-provider", user.auth_provider.is_some()),
    ];
    match fields.into_iter().find(|(_, used)| *used) {
        Some((field, _)) => Err(KubeconfigError::Unsupported {
            field: field.to_owned(),
        }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = r#"
apiVersion: v1
kind: Config
current-context: here
clusters:
- name: local
  cluster:
    server: https://127.0.0.1:6443
    certificate-authority-data: Y2E=
contexts:
- name: here
  context: {cluster: local, user: admin, namespace: web}
- name: there
  context: {cluster: local, user: plugin}
users:
- name: admin
  user: {client-certificate: admin.crt, client-key: admin.key, token: abc, tokenFile: /t}
- name: plugin
  user:
    exec: {command: login}
"#;

    #[test]
    fn data_files_and_tokens() {
        let mut config = Kubeconfig::parse(CONFIG).unwrap();
        config.directory = "/etc/x".into();
        let http = config.http_config(None).unwrap();
        assert_eq!(http.server, "https://127.0.0.1:6443");
        assert_eq!(http.ca, Some(Pem::Data(b"ca".to_vec())));
        let files = ("/etc/x/admin.crt".into(), "/etc/x/admin.key".into());
        assert_eq!(
            http.client_certificate,
            Some((Pem::File(files.0), Pem::File(files.1)))
        );
        assert_eq!(http.token, Some(Token::File("/t".into())));
        assert_eq!(config.namespace(None).unwrap().as_deref(), Some("web"));
    }

    #[test]
    fn a_cluster_may_have_a_proxy() {
        let read = |proxy: &str| {
            let server = "server: https://127.0.0.1:6443";
            let with_proxy = format!("{server}\n    proxy-url: {proxy}");
            let config = Kubeconfig::parse(&CONFIG.replace(server, &with_proxy)).unwrap();
            config.http_config(None).map(|http| {
                let here = "https://127.0.0.1:6443".parse().unwrap();
                http.proxies.of(&here).map(Proxy::port)
            })
        };
        assert_eq!(read("socks5://p").unwrap(), Some(1080));
        assert_eq!(read("\"\"").unwrap(), None);
        let error = read("ftp://p").unwrap_err().to_string();
        assert!(error.contains("proxy-url in kubeconfig"), "{error}");
    }

    #[test]
    fn what_is_not_supported_is_refused_by_name() {
        let config = Kubeconfig::parse(CONFIG).unwrap();
        let error = config.http_config(Some("there")).unwrap_err();
        assert_eq!(error.to_string(), "exec in kubeconfig is not supported");
        let error = config.http_config(Some("nowhere")).unwrap_err();
        assert_eq!(error.to_string(), "kubeconfig has no context \"nowhere\"");
    }
}
