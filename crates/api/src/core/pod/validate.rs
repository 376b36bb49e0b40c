//! What a pod may be, over and above what its spec may hold. Follows
//! pkg/apis/core/validation/validation.go.

use super::spec::{self, validate_image_is_trimmed};
use super::tolerance::Tolerance;
use meta::{Errors, Field, FieldError};

/// The annotation that says what it costs to delete a pod.
const COST: &str = "controller.kubernetes.io/pod-deletion-cost";

/// What is wrong with a new pod.
pub(super) fn create(pod: &Field<'_>, errors: &mut Errors) {
    pod_and_spec(pod, Tolerance::default(), errors);
    let spec = pod.get("spec");
    let ephemeral = spec.get("ephemeralContainers");
    if !ephemeral.is_empty() {
        errors.push(ephemeral.forbidden("cannot be set on create"));
    }
    if !spec.get("nodeName").is_empty() && !spec.get("schedulingGates").is_empty() {
        let detail = "cannot be set until all schedulingGates have been cleared";
        errors.push(spec.get("nodeName").forbidden(detail));
    }
    seccomp_agrees(&pod.get("metadata"), &spec, errors);
}

/// What is wrong with a pod by itself.
pub(super) fn pod_and_spec(pod: &Field<'_>, tolerance: Tolerance, errors: &mut Errors) {
    let (metadata, spec) = (pod.get("metadata"), pod.get("spec"));
    annotations(&metadata.get("annotations"), Some(&spec), tolerance, errors);
    spec::validate(&spec, true, tolerance, errors);
    if spec.get("serviceAccountName").is_empty() {
        refuse_tokens(&spec, errors);
    }
    for list in ["containers", "initContainers"] {
        for container in spec.get(list).items() {
            validate_image_is_trimmed(&container, errors);
        }
    }
}

/// What is wrong with a template of pods.
pub(crate) fn template(template: &Field<'_>, tolerance: Tolerance, errors: &mut Errors) {
    let (metadata, spec) = (template.get("metadata"), template.get("spec"));
    // Upstream's paths leave `metadata` out.
    let of = |key: &str| Field::new(template.path.child(key), metadata.get(key).value);
    crate::metadata::validate_labels(&of("labels"), errors);
    crate::metadata::validate_annotations(&of("annotations"), errors);
    annotations(&of("annotations"), None, tolerance, errors);
    spec::validate(&spec, false, tolerance, errors);
    seccomp_agrees(&metadata, &spec, errors);
    let ephemeral = spec.get("ephemeralContainers");
    if !ephemeral.is_empty() {
        errors.push(ephemeral.forbidden("ephemeral containers not allowed in pod template"));
    }
}

/// Annotations that mean something to the system.
fn annotations(
    annotations: &Field<'_>,
    spec: Option<&Field<'_>>,
    tolerance: Tolerance,
    errors: &mut Errors,
) {
    let mirror = "kubernetes.io/config.mirror";
    let at = |key: &str| Field::new(annotations.path.key(key), annotations.get(key).value);
    if let Some(spec) = spec
        && at(mirror).is_present()
        && spec.get("nodeName").is_empty()
    {
        let detail = "must set spec.nodeName if mirror pod annotation is set";
        errors.push(at(mirror).invalid(detail));
    }
    app_armor(annotations, errors);
    if !tolerance.deletion_cost && has_invalid_cost(annotations) {
        errors.push(at(COST).invalid("must be a 32bit integer"));
    }
}

/// Whether the cost of the pod's deletion is none.
pub(super) fn has_invalid_cost(annotations: &Field<'_>) -> bool {
    let cost = annotations.get(COST);
    cost.is_present() && !is_cost(cost.str())
}

