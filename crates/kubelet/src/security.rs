//! From the pod's and the container's security contexts to what the runtime enforces.
//!
//! Follows pkg/kubelet/kuberuntime/security_context.go and
//! pkg/securitycontext/util.go.

use std::path::Path;

use container::config::{
    ImageDefaults, ProcMount, Seccomp, SecurityContext, SupplementalGroupsPolicy,
};
use typed::Typed;
use typed::api::core::v1::{
    Container, Pod, PodSecurityContext, SeccompProfile, SecurityContext as ApiContext,
};

use crate::config::Config;
use crate::pod::{describe, spec};

/// The contexts contradict the image, or ask for what the node does not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SecurityError(pub String);

/// What the container runs as.
pub fn security(
    pod: &Pod,
    container: &Container,
    image: &ImageDefaults,
    config: &Config,
) -> Result<SecurityContext, SecurityError> {
    let (of_pod, own) = (pod_context(pod), own_context(container));
    let run_as_user = own.run_as_user.or(of_pod.run_as_user);
    let (uid, username) = image_user(&image.user);
    check_non_root(pod, container, run_as_user, uid, username)?;
    let mut groups = of_pod.supplemental_groups.clone().unwrap_or_default();
    groups.extend(of_pod.fs_group);
    let capabilities = own.capabilities.clone().unwrap_or_default();
    let privileged = own.privileged == Some(true);
    let strict = of_pod.supplemental_groups_policy.as_deref() == Some("Strict");
    Ok(SecurityContext {
        // The image's own user, with its group, is the runtime's business.
        run_as_user,
        run_as_username: None,
        run_as_group: own.run_as_group.or(of_pod.run_as_group),
        supplemental_groups: groups,
        supplemental_groups_policy: if strict {
            SupplementalGroupsPolicy::Strict
        } else {
            SupplementalGroupsPolicy::Merge
        },
        add_capabilities: names(capabilities.add.as_deref()),
        drop_capabilities: names(capabilities.drop.as_deref()),
        privileged,
        readonly_rootfs: own.read_only_root_filesystem == Some(true),
        no_new_privileges: no_new_privileges(&own),
        seccomp: seccomp(&own, &of_pod, privileged, config)?,
        proc_mount: match own.proc_mount.as_deref() {
            Some("Unmasked") => ProcMount::Unmasked,
            _ => ProcMount::Default,
        },
    })
}

fn pod_context(pod: &Pod) -> PodSecurityContext {
    spec(pod).security_context.clone().unwrap_or_default()
}

fn own_context(container: &Container) -> ApiContext {
    container.security_context.clone().unwrap_or_default()
}

/// Whether the container may gain no privileges; privileged ones and those with
/// CAP_SYS_ADMIN may.
fn no_new_privileges(own: &ApiContext) -> bool {
    own.allow_privilege_escalation == Some(false)
}

/// Capability names without their prefix.
fn names(list: Option<&[String]>) -> Vec<String> {
    let bare = |name: &String| name.strip_prefix("CAP_").unwrap_or(name).to_owned();
    list.unwrap_or_default().iter().map(bare).collect()
}

/// The image's user: a number, or a name that only the image knows.
fn image_user(user: &str) -> (Option<i64>, Option<&str>) {
    let user = user.split(':').next().unwrap_or_default();
    match user.parse() {
        Ok(uid) => (Some(uid), None),
        Err(_) if user.is_empty() => (None, None),
        Err(_) => (None, Some(user)),
    }
}

fn check_non_root(
    pod: &Pod,
    container: &Container,
    run_as_user: Option<i64>,
    image_uid: Option<i64>,
    image_name: Option<&str>,
) -> Result<(), SecurityError> {
    let wish = own_context(container)
        .run_as_non_root
        .or(pod_context(pod).run_as_non_root);
    if wish != Some(true) {
        return Ok(());
    }
    let (name, container) = (describe(pod), &container.name);
    let text = match (run_as_user, image_uid, image_name) {
        (Some(0), _, _) => format!(
            "container's runAsUser breaks non-root policy (pod: \"{name}\", container: {container})"
        ),
        (Some(_), _, _) => return Ok(()),
        (None, Some(0), _) | (None, None, None) => format!(
            "container has runAsNonRoot and image will run as root (pod: \"{name}\", container: {container})"
        ),
        (None, Some(_), _) => return Ok(()),
        (None, None, Some(user)) => format!(
            "container has runAsNonRoot and image has non-numeric user ({user}), cannot verify user is non-root (pod: \"{name}\", container: {container})"
        ),
    };
    Err(SecurityError(text))
}

fn seccomp(
    own: &ApiContext,
    of_pod: &PodSecurityContext,
    privileged: bool,
    config: &Config,
) -> Result<Seccomp, SecurityError> {
    // A privileged container is not confined, whatever it says.
    if privileged {
        return Ok(Seccomp::Unconfined);
    }
    let profile = own
        .seccomp_profile
        .as_ref()
        .or(of_pod.seccomp_profile.as_ref());
    match profile {
        None if config.seccomp_default => Ok(Seccomp::RuntimeDefault),
        None => Ok(Seccomp::Unconfined),
        Some(profile) => named(profile, &config.seccomp_profile_root),
    }
}

