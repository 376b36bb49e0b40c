//! The cluster's keys and certificates: made on first start, kept, and renewed
//! long before they end.
//!
//! Two authorities, as in k3s: one vouches for servers, one for clients. A
//! renewed certificate keeps its key, so that a crash between two writes can
//! never part them, and running servers take it up without a restart. Files
//! that are damaged or do not belong together are refused by name: making new
//! ones in their place would cut off every client that holds the old.

pub mod facts;
mod files;
mod issue;
mod kubeconfig;
mod pair;
#[cfg(test)]
mod tests;
pub(crate) mod tls;

pub use facts::Facts;
pub use pair::Pair;

use crate::user::{MASTERS, NODES};
use arc_swap::ArcSwap;
use files::Files;
use issue::{Leaf, Usage};
use pair::Found;
use rcgen::KeyPair;
use rustls::pki_types::CertificateDer;
use rustls::server::ResolvesServerCert;
use rustls::{ClientConfig, DistinguishedName, ServerConfig};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use stdx::Clock;
use tls::Current;

const SERVER_CA: &str = "server-ca";
const CLIENT_CA: &str = "client-ca";
const SERVICE_KEY: &str = "service.key";
/// The names by which pods know the API server.
const NAMES: [&str; 5] = [
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
    "localhost",
];

/// What certificates are needed.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the files are.
    pub dir: PathBuf,
    /// The name of this node.
    pub node_name: String,
    /// The node's addresses.
    pub node_addresses: Vec<IpAddr>,
    /// Further names and addresses by which clients reach the API server: the
    /// `kubernetes` Service's, the advertised one, those of `--tls-san`.
    pub server_names: Vec<String>,
}

/// What can be wrong with keys and certificates.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read.
    #[error("reading {path}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file or directory cannot be written.
    #[error("writing {path}")]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file does not hold what it should.
    #[error("{path} is damaged: {why}")]
    Damaged {
        /// Which.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// Two files do not belong together.
    #[error("{path} does not belong to {other}: {why}")]
    Mismatched {
        /// The certificate.
        path: PathBuf,
        /// Its key, or its authority's certificate.
        other: PathBuf,
        /// Why.
        why: &'static str,
    },
    /// A key is gone.
    #[error("{path} is missing, though {other} is there")]
    Missing {
        /// The key.
        path: PathBuf,
        /// Its certificate.
        other: PathBuf,
    },
    /// An authority's certificate, signed by somebody else, holds no more.
    #[error("{path} does not hold at this time")]
    Ended {
        /// Which.
        path: PathBuf,
    },
    /// A key or certificate cannot be made.
    #[error("making {what}")]
    Issue {
        /// Which.
        what: String,
        /// Why.
        #[source]
        source: rcgen::Error,
    },
    /// A TLS configuration cannot be made.
    #[error("preparing TLS for {what}")]
    Tls {
        /// For whom.
        what: &'static str,
        /// Why.
        #[source]
        source: rustls::Error,
    },
    /// There are no random numbers.
    #[error("the cryptographic library gives no random bytes")]
    Entropy,
}

impl Error {
    fn damaged(path: impl Into<PathBuf>, why: impl Into<String>) -> Self {
        Error::Damaged {
            path: path.into(),
            why: why.into(),
        }
    }
}

/// All keys and certificates of one server.
#[derive(Debug)]
pub struct Pki {
    config: Config,
    clock: Clock,
    all: ArcSwap<All>,
    serving: Arc<Current>,
    kubelet_serving: Arc<Current>,
    kubelet_client: Arc<Current>,
    to_kubelets: Arc<Current>,
    renewing: Mutex<()>,
}

/// Everything at one time.
#[derive(Debug)]
struct All {
    server_ca: Pair,
    client_ca: Pair,
    serving: Pair,
    kubelet_serving: Pair,
    kubelet_client: Pair,
    to_kubelets: Pair,
    admin: Pair,
    service_key: KeyPair,
    renewed: Vec<&'static str>,
}

impl Pki {
    /// Reads what is there, makes what is missing, renews what will end.
    pub fn open(config: Config, clock: Clock) -> Result<Pki, Error> {
        let all = All::load(&config, clock.wall().as_second())?;
        Ok(Pki {
            serving: Current::new(all.serving.certified("the API server")?),
            kubelet_serving: Current::new(all.kubelet_serving.certified("the kubelet")?),
            kubelet_client: Current::new(all.kubelet_client.certified("the kubelet's client")?),
            to_kubelets: Current::new(all.to_kubelets.certified("the way to kubelets")?),
            all: ArcSwap::from_pointee(all),
            renewing: Mutex::new(()),
            config,
            clock,
        })
    }