/// The older way to name an AppArmor profile, for each container.
fn app_armor(annotations: &Field<'_>, errors: &mut Errors) {
    let prefix = "container.apparmor.security.beta.kubernetes.io/";
    for (_, profile) in annotations
        .entries()
        .filter(|(key, _)| key.starts_with(prefix))
    {
        match profile.str() {
            "" | "runtime/default" | "unconfined" => {}
            text if text.starts_with("localhost/") => {
                errors.push(crate::check::unsupported(
                    &profile,
                    "AppArmor profile type Localhost",
                ));
            }
            text => {
                errors.push(profile.invalid(format!("invalid AppArmor profile name: {text:?}")))
            }
        }
    }
}

/// An `int32` without a plus sign or needless zeros.
fn is_cost(text: &str) -> bool {
    let canonical = !text.starts_with('+') && (text == "0" || !text.starts_with('0'));
    canonical && text.parse::<i32>().is_ok()
}

/// Mirror pods stay mirror pods.
pub(super) fn annotations_update(pod: &Field<'_>, old: &Field<'_>, errors: &mut Errors) {
    let mirror = "kubernetes.io/config.mirror";
    let of = |pod: &Field<'_>| {
        pod.at(&["metadata", "annotations"])
            .get(mirror)
            .value
            .cloned()
    };
    let (new, old) = (of(pod), of(old));
    let path = meta::Path::new("metadata.annotations").key(mirror);
    let forbidden = |detail| Field::new(path.clone(), None).forbidden(detail);
    match (old, new) {
        (None, Some(_)) => errors.push(forbidden("may not add mirror pod annotation")),
        (Some(_), None) => errors.push(forbidden("may not remove mirror pod annotation")),
        (Some(a), Some(b)) if a != b => {
            errors.push(forbidden("may not update mirror pod annotation"));
        }
        _ => {}
    }
}

fn refuse_tokens(spec: &Field<'_>, errors: &mut Errors) {
    let projected = spec.get("volumes").items().map(|v| v.get("projected"));
    for source in projected.flat_map(|p| p.get("sources").items()) {
        let token = source.get("serviceAccountToken");
        if token.is_present() {
            let detail = "must not be specified when serviceAccountName is not set";
            errors.push(token.forbidden(detail));
        }
    }
}

/// The older annotations of seccomp say the same as the fields.
fn seccomp_agrees(metadata: &Field<'_>, spec: &Field<'_>, errors: &mut Errors) {
    let annotations = metadata.get("annotations");
    let pod = annotations.get("seccomp.security.alpha.kubernetes.io/pod");
    seccomp_matches(
        &pod,
        &spec.at(&["securityContext", "seccompProfile"]),
        errors,
    );
    for container in spec::containers(spec) {
        let key = format!(
            "container.seccomp.security.alpha.kubernetes.io/{}",
            container.get("name").str()
        );
        let profile = container.at(&["securityContext", "seccompProfile"]);
        seccomp_matches(&annotations.get(&key), &profile, errors);
    }
}

fn seccomp_matches(annotation: &Field<'_>, profile: &Field<'_>, errors: &mut Errors) {
    if !annotation.is_present() || !profile.is_present() {
        return;
    }
    let text = annotation.str();
    let (ty, local) = (profile.get("type"), profile.get("localhostProfile"));
    let matches = match ty.str() {
        "Unconfined" => text == "unconfined",
        "RuntimeDefault" => matches!(text, "runtime/default" | "docker/default"),
        "Localhost" => text.starts_with("localhost/"),
        _ => true,
    };
    if !matches {
        errors.push(ty.forbidden("seccomp type in annotation and field must match"));
    } else if let Some(name) = text.strip_prefix("localhost/")
        && name != local.str()
    {
        errors.push(local.forbidden("seccomp profile in annotation and field must match"));
    }
}

/// A binding leads to a node.
pub(crate) fn binding(binding: &Field<'_>, errors: &mut Errors) {
    let (kind, name) = (
        binding.at(&["target", "kind"]),
        binding.at(&["target", "name"]),
    );
    if !matches!(kind.str(), "" | "Node") {
        errors.push(FieldError::not_supported(
            &kind.path,
            kind.str(),
            &["Node", "<empty>"],
        ));
    }
    crate::check::required(&name, errors);
}
