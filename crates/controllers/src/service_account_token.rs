//! Secrets of type `kubernetes.io/service-account-token` are filled with a token
//! that ends with them or with their account. Follows
//! pkg/controller/serviceaccount/tokens_controller.go.

use crate::Controller;
use crate::context::{Context, Signer};
use client::{Api, DeleteOptions, Error, ListOptions};
use informer::{Action, BoxError, Change, Informer, Queue, Reconcile, Store, Workers};
use std::fmt;
use std::sync::Arc;
use typed::Typed;
use typed::api::core::v1::{Secret, ServiceAccount};
use typed::k8s_openapi::ByteString;

pub(crate) const CONTROLLER: Controller = Controller {
    name: "serviceaccount-token-controller",
    // Upstream's acts as the manager itself, whose role every cluster has.
    identity: "system:kube-controller-manager",
    rules: &[],
    start,
};

const TYPE: &str = "kubernetes.io/service-account-token";
const ACCOUNT_NAME: &str = "kubernetes.io/service-account.name";
const ACCOUNT_UID: &str = "kubernetes.io/service-account.uid";
const TOKEN: &str = "token";
const ROOT_CA: &str = "ca.crt";
const NAMESPACE: &str = "namespace";

/// Who signs tokens without an end.
pub trait TokenSigner: Send + Sync {
    /// A token of an account (name and uid) for a Secret; `None` when it cannot be signed.
    fn sign(&self, namespace: &str, account: (&str, &str), secret: &str) -> Option<String>;
}

/// What is looked at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Account {
        namespace: String,
        name: String,
        uid: String,
    },
    Secret {
        namespace: String,
        name: String,
        uid: String,
        account: String,
        /// Empty when the Secret does not say.
        account_uid: String,
    },
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Key::Account {
                namespace, name, ..
            } => write!(f, "serviceaccount {namespace}/{name}"),
            Key::Secret {
                namespace, name, ..
            } => write!(f, "secret {namespace}/{name}"),
        }
    }
}

fn start(context: &Context) {
    let Some(Signer(signer)) = context.options.token_signer.clone() else {
        tracing::warn!("tokens in Secrets are not made: nobody signs them");
        return;
    };
    let accounts = context.factory.informer::<ServiceAccount>();
    let secrets = context
        .factory
        .selected::<Secret>(ListOptions::fields(format!("type={TYPE}")));
    let queue = context.queue();
    look_at_changes(&accounts, &queue, key_of_account);
    look_at_changes(&secrets, &queue, key_of_secret);
    let controller = Arc::new(Tokens {
        accounts: accounts.store(),
        secrets: secrets.store(),
        account_api: context.client.api(),
        secret_api: context.client.api(),
        root_ca: context.options.root_ca.clone(),
        signer,
    });
    let synced = async move {
        accounts.synced().await;
        secrets.synced().await;
    };
    context.reconcile(queue, Workers::new(5), synced, controller);
}

fn look_at_changes<T: Typed + Send + Sync + 'static>(
    informer: &Informer<T>,
    queue: &Queue<Key>,
    key: fn(&T) -> Key,
) {
    let queue = queue.clone();
    informer.on_change(move |change: &Change<T>| queue.add(key(change.object())));
}

fn key_of_account(account: &ServiceAccount) -> Key {
    Key::Account {
        namespace: account.namespace().to_owned(),
        name: account.name().to_owned(),
        uid: account.uid().to_owned(),
    }
}

fn key_of_secret(secret: &Secret) -> Key {
    let annotation = |key: &str| secret.annotations().get(key).cloned().unwrap_or_default();
    Key::Secret {
        namespace: secret.namespace().to_owned(),
        name: secret.name().to_owned(),
        uid: secret.uid().to_owned(),
        account: annotation(ACCOUNT_NAME),
        account_uid: annotation(ACCOUNT_UID),
    }
}

struct Tokens {
    accounts: Store<ServiceAccount>,
    secrets: Store<Secret>,
    account_api: Api<ServiceAccount>,
    secret_api: Api<Secret>,
    root_ca: String,
    signer: Arc<dyn TokenSigner>,
}

#[async_trait::async_trait]
impl Reconcile<Key> for Tokens {
    async fn reconcile(&self, key: &Key) -> Result<Action, BoxError> {
        match key {
            Key::Account {
                namespace,
                name,
                uid,
            } => self.look_at_account(namespace, name, uid).await?,
            Key::Secret {
                namespace,
                name,
                uid,
                account,
                account_uid,
            } => {
                let account = (account.as_str(), account_uid.as_str());
                self.look_at_secret(namespace, (name, uid), account).await?;
            }
        }
        Ok(Action::Done)
    }
}

