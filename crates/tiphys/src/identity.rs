//! Who may come in and what they may do: keys and certificates, authenticators,
//! authorisers and admission, put together.

use crate::config::Config;
use crate::watch_objects::{Told, follow};
use admission::Chain;
use anyhow::{Context as _, Result};
use api::Door;
use apiserver::{TokenClaims, TokenIssuer};
use async_trait::async_trait;
use auth::pki::{self, Pki};
use auth::rbac::reconcile::{self, Action};
use auth::service_account::{
    self, Claims, Existing, LAST_USED, Lookup, ServiceAccountAuthenticator, ServiceAccountTokens,
};
use auth::user::MASTERS;
use auth::{
    Authenticator, Authenticators, Authorizer, Authorizers, BootstrapTokens,
    CertificateAuthenticator, LegacyTokens, NodeAuthorizer, Rbac, Secrets, StaticTokens, User,
};
use controllers::{ClusterRole, Signer, TokenSigner};
use meta::object::Object as _;
use meta::{FieldSelector, LabelSelector, Status, Value, value};
use registry::{Aim, Call, Registry, Selection};
use rustls::{ClientConfig, ServerConfig};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use stdx::{Clock, Rng, Supervisor};

/// Everything about who is who.
pub struct Identity {
    pki: Arc<Pki>,
    authenticator: Arc<dyn Authenticator>,
    authorizer: Arc<dyn Authorizer>,
    tokens: Arc<ServiceAccountTokens>,
}

impl Identity {
    /// Reads or makes keys and certificates, and begins to follow what
    /// authorisers need to know.
    pub async fn open(
        config: &Config,
        rights: &Rights,
        advertise: IpAddr,
        node_ip: Ipv4Addr,
        registry: &Arc<Registry>,
        clock: &Clock,
        supervisor: &Supervisor,
    ) -> Result<Self> {
        let pki = Pki::open(pki_config(config, advertise, node_ip), clock.clone());
        let pki = Arc::new(pki.context("prepare keys and certificates")?);
        let issuer = service_account::Config {
            issuer: format!(
                "https://kubernetes.default.svc.{}",
                config.args.cluster_domain
            ),
            audiences: Vec::new(),
            server_url: format!("https://{advertise}:{}", config.args.https_listen_port),
        };
        let key = pki.service_account_key();
        let tokens = ServiceAccountTokens::new(issuer, &key, clock.clone(), Rng::system());
        let tokens = Arc::new(tokens.context("prepare service-account tokens")?);
        let lookup = Arc::new(Objects(registry.clone()));
        let secrets = lookup.clone();
        let legacy = LegacyTokens::new(
            tokens.clone(),
            lookup.clone(),
            secrets.clone(),
            clock.clone(),
        );
        let accounts = ServiceAccountAuthenticator::new(tokens.clone(), lookup, clock.clone());
        let bootstrap = BootstrapTokens::new(secrets, clock.clone());
        let certificates = CertificateAuthenticator::new(pki.client_ca_der(), clock.clone())?;
        let fixed = config
            .args
            .token
            .iter()
            .map(|token| (token.clone(), User::new("admin", &[MASTERS])));
        let authenticator = Authenticators::new(vec![
            Arc::new(certificates),
            Arc::new(StaticTokens::new(fixed.collect())),
            Arc::new(legacy),
            Arc::new(accounts),
            Arc::new(bootstrap),
        ]);
        rights.follow(registry, supervisor).await?;
        let authorizer = rights.authorizer.clone();
        Ok(Identity {
            pki,
            authenticator: Arc::new(authenticator),
            authorizer,
            tokens,
        })
    }

    /// Keys and certificates.
    pub fn pki(&self) -> Arc<Pki> {
        self.pki.clone()
    }

    /// Who are you.
    pub fn authenticator(&self) -> Arc<dyn Authenticator> {
        self.authenticator.clone()
    }

    /// May you.
    pub fn authorizer(&self) -> Arc<dyn Authorizer> {
        self.authorizer.clone()
    }

    /// Who makes service-account tokens.
    pub fn tokens(&self) -> Arc<dyn TokenIssuer> {
        Arc::new(Issuer(self.tokens.clone()))
    }

    /// Who signs the tokens that lie in Secrets.
    pub fn token_signer(&self) -> Signer {
        Signer(Arc::new(Issuer(self.tokens.clone())))
    }