    /// Renews what will end; running servers and clients take it up. Says
    /// which files are new. Call it once in a while: once a day is often enough.
    pub fn renew(&self) -> Result<Vec<&'static str>, Error> {
        let _alone = self.renewing.lock().unwrap_or_else(PoisonError::into_inner);
        let all = All::load(&self.config, self.clock.wall().as_second())?;
        self.serving.set(all.serving.certified("the API server")?);
        self.kubelet_serving
            .set(all.kubelet_serving.certified("the kubelet")?);
        self.kubelet_client
            .set(all.kubelet_client.certified("the kubelet's client")?);
        self.to_kubelets
            .set(all.to_kubelets.certified("the way to kubelets")?);
        let renewed = all.renewed.clone();
        self.all.store(Arc::new(all));
        Ok(renewed)
    }

    /// The API server's side of TLS.
    pub fn server_config(&self) -> Result<Arc<ServerConfig>, Error> {
        tls::server(
            "the API server",
            self.serving.clone(),
            self.client_authorities(),
        )
        .map(Arc::new)
    }

    /// The kubelet's side of TLS.
    pub fn kubelet_server_config(&self) -> Result<Arc<ServerConfig>, Error> {
        tls::server(
            "the kubelet",
            self.kubelet_serving.clone(),
            self.client_authorities(),
        )
        .map(Arc::new)
    }

    /// The certificate that the kubelet shows, renewed behind this.
    pub fn kubelet_certificate(&self) -> Arc<dyn ResolvesServerCert> {
        self.kubelet_serving.clone()
    }

    /// How the API server goes to kubelets. A kubelet's certificate holds for
    /// its node's name and addresses. ALPN is left to the caller: streams need
    /// HTTP/1.1.
    pub fn to_kubelets_config(&self) -> Result<ClientConfig, Error> {
        let authority = self.all.load().server_ca.der().clone();
        tls::client(
            "the way to kubelets",
            &authority,
            Some(self.to_kubelets.clone()),
        )
    }

    /// How the kubelet goes to an API server over the network.
    pub fn kubelet_client_config(&self) -> Result<ClientConfig, Error> {
        let authority = self.all.load().server_ca.der().clone();
        tls::client(
            "the kubelet's client",
            &authority,
            Some(self.kubelet_client.clone()),
        )
    }

    /// The authority that vouches for servers, as PEM: what `ca.crt` says in pods.
    pub fn server_ca_pem(&self) -> String {
        self.all.load().server_ca.certificates.clone()
    }

    /// The authority that vouches for clients, as PEM.
    pub fn client_ca_pem(&self) -> String {
        self.all.load().client_ca.certificates.clone()
    }

    /// The authority that vouches for clients, in DER.
    pub fn client_ca_der(&self) -> CertificateDer<'static> {
        self.all.load().client_ca.der().clone()
    }

    /// The key that signs service-account tokens, in PKCS#8 DER.
    pub fn service_account_key(&self) -> Vec<u8> {
        self.all.load().service_key.serialize_der()
    }

    /// A kubeconfig for somebody who may do everything.
    pub fn admin_kubeconfig(&self, server_url: &str) -> String {
        let all = self.all.load();
        kubeconfig::write(server_url, &all.server_ca.certificates, &all.admin)
    }

    /// A kubeconfig for this node's kubelet.
    pub fn kubelet_kubeconfig(&self, server_url: &str) -> String {
        let all = self.all.load();
        kubeconfig::write(server_url, &all.server_ca.certificates, &all.kubelet_client)
    }

    fn client_authorities(&self) -> Vec<DistinguishedName> {
        let subject = self.all.load().client_ca.facts.subject.clone();
        vec![DistinguishedName::from(subject)]
    }
}

impl All {
    fn load(config: &Config, now: i64) -> Result<All, Error> {
        let mut store = Store {
            files: Files::new(&config.dir),
            now,
            renewed: Vec::new(),
        };
        let server_ca = store.authority(SERVER_CA)?;
        let client_ca = store.authority(CLIENT_CA)?;
        let mut server = |leaf| store.leaf(leaf, SERVER_CA, &server_ca);
        let serving = server(serving(config))?;
        let kubelet_serving = server(kubelet_serving(config))?;
        let mut client = |leaf| store.leaf(leaf, CLIENT_CA, &client_ca);
        let node = format!("system:node:{}", config.node_name);
        let kubelet_client = client(client_leaf("client-kubelet", &node, NODES))?;
        let name = "kube-apiserver-kubelet-client";
        let to_kubelets = client(client_leaf("client-kube-apiserver", name, MASTERS))?;
        let admin = client(client_leaf("client-admin", "system:admin", MASTERS))?;
        let service_key = store.service_key()?;
        store.files.commit()?;
        Ok(All {
            server_ca,
            client_ca,
            serving,
            kubelet_serving,
            kubelet_client,
            to_kubelets,
            admin,
            service_key,
            renewed: store.renewed,
        })
    }
}