fn named(profile: &SeccompProfile, root: &Path) -> Result<Seccomp, SecurityError> {
    match profile.type_.as_str() {
        "RuntimeDefault" => Ok(Seccomp::RuntimeDefault),
        "Unconfined" => Ok(Seccomp::Unconfined),
        "Localhost" => {
            let name = profile.localhost_profile.as_deref().unwrap_or_default();
            let inside = Path::new(name)
                .components()
                .all(|part| matches!(part, std::path::Component::Normal(_)));
            if name.is_empty() || !inside {
                return Err(SecurityError(
                    "localhostProfile must be a path below the node's seccomp directory".to_owned(),
                ));
            }
            Ok(Seccomp::Localhost(root.join(name)))
        }
        other => Err(SecurityError(format!(
            "unknown seccomp profile type {other:?}"
        ))),
    }
}

/// Sysctls that are namespaced and harmless to others.
///
/// Follows pkg/kubelet/sysctl/safe_sysctls.go.
const SAFE_SYSCTLS: [&str; 13] = [
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.ping_group_range",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_wmem",
    "net.ipv4.tcp_notsent_lowat",
];

/// Why a pod's sysctls cannot be set, if they cannot.
pub fn forbidden_sysctl(pod: &Pod, config: &Config) -> Option<String> {
    let context = pod_context(pod);
    for sysctl in context.sysctls.iter().flatten() {
        let name = sysctl.name.replace('/', ".");
        let allowed =
            config
                .allowed_unsafe_sysctls
                .iter()
                .any(|pattern| match pattern.strip_suffix('*') {
                    Some(prefix) => name.starts_with(prefix),
                    None => *pattern == name,
                });
        if !allowed && !SAFE_SYSCTLS.contains(&name.as_str()) {
            return Some(format!(
                "forbidden sysctl: \"{}\" not allowlisted",
                sysctl.name
            ));
        }
        let host_network = spec(pod).host_network == Some(true);
        if host_network && name.starts_with("net.") {
            return Some(format!(
                "forbidden sysctl: \"{}\" not allowed with host net enabled",
                sysctl.name
            ));
        }
        let host_ipc = spec(pod).host_ipc == Some(true);
        if host_ipc && (name.starts_with("kernel.shm") || name.starts_with("fs.mqueue.")) {
            return Some(format!(
                "forbidden sysctl: \"{}\" not allowed with host ipc enabled",
                sysctl.name
            ));
        }
    }
    tracing::trace!(pod = pod.name(), "sysctls are allowed");
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::pod;
    use serde_json::{Value, json};

    fn resolve(of_pod: Value, own: Value, user: &str) -> Result<SecurityContext, String> {
        let pod = pod(json!({
            "securityContext": of_pod, "containers": [{"name": "a", "securityContext": own}]
        }));
        let image = ImageDefaults {
            user: user.to_owned(),
            ..ImageDefaults::default()
        };
        let config = Config::new("node1", "/nowhere");
        security(&pod, &spec(&pod).containers[0], &image, &config)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn the_container_wins_over_the_pod_and_both_over_the_image() {
        let context = resolve(
            json!({"runAsUser": 1, "runAsGroup": 2, "fsGroup": 3, "supplementalGroups": [4]}),
            json!({"runAsUser": 9, "capabilities": {"add": ["CAP_NET_ADMIN"], "drop": ["ALL"]}}),
            "nobody",
        )
        .unwrap();
        assert_eq!(context.run_as_user, Some(9));
        assert_eq!(context.run_as_group, Some(2));
        assert_eq!(context.run_as_username, None);
        assert_eq!(context.supplemental_groups, [4, 3]);
        assert_eq!(context.add_capabilities, ["NET_ADMIN"]);
        assert_eq!(context.drop_capabilities, ["ALL"]);
        assert_eq!(context.seccomp, Seccomp::RuntimeDefault);
        let named = resolve(json!({}), json!({}), "nobody:users").unwrap();
        assert_eq!((named.run_as_user, named.run_as_username), (None, None));
    }

    #[test]
    fn root_is_found_out() {
        let check = |of_pod: Value, user: &str| resolve(of_pod, json!({}), user);
        let wish = json!({"runAsNonRoot": true});
        assert!(check(wish.clone(), "1000").is_ok());
        assert_eq!(
            check(wish.clone(), "").unwrap_err(),
            "container has runAsNonRoot and image will run as root (pod: \"web_default(uid-web)\", container: a)"
        );
        assert!(
            check(wish.clone(), "nobody")
                .unwrap_err()
                .contains("non-numeric user (nobody)")
        );
        let zero = json!({"runAsNonRoot": true, "runAsUser": 0});
        assert!(
            check(zero, "1000")
                .unwrap_err()
                .contains("breaks non-root policy")
        );
    }

    #[test]
    fn sysctls() {
        let config = Config::new("node1", "/nowhere");
        let check = |name: &str, host_network: bool| {
            let pod = pod(json!({"hostNetwork": host_network, "securityContext": {
                "sysctls": [{"name": name, "value": "1"}]
            }}));
            forbidden_sysctl(&pod, &config)
        };
        assert_eq!(check("net.ipv4.tcp_syncookies", false), None);
        assert!(check("net.ipv4.tcp_syncookies", true).is_some());
        let text = check("kernel.msgmax", false).unwrap();
        assert_eq!(text, "forbidden sysctl: \"kernel.msgmax\" not allowlisted");
    }
}