    /// The API server's side of TLS.
    pub fn server_tls(&self) -> Result<Arc<ServerConfig>> {
        self.pki.server_config().context("prepare TLS")
    }

    /// How the API server goes to kubelets.
    pub fn to_kubelets(&self) -> Result<Arc<ClientConfig>> {
        Ok(Arc::new(
            self.pki
                .to_kubelets_config()
                .context("prepare TLS to kubelets")?,
        ))
    }

    /// What the kubelet's HTTPS door shows, and whom it believes.
    pub fn kubelet_door(&self) -> kubelet::server::Door {
        kubelet::server::Door {
            certificate: self.pki.kubelet_certificate(),
            client_ca: vec![self.pki.client_ca_der()],
        }
    }

    /// What pods shall believe.
    pub fn root_ca(&self) -> String {
        self.pki.server_ca_pem()
    }

    /// Roles and bindings that every cluster has.
    pub fn bootstrap_rbac(&self) -> Vec<Value> {
        let mut objects = auth::rbac::bootstrap::objects();
        for object in controllers::bootstrap_roles()
            .iter()
            .flat_map(controller_role)
        {
            let same =
                |o: &&mut Value| o.get("kind") == object.get("kind") && o.name() == object.name();
            match objects.iter_mut().find(same) {
                // One object of a name, with the rules of both.
                Some(found) => {
                    if let Action::Update(both) = reconcile::plan(&object, Some(found)) {
                        *found = both;
                    }
                }
                None => objects.push(object),
            }
        }
        objects
    }
}

/// Who may do what, before anything is known: the indices are empty until
/// [`Rights::follow`] has read the objects.
#[derive(Clone)]
pub struct Rights {
    rbac: Arc<Rbac>,
    node: Arc<NodeAuthorizer>,
    authorizer: Arc<dyn Authorizer>,
}

impl Rights {
    /// Nobody may do anything but those who may do everything.
    pub fn new() -> Self {
        let (rbac, node) = (Arc::new(Rbac::new()), Arc::new(NodeAuthorizer::new()));
        let authorizer = Arc::new(
            Authorizers::new(vec![node.clone(), rbac.clone()]).anonymous_health_only(true),
        );
        Rights {
            rbac,
            node,
            authorizer,
        }
    }

    /// The admission plugins.
    pub fn admission(&self, clock: &Clock, rng: &Rng) -> Chain {
        admission::chain(&admission::Needs {
            clock: clock.clone(),
            rng: rng.fork(),
            authorizer: self.authorizer.clone(),
            rbac: self.rbac.clone(),
        })
    }

    /// Keeps RBAC's index and the Node authoriser's true to the objects.
    async fn follow(&self, registry: &Arc<Registry>, supervisor: &Supervisor) -> Result<()> {
        for (kind, plural) in [
            ("ClusterRole", "clusterroles"),
            ("ClusterRoleBinding", "clusterrolebindings"),
            ("Role", "roles"),
            ("RoleBinding", "rolebindings"),
        ] {
            let index = self.rbac.clone();
            let tell = move |told: Told<'_>| match told {
                Told::All(objects) => index.replace(kind, objects),
                Told::Put(object) => index.put(kind, object),
                Told::Gone(object) => index.remove(kind, object.namespace(), object.name()),
            };
            follow(
                registry,
                supervisor,
                "rbac.authorization.k8s.io",
                plural,
                tell,
            )
            .await?;
        }
        self.node.look_at(Shown(registry.clone()));
        let index = self.node.clone();
        let tell = move |told: Told<'_>| match told {
            Told::All(pods) => index.replace_pods(pods),
            Told::Put(pod) => index.put_pod(pod),
            Told::Gone(pod) => index.remove_pod(pod.namespace(), pod.name()),
        };
        follow(registry, supervisor, "", "pods", tell).await
    }
}

/// The ClusterRole and binding of a controller's identity.
fn controller_role(role: &ClusterRole) -> [Value; 2] {
    let texts = |texts: &[&str]| Value::Array(texts.iter().map(|t| Value::from(*t)).collect());
    let rules = role.rules.iter().map(|rule| {
        value!({"apiGroups": texts(rule.groups), "resources": texts(rule.resources), "verbs": texts(rule.verbs)})
    });
    let metadata = value!({
        "name": role.name.as_str(),
        "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"},
        "annotations": {"rbac.authorization.kubernetes.io/autoupdate": "true"}
    });
    [
        value!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": metadata.clone(),
            "rules": Value::Array(rules.collect())
        }),
        value!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": metadata,
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role.name.as_str()},
            "subjects": [{"kind": "ServiceAccount", "name": role.identity, "namespace": "kube-system"}]
        }),
    ]
}