impl Tokens {
    /// With an account go its tokens.
    async fn look_at_account(&self, namespace: &str, name: &str, uid: &str) -> Result<(), Error> {
        let known = self.accounts.get(namespace, name);
        if known.is_some_and(|account| account.uid() == uid) {
            return Ok(());
        }
        for secret in self.secrets.namespace(namespace) {
            let annotation = |key: &str| secret.annotations().get(key).map_or("", String::as_str);
            if annotation(ACCOUNT_NAME) == name && annotation(ACCOUNT_UID) == uid {
                self.delete(namespace, secret.name(), secret.uid()).await?;
            }
        }
        Ok(())
    }

    async fn look_at_secret(
        &self,
        namespace: &str,
        (name, uid): (&str, &str),
        account: (&str, &str),
    ) -> Result<(), BoxError> {
        let known = self.secrets.get(namespace, name);
        let Some(secret) = known.filter(|secret| secret.uid() == uid) else {
            self.forget(namespace, name, account).await?;
            return Ok(());
        };
        match self.account(namespace, account).await? {
            None => self.delete(namespace, name, uid).await?,
            Some(account) if self.lacks_something(&secret) => self.fill(&account, &secret).await?,
            Some(_) => {}
        }
        Ok(())
    }

    /// The account, asked for anew when the cache has none.
    async fn account(
        &self,
        namespace: &str,
        (name, uid): (&str, &str),
    ) -> Result<Option<ServiceAccount>, Error> {
        let is_meant = |account: &ServiceAccount| uid.is_empty() || account.uid() == uid;
        let known = self.accounts.get(namespace, name);
        if let Some(account) = known.filter(|account| is_meant(account)) {
            return Ok(Some((*account).clone()));
        }
        match self.account_api.namespace(namespace).get(name).await {
            Ok(account) => Ok(Some(account).filter(is_meant)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn lacks_something(&self, secret: &Secret) -> bool {
        let has = |key: &str| entry(secret, key).is_some_and(|bytes| !bytes.is_empty());
        let has_ca = entry(secret, ROOT_CA) == Some(self.root_ca.as_bytes());
        !has(TOKEN) || !has(NAMESPACE) || !(has_ca || self.root_ca.is_empty())
    }

    /// Writes what is missing into the Secret as it is now.
    async fn fill(&self, account: &ServiceAccount, known: &Secret) -> Result<(), BoxError> {
        let (namespace, name) = (known.namespace(), known.name());
        let api = self.secret_api.namespace(namespace);
        let mut secret = match api.get(name).await {
            Ok(secret) => secret,
            Err(error) if error.is_not_found() => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let is_known = secret.uid() == known.uid()
            && secret.metadata.resource_version == known.metadata.resource_version;
        // Another version comes by the cache, and is looked at then.
        if !is_known || !self.lacks_something(&secret) {
            return Ok(());
        }
        let has = |key: &str| entry(&secret, key).is_some_and(|bytes| !bytes.is_empty());
        let mut missing = vec![(ROOT_CA, self.root_ca.clone())];
        if !has(NAMESPACE) {
            missing.push((NAMESPACE, namespace.to_owned()));
        }
        if !has(TOKEN) {
            let identity = (account.name(), account.uid());
            let signed = self.signer.sign(namespace, identity, name);
            missing.push((TOKEN, signed.ok_or("the token cannot be signed")?));
        }
        let data = secret.data.get_or_insert_default();
        for (key, text) in missing.into_iter().filter(|(_, text)| !text.is_empty()) {
            data.insert(key.to_owned(), ByteString(text.into_bytes()));
        }
        let annotations = secret.annotations_mut();
        annotations.insert(ACCOUNT_NAME.to_owned(), account.name().to_owned());
        annotations.insert(ACCOUNT_UID.to_owned(), account.uid().to_owned());
        match api.replace(&secret).await {
            // Who changed it is heard of; who deleted it wants no token.
            Err(error) if error.is_conflict() || error.is_not_found() => Ok(()),
            outcome => Ok(outcome.map(drop)?),
        }
    }

    async fn delete(&self, namespace: &str, name: &str, uid: &str) -> Result<(), Error> {
        let api = self.secret_api.namespace(namespace);
        match api.delete(name, &DeleteOptions::uid(uid)).await {
            Err(error) if error.is_not_found() || error.is_conflict() => Ok(()),
            outcome => outcome,
        }
    }

    /// A Secret that is gone is not mentioned by its account any more.
    async fn forget(
        &self,
        namespace: &str,
        secret: &str,
        account: (&str, &str),
    ) -> Result<(), Error> {
        let mentions = |account: &ServiceAccount| {
            let references = account.secrets.iter().flatten();
            references
                .into_iter()
                .any(|r| r.name.as_deref() == Some(secret))
        };
        let known = self.accounts.get(namespace, account.0);
        if !known.is_some_and(|account| mentions(&account)) {
            return Ok(());
        }
        let Some(mut found) = self.account(namespace, account).await? else {
            return Ok(());
        };
        let references = found.secrets.get_or_insert_default();
        references.retain(|r| r.name.as_deref() != Some(secret));
        match self.account_api.namespace(namespace).replace(&found).await {
            Err(error) if error.is_not_found() => Ok(()),
            outcome => outcome.map(drop),
        }
    }
}

fn entry<'a>(secret: &'a Secret, key: &str) -> Option<&'a [u8]> {
    let data = secret.data.as_ref()?;
    data.get(key).map(|bytes| bytes.0.as_slice())
}

#[cfg(test)]
mod tests {
    use super::TokenSigner;
    use crate::Options;
    use crate::context::Signer;
    use crate::testing::Cluster;
    use serde_json::{Value, json};
    use std::sync::Arc;

    struct Plain;

    impl TokenSigner for Plain {
        fn sign(&self, namespace: &str, account: (&str, &str), secret: &str) -> Option<String> {
            Some(format!("{namespace}/{}/{secret}", account.0))
        }
    }

    fn cluster() -> Cluster {
        let options = Options {
            root_ca: "PEM".into(),
            token_signer: Some(Signer(Arc::new(Plain))),
            ..Options::default()
        };
        Cluster::start_with(&["serviceaccount-token-controller"], options)
    }

    fn secret(account: &str) -> Value {
        json!({
            "metadata": {
                "name": "token", "namespace": "a",
                "annotations": {"kubernetes.io/service-account.name": account}
            },
            "type": "kubernetes.io/service-account-token"
        })
    }

    fn account() -> Value {
        json!({
            "metadata": {"name": "robot", "namespace": "a"},
            "secrets": [{"name": "token"}, {"name": "other"}]
        })
    }

    #[tokio::test(start_paused = true)]
    async fn secrets_are_filled_and_go_with_their_account() {
        let cluster = cluster();
        cluster.api.create("serviceaccounts", account());
        cluster.api.create("secrets", secret("robot"));
        cluster.settle().await;
        let filled = cluster.api.get("secrets", "a", "token").unwrap();
        // a/robot/token, PEM and a, in base64.
        let expected =
            json!({"token": "YS9yb2JvdC90b2tlbg==", "ca.crt": "UEVN", "namespace": "YQ=="});
        assert_eq!(filled["data"], expected);
        let account = cluster.api.get("serviceaccounts", "a", "robot").unwrap();
        assert_eq!(
            filled["metadata"]["annotations"]["kubernetes.io/service-account.uid"],
            account["metadata"]["uid"]
        );
        cluster.api.edit("secrets", "a", "token", |secret| {
            secret["data"] = json!({"token": "YQ==", "ca.crt": "YQ=="});
        });
        cluster.settle().await;
        let mended = cluster.api.get("secrets", "a", "token").unwrap();
        let expected = json!({"token": "YQ==", "ca.crt": "UEVN", "namespace": "YQ=="});
        assert_eq!(mended["data"], expected);
        cluster.api.remove("serviceaccounts", "a", "robot");
        cluster.settle().await;
        assert!(cluster.api.get("secrets", "a", "token").is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn secrets_of_nobody_go_and_are_forgotten() {
        let cluster = cluster();
        cluster.api.create("secrets", secret("nobody"));
        cluster.settle().await;
        assert!(cluster.api.get("secrets", "a", "token").is_none());
        cluster.api.create("serviceaccounts", account());
        cluster.api.create("secrets", secret("robot"));
        cluster.settle().await;
        cluster.api.remove("secrets", "a", "token");
        cluster.settle().await;
        let account = cluster.api.get("serviceaccounts", "a", "robot").unwrap();
        assert_eq!(account["secrets"], json!([{"name": "other"}]));
    }
}
