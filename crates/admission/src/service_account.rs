//! Every pod runs as a service account, whose token and pull secrets it gets.
//! Follows plugin/pkg/admission/serviceaccount/admission.go.

use crate::pod::{any, any_projected, has, is_mirror, names_secrets};
use crate::{Operation, Plugin, Request, View};
use async_trait::async_trait;
use meta::object::Object as _;
use meta::{GroupResource, Status, Value, value};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use stdx::{Clock, Rng};

/// The account of pods that name none.
const DEFAULT: &str = "default";
/// Where containers find their token.
const MOUNT_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// How the volume with the token is named, before a random end.
const VOLUME: &str = "kube-api-access-";
/// Marks accounts whose pods may use only the secrets that the account names.
const ENFORCE: &str = "kubernetes.io/enforce-mountable-secrets";
/// How often the default account of a new namespace is looked for.
const TRIES: usize = 10;

pub(crate) struct ServiceAccount {
    clock: Clock,
    rng: Rng,
}

impl ServiceAccount {
    pub(crate) fn new(clock: Clock, rng: Rng) -> Self {
        ServiceAccount { clock, rng }
    }

    /// The account; that of a new namespace may take a moment to appear.
    async fn account(
        &self,
        request: &Request<'_>,
        name: &str,
        view: &dyn View,
    ) -> Result<Arc<Value>, Status> {
        let namespace = request.namespace;
        let failed = |why: String| {
            request.forbidden(format!(
                "error looking up service account {namespace}/{name}: {why}"
            ))
        };
        let tries = if name == DEFAULT { TRIES } else { 1 };
        let pause = Duration::from_millis(self.rng.range(100..200));
        for attempt in 0..tries {
            if attempt > 0 {
                self.clock.sleep(pause).await;
            }
            let found = view.get("", "serviceaccounts", namespace, name).await;
            if let Some(account) = found.map_err(|status| failed(status.message))? {
                return Ok(account);
            }
        }
        let absent = Status::not_found(&GroupResource::new("", "serviceaccount"), name);
        Err(failed(absent.message))
    }

    fn mount_token(&self, pod: &mut Value) {
        let volumes = pod.items_at(&["spec", "volumes"]).iter();
        let mut names = volumes.map(|v| v.str_at(&["name"]));
        let existing = names
            .find(|name| name.starts_with(VOLUME))
            .map(str::to_string);
        let name = existing.clone();
        let name = name.unwrap_or_else(|| format!("{VOLUME}{}", self.rng.name_suffix()));
        let mut mounted = false;
        for list in ["initContainers", "containers"] {
            let containers = pod.at_mut(&["spec", list]).and_then(Value::as_array_mut);
            for container in containers.into_iter().flatten() {
                mounted |= mount(container, &name);
            }
        }
        if mounted && existing.is_none() {
            let volumes = pod.make_object().object("spec").entry("volumes");
            volumes.make_array().push(token_volume(&name));
        }
    }
}

