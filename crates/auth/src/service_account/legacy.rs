//! Service accounts by a token that lies in a Secret and has no end of its own:
//! it holds as long as that Secret and the account do. Follows
//! pkg/serviceaccount/legacy.go.

use super::jwt::{self, Parts};
use super::{Lookup, ServiceAccountTokens};
use crate::secrets::{Secrets, entry};
use crate::{Authenticator, Credentials, Rejected, User};
use async_trait::async_trait;
use meta::object::Object as _;
use serde_json::{Value, json};
use std::fmt;
use std::sync::Arc;
use stdx::Clock;

/// Who issues such tokens.
const ISSUER: &str = "kubernetes/serviceaccount";
const NAMESPACE: &str = "kubernetes.io/serviceaccount/namespace";
const SECRET: &str = "kubernetes.io/serviceaccount/secret.name";
const ACCOUNT: &str = "kubernetes.io/serviceaccount/service-account.name";
const ACCOUNT_UID: &str = "kubernetes.io/serviceaccount/service-account.uid";
/// The label that says when a token was last used.
pub const LAST_USED: &str = "kubernetes.io/legacy-token-last-used";
/// The label of a Secret whose token is not believed any more.
const INVALID_SINCE: &str = "kubernetes.io/legacy-token-invalid-since";

impl ServiceAccountTokens {
    /// A token for a Secret; `None` when the cryptographic library fails.
    pub fn issue_legacy(
        &self,
        namespace: &str,
        account: (&str, &str),
        secret: &str,
    ) -> Option<String> {
        let (name, uid) = account;
        self.key.sign(&json!({
            "iss": ISSUER,
            NAMESPACE: namespace,
            SECRET: secret,
            ACCOUNT: name,
            ACCOUNT_UID: uid,
            "sub": format!("system:serviceaccount:{namespace}:{name}"),
        }))
    }
}

/// Knows service accounts by the tokens in Secrets.
pub struct LegacyTokens {
    tokens: Arc<ServiceAccountTokens>,
    lookup: Arc<dyn Lookup>,
    secrets: Arc<dyn Secrets>,
    clock: Clock,
}

impl fmt::Debug for LegacyTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LegacyTokens")
            .field("tokens", &self.tokens)
            .finish_non_exhaustive()
    }
}

impl LegacyTokens {
    /// Knows what `tokens` issued, by these accounts and Secrets.
    pub fn new(
        tokens: Arc<ServiceAccountTokens>,
        lookup: Arc<dyn Lookup>,
        secrets: Arc<dyn Secrets>,
        clock: Clock,
    ) -> Self {
        LegacyTokens {
            tokens,
            lookup,
            secrets,
            clock,
        }
    }

    async fn judge(&self, token: &str, parts: &Parts<'_>) -> Result<User, String> {
        if !self.tokens.key.signed(parts) {
            return Err("invalid signature".into());
        }
        let claim = |key: &str, missing: &str| match parts.claims.get(key).and_then(Value::as_str) {
            Some(text) if !text.is_empty() => Ok(text.to_string()),
            _ => Err(format!("{missing} claim is missing")),
        };
        let subject = claim("sub", "sub")?;
        let namespace = claim(NAMESPACE, "namespace")?;
        let secret = claim(SECRET, "secretName")?;
        let name = claim(ACCOUNT, "serviceAccountName")?;
        let uid = claim(ACCOUNT_UID, "serviceAccountUID")?;
        if subject != format!("system:serviceaccount:{namespace}:{name}") {
            return Err("sub claim is invalid".into());
        }
        let stored = self.secrets.secret(&namespace, &secret).await?;
        let stored = stored.filter(|stored| !stored.is_deleting());
        let stored = stored.ok_or("Token has been invalidated")?;
        if entry(&stored, "token") != token.as_bytes() {
            return Err("Token does not match server's copy".into());
        }
        self.check_account(&namespace, &name, &uid).await?;
        self.note_use(&stored).await;
        if !stored.label(INVALID_SINCE).unwrap_or_default().is_empty() {
            return Err(format!(
                "the token in secret {namespace}/{secret} for service account {namespace}/{name} has been marked invalid. Use tokens from the TokenRequest API or manually created secret-based tokens, or remove the '{INVALID_SINCE}' label from the secret to temporarily allow use of this token"
            ));
        }
        let mut user = User::service_account(&namespace, &name);
        user.uid = uid;
        Ok(user)
    }

    async fn check_account(&self, namespace: &str, name: &str, uid: &str) -> Result<(), String> {
        let found = self.lookup.find("serviceaccounts", namespace, name).await?;
        match found {
            None => Err(format!("serviceaccounts {name:?} not found")),
            Some(found) if found.deleted.is_some() => Err(format!(
                "ServiceAccount {namespace}/{name} has been deleted"
            )),
            Some(found) if found.uid != uid => Err(format!(
                "ServiceAccount UID ({}) does not match claim ({uid})",
                found.uid
            )),
            Some(_) => Ok(()),
        }
    }