fn pki_config(config: &Config, advertise: IpAddr, node_ip: Ipv4Addr) -> pki::Config {
    let mut server_names = vec![config.service_ip.to_string(), advertise.to_string()];
    server_names.extend(config.args.tls_san.iter().cloned());
    if !config.args.bind_address.is_unspecified() {
        server_names.push(config.args.bind_address.to_string());
    }
    pki::Config {
        dir: config.instance.tls(),
        node_name: config.node_name.clone(),
        node_addresses: vec![node_ip.into()],
        server_names,
    }
}

/// Makes tokens in the API server's words.
struct Issuer(Arc<ServiceAccountTokens>);

impl TokenIssuer for Issuer {
    fn issue(&self, claims: &TokenClaims) -> Result<(String, i64), Status> {
        let claims = Claims {
            namespace: claims.namespace.clone(),
            name: claims.name.clone(),
            uid: claims.uid.clone(),
            audiences: claims.audiences.clone(),
            lifetime: claims.lifetime,
            bound_to: claims.bound_to.clone(),
            node: claims.node.clone(),
        };
        self.0.issue(&claims).map_err(Status::internal)
    }

    fn default_audiences(&self) -> Vec<String> {
        self.0.default_audiences()
    }

    fn jwks(&self) -> String {
        self.0.jwks()
    }

    fn discovery_document(&self) -> String {
        self.0.discovery_document()
    }
}

impl TokenSigner for Issuer {
    fn sign(&self, namespace: &str, account: (&str, &str), secret: &str) -> Option<String> {
        self.0.issue_legacy(namespace, account, secret)
    }
}

/// The pods as the API server shows them to those who watch.
struct Shown(Arc<Registry>);

impl auth::Pods for Shown {
    fn on_node(&self, namespace: &str, node: &str) -> Vec<Value> {
        let Some(pods) = self.0.any_version("", "pods") else {
            return Vec::new();
        };
        let fields = FieldSelector {
            terms: vec![("spec.nodeName".into(), node.into(), true)],
        };
        let labels = LabelSelector::default();
        let Ok(selection) = Selection::new(pods.hub(), namespace, labels, &fields) else {
            return Vec::new();
        };
        let shown = self.0.list_shown(&pods, &selection);
        // One that cannot be read opens nothing.
        let readable = shown.iter().filter_map(|pod| pod.to_value(pods.hub()).ok());
        readable.collect()
    }
}

/// Finds the objects by whose grace tokens live.
struct Objects(Arc<Registry>);

#[async_trait]
impl Lookup for Objects {
    async fn find(
        &self,
        resource: &str,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Existing>, String> {
        let found = admission::View::get(&*self.0, "", resource, namespace, name).await;
        Ok(found
            .map_err(|status| status.message)?
            .as_deref()
            .map(Existing::of))
    }
}

#[async_trait]
impl Secrets for Objects {
    async fn secret(&self, namespace: &str, name: &str) -> Result<Option<Value>, String> {
        let found = admission::View::get(&*self.0, "", "secrets", namespace, name).await;
        Ok(found.map_err(|status| status.message)?.as_deref().cloned())
    }

    async fn mark_used(&self, namespace: &str, name: &str, day: &str) {
        let Some(secrets) = self.0.any_version("", "secrets") else {
            return;
        };
        let user = User::new("system:apiserver", &[MASTERS]);
        let mut call = Call::new(&user);
        call.manager = "kube-apiserver".into();
        let aim = Aim {
            namespace,
            name,
            door: Door::Main,
            owns_fields: false,
            follows: true,
            may_create: false,
        };
        let mark = |old: Option<&Value>| {
            let gone = || Status::not_found(&secrets.card().group_resource(), name);
            let mut secret = old.cloned().ok_or_else(gone)?;
            secret.set_at(&["metadata", "labels", LAST_USED], day);
            Ok(secret)
        };
        // A token holds whether or not its use is noted.
        if let Err(status) = self.0.update(&call, &secrets, aim, &mark).await {
            tracing::warn!(
                namespace,
                name,
                error = status.message,
                "a token's use is not noted"
            );
        }
    }
}