#[async_trait]
impl Plugin for ServiceAccount {
    fn name(&self) -> &'static str {
        "ServiceAccount"
    }

    async fn mutate(
        &self,
        request: &Request<'_>,
        pod: &mut Value,
        _old: Option<&Value>,
        view: &dyn View,
    ) -> Result<(), Status> {
        if !request.is("", "pods") || request.operation != Operation::Create || is_mirror(pod) {
            return Ok(());
        }
        if pod.str_at(&["spec", "serviceAccountName"]).is_empty() {
            pod.set_at(&["spec", "serviceAccountName"], DEFAULT);
        }
        let name = pod.str_at(&["spec", "serviceAccountName"]).to_string();
        pod.set_at(&["spec", "serviceAccount"], name.as_str());
        let account = self.account(request, &name, view).await?;
        if wants_token(&account, pod) {
            self.mount_token(pod);
        }
        let pull = account.items_at(&["imagePullSecrets"]);
        if pod.items_at(&["spec", "imagePullSecrets"]).is_empty() && !pull.is_empty() {
            let names = pull.iter().map(|s| value!({"name": s.str_at(&["name"])}));
            pod.set_at(&["spec", "imagePullSecrets"], Value::Array(names.collect()));
        }
        Ok(())
    }

    async fn validate(
        &self,
        request: &Request<'_>,
        pod: &Value,
        _old: Option<&Value>,
        view: &dyn View,
        _warnings: &mut Vec<String>,
    ) -> Result<(), Status> {
        let of_pods = request.group.is_empty() && request.resource == "pods";
        match (request.operation, request.subresource) {
            (Operation::Create, "") if of_pods && is_mirror(pod) => check_mirror(request, pod),
            (Operation::Create, "") | (Operation::Update, "ephemeralcontainers") if of_pods => {
                let name = pod.str_at(&["spec", "serviceAccountName"]);
                if name.is_empty() {
                    return Err(request.forbidden(format!(
                        "no service account specified for pod {}/{}",
                        request.namespace, request.name
                    )));
                }
                // Somebody may have changed the account after this plugin's own turn.
                let account = self.account(request, name, view).await?;
                match account.annotation(ENFORCE).is_some_and(says_true) {
                    true => check_secrets(&account, pod).map_err(|why| request.forbidden(why)),
                    false => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }
}

/// As Go's `strconv.ParseBool`.
fn says_true(text: &str) -> bool {
    matches!(text, "1" | "t" | "T" | "TRUE" | "true" | "True")
}

fn wants_token(account: &Value, pod: &Value) -> bool {
    let says = |value: Option<&Value>| value.and_then(Value::as_bool);
    says(pod.at(&["spec", "automountServiceAccountToken"]))
        .or_else(|| says(account.get("automountServiceAccountToken")))
        .unwrap_or(true)
}

/// Mounts the token, unless the container has something there already.
fn mount(container: &mut Value, volume: &str) -> bool {
    let taken = |mount: &Value| mount.str_at(&["mountPath"]) == MOUNT_PATH;
    if any(container, "volumeMounts", taken) {
        return false;
    }
    let mounts = container.make_object().entry("volumeMounts");
    mounts
        .make_array()
        .push(value!({"name": volume, "readOnly": true, "mountPath": MOUNT_PATH}));
    true
}

fn token_volume(name: &str) -> Value {
    value!({
        "name": name,
        "projected": {
            "defaultMode": 0o644,
            "sources": [
                {"serviceAccountToken": {"path": "token", "expirationSeconds": 3607}},
                {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
                {"downwardAPI": {"items": [{
                    "path": "namespace",
                    "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"},
                }]}},
            ],
        },
    })
}

fn check_mirror(request: &Request<'_>, pod: &Value) -> Result<(), Status> {
    if !pod.str_at(&["spec", "serviceAccountName"]).is_empty() {
        return Err(request.forbidden("a mirror pod may not reference service accounts"));
    }
    if names_secrets(pod) {
        return Err(request.forbidden("a mirror pod may not reference secrets"));
    }
    let projects_token =
        |volume: &Value| any_projected(volume, |s| has(s, &["serviceAccountToken"]));
    if pod
        .items_at(&["spec", "volumes"])
        .iter()
        .any(projects_token)
    {
        return Err(
            request.forbidden("a mirror pod may not use ServiceAccountToken volume projections")
        );
    }
    Ok(())
}

/// Whether the account names every secret that the pod uses.
fn check_secrets(account: &Value, pod: &Value) -> Result<(), String> {
    let names = |list: &str| -> BTreeSet<&str> {
        account
            .items_at(&[list])
            .iter()
            .map(|s| s.str_at(&["name"]))
            .collect()
    };
    let (mountable, pull, of) = (names("secrets"), names("imagePullSecrets"), account.name());
    for volume in pod.items_at(&["spec", "volumes"]) {
        let secret = volume.str_at(&["secret", "secretName"]);
        if has(volume, &["secret"]) && !mountable.contains(secret) {
            return Err(format!(
                "volume with secret.secretName={secret:?} is not allowed because service account {of} does not reference that secret"
            ));
        }
    }
    for (list, word) in [
        ("initContainers", "init container"),
        ("containers", "container"),
        ("ephemeralContainers", "ephemeral container"),
    ] {
        for container in pod.items_at(&["spec", list]) {
            check_environment(container, word, &mountable, of)?;
        }
    }
    for (i, secret) in pod
        .items_at(&["spec", "imagePullSecrets"])
        .iter()
        .enumerate()
    {
        let name = secret.str_at(&["name"]);
        if !pull.contains(name) {
            return Err(format!(
                "imagePullSecrets[{i}].name={name:?} is not allowed because service account {of} does not reference that imagePullSecret"
            ));
        }
    }
    Ok(())
}

fn check_environment(
    container: &Value,
    word: &str,
    mountable: &BTreeSet<&str>,
    of: &str,
) -> Result<(), String> {
    let name = container.str_at(&["name"]);
    for env in container.items_at(&["env"]) {
        let secret = env.str_at(&["valueFrom", "secretKeyRef", "name"]);
        if has(env, &["valueFrom", "secretKeyRef"]) && !mountable.contains(secret) {
            return Err(format!(
                "{word} {name} with envVar {} referencing secret.secretName={secret:?} is not allowed because service account {of} does not reference that secret",
                env.str_at(&["name"])
            ));
        }
    }
    for from in container.items_at(&["envFrom"]) {
        let secret = from.str_at(&["secretRef", "name"]);
        if has(from, &["secretRef"]) && !mountable.contains(secret) {
            return Err(format!(
                "{word} {name} with envFrom referencing secret.secretName={secret:?} is not allowed because service account {of} does not reference that secret"
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Objects, create};
    use stdx::Timestamp;

    fn plugin() -> ServiceAccount {
        let epoch = Timestamp::from_second(1_800_000_000).unwrap();
        ServiceAccount::new(Clock::simulated(epoch), Rng::seeded(1))
    }

    fn account(mut object: Value) -> Objects {
        object.set_at(&["metadata", "namespace"], "ns");
        Objects::default().with("serviceaccounts", object)
    }

    fn default_account() -> Objects {
        account(value!({"metadata": {"name": "default"}}))
    }

    async fn admit(spec: Value, objects: &Objects) -> Result<Value, Status> {
        let pod = value!({"metadata": {"name": "p"}, "spec": spec});
        create("pods", "ns", pod).admit(&plugin(), objects).await
    }

    #[tokio::test(start_paused = true)]
    async fn a_pod_gets_its_account_and_token() {
        let objects = account(value!({
            "metadata": {"name": "default"}, "imagePullSecrets": [{"name": "pull"}]
        }));
        let mount = value!({"name": "data", "mountPath": "/data"});
        let pod = admit(
            value!({
                "volumes": [{"name": "data", "emptyDir": {}}],
                "initContainers": [{"name": "i"}],
                "containers": [
                    {"name": "a", "volumeMounts": [mount.clone()]},
                    {"name": "b", "volumeMounts": [{"name": "data", "mountPath": MOUNT_PATH}]},
                ],
            }),
            &objects,
        );
        let pod = pod.await.unwrap();
        let volume = &pod.items_at(&["spec", "volumes"])[1];
        let name = volume.str_at(&["name"]);
        assert!(
            name.starts_with("kube-api-access-") && name.len() == 21,
            "{name}"
        );
        let token = value!({"name": name, "mountPath": MOUNT_PATH, "readOnly": true});
        assert_eq!(
            pod.get("spec").unwrap(),
            &value!({
                "serviceAccountName": "default", "serviceAccount": "default",
                "imagePullSecrets": [{"name": "pull"}],
                "volumes": [
                    {"name": "data", "emptyDir": {}},
                    {"name": name, "projected": {"defaultMode": 420, "sources": [
                        {"serviceAccountToken": {"path": "token", "expirationSeconds": 3607}},
                        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
                        {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {
                            "apiVersion": "v1", "fieldPath": "metadata.namespace"}}]}},
                    ]}},
                ],
                "initContainers": [{"name": "i", "volumeMounts": [token.clone()]}],
                "containers": [
                    {"name": "a", "volumeMounts": [mount, token]},
                    {"name": "b", "volumeMounts": [{"name": "data", "mountPath": MOUNT_PATH}]},
                ],
            })
        );
        let again = create("pods", "ns", pod.clone())
            .admit(&plugin(), &objects)
            .await
            .unwrap();
        assert_eq!(again, pod, "done once");
    }

    #[tokio::test(start_paused = true)]
    async fn the_token_can_be_declined() {
        let bare = value!({"containers": [{"name": "c"}]});
        for (of_account, of_pod, mounted) in [
            (None, None, true),
            (Some(false), None, false),
            (Some(false), Some(true), true),
            (Some(true), Some(false), false),
        ] {
            let mut object = value!({"metadata": {"name": "default"}});
            if let Some(says) = of_account {
                object.set_at(&["automountServiceAccountToken"], says);
            }
            let mut spec = bare.clone();
            if let Some(says) = of_pod {
                spec.set_at(&["automountServiceAccountToken"], says);
            }
            let pod = admit(spec, &account(object)).await.unwrap();
            let found = !pod.items_at(&["spec", "volumes"]).is_empty();
            assert_eq!(found, mounted, "{of_account:?} {of_pod:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_account_must_exist() {
        let error = admit(value!({"serviceAccountName": "x"}), &default_account())
            .await
            .unwrap_err();
        assert_eq!(
            error.message,
            "pods \"p\" is forbidden: error looking up service account ns/x: serviceaccount \"x\" not found"
        );
        let error = admit(value!({}), &Objects::default()).await.unwrap_err();
        assert_eq!(
            error.message,
            "pods \"p\" is forbidden: error looking up service account ns/default: serviceaccount \"default\" not found"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn the_default_account_of_a_new_namespace_is_awaited() {
        let objects = Objects::default();
        let later = async {
            tokio::time::sleep(Duration::from_millis(350)).await;
            objects.put(
                "serviceaccounts",
                value!({"metadata": {"namespace": "ns", "name": "default"}}),
            );
        };
        let (pod, ()) = tokio::join!(admit(value!({}), &objects), later);
        pod.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn mirror_pods_name_nothing() {
        for (spec, why) in [
            (
                value!({"serviceAccountName": "x"}),
                "a mirror pod may not reference service accounts",
            ),
            (
                value!({"imagePullSecrets": [{"name": "x"}]}),
                "a mirror pod may not reference secrets",
            ),
            (
                value!({"volumes": [{"projected": {"sources": [{"serviceAccountToken": {"path": "x"}}]}}]}),
                "a mirror pod may not use ServiceAccountToken volume projections",
            ),
        ] {
            let pod = value!({"metadata": {"name": "p", "annotations": {"kubernetes.io/config.mirror": "x"}}, "spec": spec});
            let error = create("pods", "ns", pod)
                .admit(&plugin(), &Objects::default())
                .await
                .unwrap_err();
            assert_eq!(error.message, format!("pods \"p\" is forbidden: {why}"));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_account_can_limit_the_secrets_of_its_pods() {
        let objects = account(value!({
            "metadata": {"name": "default", "annotations": {ENFORCE: "true"}},
            "secrets": [{"name": "mine"}], "imagePullSecrets": [{"name": "pull"}],
        }));
        let env =
            |secret: &str| value!({"name": "E", "valueFrom": {"secretKeyRef": {"name": secret}}});
        admit(
            value!({"containers": [{"name": "c", "env": [env("mine")]}]}),
            &objects,
        )
        .await
        .unwrap();
        for (spec, why) in [
            (
                value!({"containers": [{"name": "c", "env": [env("other")]}]}),
                "container c with envVar E referencing secret.secretName=\"other\" is not allowed because service account default does not reference that secret",
            ),
            (
                value!({"volumes": [{"name": "v", "secret": {"secretName": "other"}}]}),
                "volume with secret.secretName=\"other\" is not allowed because service account default does not reference that secret",
            ),
            (
                value!({"imagePullSecrets": [{"name": "other"}]}),
                "imagePullSecrets[0].name=\"other\" is not allowed because service account default does not reference that imagePullSecret",
            ),
        ] {
            let error = admit(spec, &objects).await.unwrap_err();
            assert_eq!(error.message, format!("pods \"p\" is forbidden: {why}"));
        }
    }
}