fn serving(config: &Config) -> Leaf {
    let mut names: BTreeSet<String> = NAMES.iter().map(ToString::to_string).collect();
    names.extend(["127.0.0.1".to_string(), "::1".to_string()]);
    names.insert(config.node_name.clone());
    names.extend(config.node_addresses.iter().map(IpAddr::to_string));
    names.extend(config.server_names.iter().map(|name| canonical(name)));
    names.remove("");
    Leaf {
        file: "serving-kube-apiserver",
        common_name: "kube-apiserver".into(),
        organizations: Vec::new(),
        names,
        usage: Usage::Server,
    }
}

/// Addresses as they read back from a certificate.
fn canonical(name: &str) -> String {
    match name.parse::<IpAddr>() {
        Ok(address) => address.to_string(),
        Err(_) => name.to_string(),
    }
}

fn kubelet_serving(config: &Config) -> Leaf {
    let mut names: BTreeSet<String> = ["localhost", "127.0.0.1", "::1"].map(String::from).into();
    names.insert(config.node_name.clone());
    names.extend(config.node_addresses.iter().map(IpAddr::to_string));
    Leaf {
        file: "serving-kubelet",
        common_name: format!("system:node:{}", config.node_name),
        organizations: vec![NODES.into()],
        names,
        usage: Usage::Server,
    }
}

fn client_leaf(file: &'static str, common_name: &str, organization: &str) -> Leaf {
    Leaf {
        file,
        common_name: common_name.into(),
        organizations: vec![organization.into()],
        names: BTreeSet::new(),
        usage: Usage::Client,
    }
}

/// The directory while it is read and filled.
struct Store {
    files: Files,
    now: i64,
    renewed: Vec<&'static str>,
}

impl Store {
    fn authority(&mut self, file: &'static str) -> Result<Pair, Error> {
        let new_name = || format!("tiphys-{file}@{}", self.now);
        let (name, key) = match pair::read(&self.files, file)? {
            Found::Nothing => (new_name(), issue::key(file)?),
            Found::Key(key) => (new_name(), key),
            Found::Both(pair) if issue::authority_is_due(&pair, self.now) => {
                (pair.facts.common_name, pair.signer)
            }
            Found::Both(pair) => return self.checked_authority(file, *pair),
        };
        let pair = issue::authority(&name, key, self.now)?;
        self.put(file, &pair);
        Ok(pair)
    }

    fn checked_authority(&self, file: &str, pair: Pair) -> Result<Pair, Error> {
        let path = self.files.path(&format!("{file}.crt"));
        if !pair.facts.is_ca {
            return Err(Error::damaged(path, "it may not sign certificates"));
        }
        if !pair.facts.holds_at(self.now) {
            return Err(Error::Ended { path });
        }
        Ok(pair)
    }

    fn leaf(&mut self, leaf: Leaf, ca: &str, authority: &Pair) -> Result<Pair, Error> {
        let key = match pair::read(&self.files, leaf.file)? {
            Found::Nothing => issue::key(leaf.file)?,
            Found::Key(key) => key,
            Found::Both(pair) => {
                self.check_issuer(leaf.file, &pair, ca, authority)?;
                if leaf.is_met_by(&pair, self.now) {
                    return Ok(*pair);
                }
                pair.signer
            }
        };
        let pair = leaf.sign(authority, key, self.now)?;
        self.put(leaf.file, &pair);
        Ok(pair)
    }

    fn check_issuer(
        &self,
        file: &str,
        pair: &Pair,
        ca: &str,
        authority: &Pair,
    ) -> Result<(), Error> {
        match facts::is_signed_by(pair.der(), authority.der()) {
            true => Ok(()),
            false => Err(Error::Mismatched {
                path: self.files.path(&format!("{file}.crt")),
                other: self.files.path(&format!("{ca}.crt")),
                why: "that authority did not sign it",
            }),
        }
    }

    fn service_key(&mut self) -> Result<KeyPair, Error> {
        let path = self.files.path(SERVICE_KEY);
        if let Some(pem) = self.files.read(SERVICE_KEY)? {
            let key = pair::read_key(&path, &pem)?;
            if !key.is_compatible(&rcgen::PKCS_ECDSA_P256_SHA256) {
                return Err(Error::damaged(path, "its key is not of P-256"));
            }
            return Ok(key);
        }
        let key = issue::key(SERVICE_KEY)?;
        self.files.put_key(SERVICE_KEY, &key.serialize_pem());
        self.renewed.push(SERVICE_KEY);
        Ok(key)
    }

    fn put(&mut self, file: &'static str, pair: &Pair) {
        self.files.put_key(&format!("{file}.key"), &pair.key);
        self.files
            .put_certificate(&format!("{file}.crt"), &pair.certificates);
        self.renewed.push(file);
    }
}
