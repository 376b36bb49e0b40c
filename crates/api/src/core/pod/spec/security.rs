//! Security contexts of pods and of containers.

use crate::check;
use meta::{Errors, Field, FieldError};
use std::collections::BTreeSet;

const PROFILE_TYPES: &[&str] = &["Localhost", "RuntimeDefault", "Unconfined"];

/// `securityContext` of a pod, with what depends on its host namespaces.
pub(super) fn validate_pod(spec: &Field<'_>, errors: &mut Errors) {
    let context = spec.get("securityContext");
    for key in ["fsGroup", "runAsUser", "runAsGroup"] {
        check::user_id(&context.get(key), errors);
    }
    for group in context.get("supplementalGroups").items() {
        check::user_id(&group, errors);
    }
    let share = spec.get("shareProcessNamespace");
    if share.is_true() && spec.get("hostPID").is_true() {
        let path = context.path.child("shareProcessNamespace");
        let detail = "ShareProcessNamespace and HostPID cannot both be enabled";
        errors.push(FieldError::invalid(&path, true, detail));
    }
    validate_sysctls(spec, &context.get("sysctls"), errors);
    check::one_of(
        &context.get("fsGroupChangePolicy"),
        &["Always", "OnRootMismatch"],
        errors,
    );
    validate_common(&context, errors);
    check::one_of(
        &context.get("supplementalGroupsPolicy"),
        &["Merge", "Strict"],
        errors,
    );
    let selinux = context.get("seLinuxChangePolicy");
    if selinux.is_present() {
        errors.push(check::unsupported(&selinux, "seLinuxChangePolicy"));
    }
}

/// `securityContext` of a container.
pub(super) fn validate_container(context: &Field<'_>, errors: &mut Errors) {
    for key in ["runAsUser", "runAsGroup"] {
        check::user_id(&context.get(key), errors);
    }
    let proc = context.get("procMount");
    check::one_of(&proc, &["Default", "Unmasked"], errors);
    if proc.str() == "Unmasked" {
        errors.push(proc.invalid("`hostUsers` must be false to use `Unmasked`"));
    }
    validate_common(context, errors);
    let escalation = context.get("allowPrivilegeEscalation");
    if !escalation.is_present() || escalation.is_true() {
        return;
    }
    if context.get("privileged").is_true() {
        errors
            .push(context.invalid(
                "cannot set `allowPrivilegeEscalation` to false and `privileged` to true",
            ));
    }
    let added = context.at(&["capabilities", "add"]);
    if added.items().any(|c| c.str() == "CAP_SYS_ADMIN") {
        errors.push(context.invalid(
            "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN",
        ));
    }
}

/// What pods and containers can both say.
fn validate_common(context: &Field<'_>, errors: &mut Errors) {
    validate_seccomp(&context.get("seccompProfile"), errors);
    validate_app_armor(&context.get("appArmorProfile"), errors);
    for key in ["seLinuxOptions", "windowsOptions"] {
        let options = context.get(key);
        if !options.is_empty() {
            errors.push(check::unsupported(&options, key));
        }
    }
}

fn validate_seccomp(profile: &Field<'_>, errors: &mut Errors) {
    if !profile.is_present() {
        return;
    }
    let (ty, local) = (profile.get("type"), profile.get("localhostProfile"));
    if ty.is_empty() {
        errors.push(ty.required("type is required when seccompProfile is set"));
    }
    check::one_of(&ty, PROFILE_TYPES, errors);
    match (ty.str(), local.is_present()) {
        ("Localhost", false) => {
            errors.push(local.required("must be set when seccomp type is Localhost"));
        }
        ("Localhost", true) => check::local_path(&local, errors),
        (_, true) => errors.push(FieldError::invalid(
            &local.path,
            profile.value.cloned().unwrap_or_default(),
            "can only be set when seccomp type is Localhost",
        )),
        (_, false) => {}
    }
}

fn validate_app_armor(profile: &Field<'_>, errors: &mut Errors) {
    if !profile.is_present() {
        return;
    }
    let (ty, local) = (profile.get("type"), profile.get("localhostProfile"));
    match ty.str() {
        "" => errors.push(ty.required("type is required when appArmorProfile is set")),
        "Localhost" => errors.push(check::unsupported(&ty, "AppArmor profile type Localhost")),
        "RuntimeDefault" | "Unconfined" => {
            if local.is_present() {
                errors.push(local.invalid("can only be set when AppArmor type is Localhost"));
            }
        }
        _ => errors.push(ty.not_supported(PROFILE_TYPES)),
    }
}

fn validate_sysctls(spec: &Field<'_>, sysctls: &Field<'_>, errors: &mut Errors) {
    let mut seen = BTreeSet::new();
    for name in sysctls.items().map(|s| s.get("name")) {
        if name.is_empty() {
            errors.push(name.required(""));
        } else if !is_sysctl(name.str()) {
            errors.push(name.invalid(
                r"must have at most 253 characters and match regex ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$",
            ));
        } else if !seen.insert(name.str()) {
            errors.push(name.duplicate());
        }
        let dotted = name.str().replace('/', ".");
        if spec.get("hostNetwork").is_true() && dotted.starts_with("net.") {
            errors.push(name.invalid("may not be specified when 'hostNetwork' is true"));
        } else if spec.get("hostIPC").is_true() && is_ipc(&dotted) {
            errors.push(name.invalid("may not be specified when 'hostIPC' is true"));
        }
    }
}

fn is_sysctl(name: &str) -> bool {
    let edge = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    name.len() <= 253
        && name.split(['.', '/']).all(|segment| {
            edge(segment.bytes().next())
                && edge(segment.bytes().last())
                && segment.bytes().all(inner)
        })
}

fn is_ipc(name: &str) -> bool {
    ["kernel.shm", "kernel.msg", "fs.mqueue."]
        .iter()
        .any(|prefix| name.starts_with(prefix))
        || name == "kernel.sem"
}