    /// Once a day, unless another server's day has begun before ours.
    async fn note_use(&self, secret: &meta::Value) {
        let day = |seconds: i64| {
            let at = self.clock.wall().as_second() + seconds;
            let at = stdx::Timestamp::from_second(at).unwrap_or_default();
            stdx::format_seconds(at)
                .chars()
                .take(10)
                .collect::<String>()
        };
        let (today, tomorrow) = (day(0), day(24 * 3600));
        let last = secret.label(LAST_USED).unwrap_or_default();
        if last != today && last != tomorrow {
            let (namespace, name) = (secret.namespace(), secret.name());
            self.secrets.mark_used(namespace, name, &today).await;
        }
    }
}

#[async_trait]
impl Authenticator for LegacyTokens {
    async fn authenticate(&self, credentials: &Credentials<'_>) -> Result<Option<User>, Rejected> {
        let Some(token) = credentials.bearer else {
            return Ok(None);
        };
        let Some(parts) = jwt::parse(token) else {
            return Ok(None);
        };
        if parts.claims.get("iss").and_then(Value::as_str) != Some(ISSUER) {
            return Ok(None);
        }
        // Such a token names no audience: it is meant for the API server.
        let own = &self.tokens.config.audiences;
        let wanted = credentials.audiences;
        if !wanted.is_empty() && !wanted.iter().any(|audience| own.contains(audience)) {
            return Err(Rejected(format!(
                "token audiences {own:?} is invalid for the target audiences {wanted:?}"
            )));
        }
        self.judge(token, &parts).await.map(Some).map_err(Rejected)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Config, Existing};
    use super::*;
    use base64::Engine as _;
    use meta::value;
    use std::sync::Mutex;
    use stdx::{Rng, Timestamp};

    #[derive(Default)]
    struct Objects {
        account: Mutex<Option<Existing>>,
        secret: Mutex<Option<meta::Value>>,
    }

    #[async_trait]
    impl Lookup for Objects {
        async fn find(&self, _: &str, _: &str, name: &str) -> Result<Option<Existing>, String> {
            let found = self.account.lock().unwrap().clone();
            Ok(found.filter(|_| name == "robot"))
        }
    }

    #[async_trait]
    impl Secrets for Objects {
        async fn secret(&self, _: &str, name: &str) -> Result<Option<meta::Value>, String> {
            let found = self.secret.lock().unwrap().clone();
            Ok(found.filter(|_| name == "robot-token"))
        }
        async fn mark_used(&self, _: &str, _: &str, day: &str) {
            if let Some(secret) = &mut *self.secret.lock().unwrap() {
                secret.set_at(&["metadata", "labels", LAST_USED], day);
            }
        }
    }

    fn tokens(clock: &Clock) -> ServiceAccountTokens {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let config = Config {
            issuer: "https://kubernetes.default.svc".into(),
            audiences: Vec::new(),
            server_url: String::new(),
        };
        ServiceAccountTokens::new(config, &key.serialize_der(), clock.clone(), Rng::seeded(1))
            .unwrap()
    }

    async fn ask(authenticator: &LegacyTokens, token: &str, audiences: &[String]) -> String {
        let credentials = Credentials {
            bearer: Some(token),
            audiences,
            ..Credentials::default()
        };
        match authenticator.authenticate(&credentials).await {
            Ok(Some(user)) => format!("{} {}", user.name, user.uid),
            Ok(None) => "nobody".into(),
            Err(Rejected(why)) => why,
        }
    }

    #[tokio::test]
    async fn tokens_hold_as_long_as_secret_and_account() {
        let now: Timestamp = "2026-11-30T12:00:00Z".parse().unwrap();
        let clock = Clock::simulated(now);
        let tokens = Arc::new(tokens(&clock));
        let token = tokens
            .issue_legacy("ns", ("robot", "u1"), "robot-token")
            .unwrap();
        let objects = Arc::new(Objects::default());
        let authenticator = LegacyTokens::new(tokens, objects.clone(), objects.clone(), clock);
        assert_eq!(
            ask(&authenticator, &token, &[]).await,
            "Token has been invalidated"
        );
        let encoded = base64::engine::general_purpose::STANDARD.encode(&token);
        *objects.secret.lock().unwrap() = Some(value!({
            "metadata": {"name": "robot-token", "namespace": "ns"}, "data": {"token": encoded}
        }));
        let missing = ask(&authenticator, &token, &[]).await;
        assert_eq!(missing, "serviceaccounts \"robot\" not found");
        let account = |uid: &str, deleted| {
            Some(Existing {
                uid: uid.into(),
                deleted,
            })
        };
        *objects.account.lock().unwrap() = account("u2", None);
        assert_eq!(
            ask(&authenticator, &token, &[]).await,
            "ServiceAccount UID (u2) does not match claim (u1)"
        );
        *objects.account.lock().unwrap() = account("u1", None);
        let robot = "system:serviceaccount:ns:robot u1";
        assert_eq!(ask(&authenticator, &token, &[]).await, robot);
        let own = ["https://kubernetes.default.svc".to_string()];
        assert_eq!(ask(&authenticator, &token, &own).await, robot);
        let other = ask(&authenticator, &token, &["vault".to_string()]).await;
        assert!(
            other.contains("is invalid for the target audiences"),
            "{other}"
        );
        let marked = objects.secret.lock().unwrap().clone().unwrap();
        assert_eq!(marked.label(LAST_USED), Some("2026-11-30"));
        let forged = format!("{}x", token.strip_suffix(|_| true).unwrap());
        assert_ne!(ask(&authenticator, &forged, &[]).await, robot);
    }
}
