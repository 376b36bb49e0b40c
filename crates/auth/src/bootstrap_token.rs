//! Users by bootstrap token: those who are about to join the cluster. A token
//! is a Secret in kube-system and holds as long as that says. Follows
//! plugin/pkg/auth/authenticator/token/bootstrap/bootstrap.go and
//! k8s.io/cluster-bootstrap/token/{api,util}.

use crate::secrets::{Secrets, entry};
use crate::{Authenticator, Credentials, Rejected, User};
use async_trait::async_trait;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use meta::Value;
use meta::object::Object as _;
use std::fmt;
use std::sync::Arc;
use stdx::{Clock, Timestamp};

/// Where the Secrets lie.
pub const NAMESPACE: &str = "kube-system";
/// What they are called, before the token's id.
pub const SECRET_PREFIX: &str = "bootstrap-token-";
/// What type they are of.
pub const SECRET_TYPE: &str = "bootstrap.kubernetes.io/token";
/// The group of all who come by such a token.
pub const GROUP: &str = "system:bootstrappers";

const USER_PREFIX: &str = "system:bootstrap:";
const ID_LENGTH: usize = 6;
const SECRET_LENGTH: usize = 16;
const GROUP_REST_MAX: usize = 256;

/// The id and the secret of a token; `None` for what is no bootstrap token.
pub fn parse(token: &str) -> Option<(&str, &str)> {
    let is_part = |text: &str, length: usize| {
        let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        text.len() == length && text.bytes().all(fits)
    };
    let (id, secret) = token.split_once('.')?;
    (is_part(id, ID_LENGTH) && is_part(secret, SECRET_LENGTH)).then_some((id, secret))
}

/// A new token; `None` when the machine gives no random bytes.
pub fn generate() -> Option<String> {
    const LETTERS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    // The largest multiple of 36 below 256: bytes from there on would favour some letters.
    const FAIR: u8 = 252;
    let mut token = String::with_capacity(ID_LENGTH + 1 + SECRET_LENGTH);
    while token.len() < ID_LENGTH + 1 + SECRET_LENGTH {
        let mut bytes = [0; 32];
        aws_lc_rs::rand::fill(&mut bytes).ok()?;
        for byte in bytes.into_iter().filter(|byte| *byte < FAIR) {
            if token.len() == ID_LENGTH {
                token.push('.');
            }
            if token.len() < ID_LENGTH + 1 + SECRET_LENGTH {
                token.push(char::from(LETTERS[usize::from(byte) % LETTERS.len()]));
            }
        }
    }
    Some(token)
}

/// Whether a group may be given to those who come by a token.
pub fn is_group(group: &str) -> bool {
    let Some(rest) = group.strip_prefix("system:bootstrappers:") else {
        return false;
    };
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    rest.len() <= GROUP_REST_MAX
        && rest.bytes().all(|b| fits(b) || b == b':' || b == b'-')
        && rest.bytes().last().is_some_and(fits)
}

/// Knows those who come by a bootstrap token.
pub struct BootstrapTokens {
    secrets: Arc<dyn Secrets>,
    clock: Clock,
}

impl fmt::Debug for BootstrapTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BootstrapTokens").finish_non_exhaustive()
    }
}

impl BootstrapTokens {
    /// Reads the tokens from these Secrets.
    pub fn new(secrets: Arc<dyn Secrets>, clock: Clock) -> Self {
        BootstrapTokens { secrets, clock }
    }

    /// Whether this Secret says that the token holds now.
    fn holds(&self, stored: &Value, id: &str, secret: &str) -> bool {
        let is = |key: &str, expected: &str| {
            verify_slices_are_equal(&entry(stored, key), expected.as_bytes()).is_ok()
        };
        !stored.is_deleting()
            && stored.str_at(&["type"]) == SECRET_TYPE
            && is("token-secret", secret)
            && is("token-id", id)
            && !self.is_expired(stored)
            && is("usage-bootstrap-authentication", "true")
    }

    /// What cannot be read as a time must not keep a token alive.
    fn is_expired(&self, stored: &Value) -> bool {
        let expiration = entry(stored, "expiration");
        if expiration.is_empty() {
            return false;
        }
        let text = std::str::from_utf8(&expiration).unwrap_or_default();
        let ends: Option<Timestamp> = text.parse().ok();
        ends.is_none_or(|ends| ends <= self.clock.wall())
    }
}

#[async_trait]
impl Authenticator for BootstrapTokens {
    async fn authenticate(&self, credentials: &Credentials<'_>) -> Result<Option<User>, Rejected> {
        // Such a token is meant for the API server and nobody else.
        let (Some(bearer), []) = (credentials.bearer, credentials.audiences) else {
            return Ok(None);
        };
        let Some((id, secret)) = parse(bearer) else {
            return Ok(None);
        };
        let name = format!("{SECRET_PREFIX}{id}");
        let stored = self.secrets.secret(NAMESPACE, &name).await;
        let Some(stored) = stored.map_err(Rejected)? else {
            return Ok(None);
        };
        if !self.holds(&stored, id, secret) {
            return Ok(None);
        }
        let groups = groups(&stored).map_err(Rejected)?;
        Ok(Some(User {
            name: format!("{USER_PREFIX}{id}"),
            groups,
            ..User::default()
        }))
    }
}

/// The groups that a token gives: that of all such tokens, and its own.
fn groups(stored: &Value) -> Result<Vec<String>, String> {
    let text = entry(stored, "auth-extra-groups");
    let text = String::from_utf8(text).map_err(|error| error.to_string())?;
    let mut groups = vec![GROUP.to_string()];
    for group in text.split(',').filter(|_| !text.is_empty()) {
        if !is_group(group) {
            return Err(format!(
                "invalid bootstrap group {group:?} in Secret {}",
                stored.name()
            ));
        }
        groups.push(group.into());
    }
    groups.sort();
    groups.dedup();
    Ok(groups)
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use meta::value;

    struct One(Value);

    #[async_trait]
    impl Secrets for One {
        async fn secret(&self, namespace: &str, name: &str) -> Result<Option<Value>, String> {
            let is_this = (namespace, name) == (NAMESPACE, "bootstrap-token-abcdef");
            Ok(is_this.then(|| self.0.clone()))
        }
        async fn mark_used(&self, _: &str, _: &str, _: &str) {}
    }

    async fn check(change: (&str, &str), token: &str, expected: &str) {
        let mut secret = value!({
            "metadata": {"name": "bootstrap-token-abcdef", "namespace": "kube-system"},
            "type": SECRET_TYPE
        });
        let encode = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
        for (key, text) in [
            ("token-id", "abcdef"),
            ("token-secret", "0123456789abcdef"),
            ("usage-bootstrap-authentication", "true"),
            change,
        ] {
            secret.set_at(&["data", key], encode(text));
        }
        if change.0 == "type" {
            secret.set_at(&["type"], change.1);
        }
        let now: Timestamp = "2026-11-30T12:00:00Z".parse().unwrap();
        let tokens = BootstrapTokens::new(Arc::new(One(secret)), Clock::simulated(now));
        let credentials = Credentials {
            bearer: Some(token),
            ..Credentials::default()
        };
        let shown = match tokens.authenticate(&credentials).await {
            Ok(Some(user)) => format!("{} {}", user.name, user.groups.join(" ")),
            Ok(None) => "nobody".into(),
            Err(Rejected(why)) => why,
        };
        assert_eq!(shown, expected, "{change:?} {token}");
    }

    #[test]
    fn new_tokens_are_tokens_of_their_own() {
        let [a, b] = [generate().unwrap(), generate().unwrap()];
        assert!(parse(&a).is_some() && parse(&b).is_some(), "{a} {b}");
        assert_ne!(a, b);
    }

    #[tokio::test]
    async fn tokens_hold_as_their_secret_says() {
        let good = "abcdef.0123456789abcdef";
        let user = "system:bootstrap:abcdef system:bootstrappers";
        check(("description", "x"), good, user).await;
        check(("x", ""), "abcdef.0123456789abcdee", "nobody").await;
        check(("x", ""), "abcdeg.0123456789abcdef", "nobody").await;
        check(("x", ""), "abcdef.0123456789ABCDEF", "nobody").await;
        check(("type", "Opaque"), good, "nobody").await;
        check(("token-id", "other0"), good, "nobody").await;
        check(("usage-bootstrap-authentication", "false"), good, "nobody").await;
        check(("expiration", "2026-11-30T12:00:00Z"), good, "nobody").await;
        check(("expiration", "2026-11-30T12:00:01Z"), good, user).await;
        check(("expiration", "tomorrow"), good, "nobody").await;
    }

    #[tokio::test]
    async fn tokens_give_groups_of_bootstrappers_only() {
        let good = "abcdef.0123456789abcdef";
        check(
            ("auth-extra-groups", "system:bootstrappers:b,system:bootstrappers:a:1"),
            good,
            "system:bootstrap:abcdef system:bootstrappers system:bootstrappers:a:1 system:bootstrappers:b",
        )
        .await;
        check(
            ("auth-extra-groups", "system:masters"),
            good,
            "invalid bootstrap group \"system:masters\" in Secret bootstrap-token-abcdef",
        )
        .await;
    }
}
