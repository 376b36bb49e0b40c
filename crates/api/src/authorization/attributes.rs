//! What access reviews ask about. Follows
//! pkg/apis/authorization/validation/validation.go.

use meta::{Errors, Field, FieldError, Path, Value, names};

/// What is wrong with a review's question; `of_others` are asked about a user.
pub(super) fn validate(spec: &Field<'_>, of_others: bool, errors: &mut Errors) {
    let (resource, url) = (
        spec.get("resourceAttributes"),
        spec.get("nonResourceAttributes"),
    );
    match (resource.is_present(), url.is_present()) {
        (true, true) => {
            errors.push(url.invalid("cannot be specified in combination with resourceAttributes"));
        }
        (false, false) => errors.push(FieldError::invalid(
            &resource.path,
            Value::Null,
            "exactly one of nonResourceAttributes or resourceAttributes must be specified",
        )),
        _ => {}
    }
    let user = spec.get("user");
    if of_others && user.is_empty() && spec.get("groups").is_empty() {
        let detail = "at least one of user or group must be specified";
        errors.push(FieldError::invalid(&user.path, user.str(), detail));
    }
    validate_selector(&resource.get("fieldSelector"), false, errors);
    validate_selector(&resource.get("labelSelector"), true, errors);
}

/// A review is answered and not kept: it has no metadata of its own.
pub(super) fn validate_metadata(review: &Field<'_>, in_namespace: bool, errors: &mut Errors) {
    let metadata = review.get("metadata");
    let mut rest = metadata.value.cloned().unwrap_or_else(Value::object);
    rest.remove_at(&["managedFields"]);
    if in_namespace {
        rest.remove_at(&["namespace"]);
    }
    let map = rest.as_object();
    if map.is_some_and(|m| m.iter().any(|(_, v)| !v.is_empty())) {
        errors.push(metadata.invalid(match in_namespace {
            true => "must be empty except for namespace",
            false => "must be empty",
        }));
    }
}

/// A review in a namespace asks about that namespace.
pub(super) fn validate_local(review: &Field<'_>, errors: &mut Errors) {
    let spec = review.get("spec");
    let namespace = spec.at(&["resourceAttributes", "namespace"]);
    let resource = spec.get("resourceAttributes");
    if resource.is_present() && namespace.str() != review.at(&["metadata", "namespace"]).str() {
        let detail = "must match metadata.namespace";
        errors.push(FieldError::invalid(
            &namespace.path,
            namespace.str(),
            detail,
        ));
    }
    let url = spec.get("nonResourceAttributes");
    if url.is_present() {
        errors.push(url.invalid("disallowed on this kind of request"));
    }
}

fn validate_selector(selector: &Field<'_>, of_labels: bool, errors: &mut Errors) {
    if !selector.is_present() {
        return;
    }
    let (raw, requirements) = (selector.get("rawSelector"), selector.get("requirements"));
    match (raw.is_empty(), requirements.len()) {
        (false, 1..) => {
            errors.push(raw.invalid("may not specified at the same time as requirements"));
        }
        (true, 0) => errors.push(requirements.required(format!(
            "when {} is specified, requirements or rawSelector is required",
            selector.path
        ))),
        _ => {}
    }
    for requirement in requirements.items() {
        validate_requirement(&requirement, of_labels, errors);
    }
}

fn validate_requirement(requirement: &Field<'_>, of_labels: bool, errors: &mut Errors) {
    let (key, operator) = (requirement.get("key"), requirement.get("operator"));
    let values = requirement.get("values");
    if of_labels {
        errors.invalid_each(&key, names::qualified_name(key.str()));
    } else if key.is_empty() {
        errors.push(key.required("must be specified"));
    }
    match operator.str() {
        "In" | "NotIn" if values.is_empty() => {
            errors.push(values.required("must be specified when `operator` is 'In' or 'NotIn'"))
        }
        "Exists" | "DoesNotExist" if !values.is_empty() => errors.push(
            values.forbidden("may not be specified when `operator` is 'Exists' or 'DoesNotExist'"),
        ),
        "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
        text => {
            let path: &Path = &operator.path;
            errors.push(FieldError::invalid(
                path,
                text,
                "not a valid selector operator",
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::authorization::localsubjectaccessreview::LocalSubjectAccessReview;
    use crate::authorization::selfsubjectaccessreview::SelfSubjectAccessReview;
    use crate::authorization::subjectaccessreview::SubjectAccessReview;
    use crate::testing::check_valid;
    use meta::value;

    #[test]
    fn reviews_ask_about_one_thing() {
        check_valid(
            &SelfSubjectAccessReview,
            value!({"spec": {"resourceAttributes": {"verb": "get"}}}),
            &[],
        );
        check_valid(
            &SubjectAccessReview,
            value!({"metadata": {"name": "x"}, "spec": {}}),
            &[
                "metadata: Invalid value: {\"name\":\"x\"}: must be empty",
                "spec.resourceAttributes: Invalid value: null: exactly one of nonResourceAttributes or resourceAttributes must be specified",
                "spec.user: Invalid value: \"\": at least one of user or group must be specified",
            ],
        );
        check_valid(
            &LocalSubjectAccessReview,
            value!({"metadata": {"namespace": "a"}, "spec": {"user": "u", "resourceAttributes": {"namespace": "b"}}}),
            &[
                "spec.resourceAttributes.namespace: Invalid value: \"b\": must match metadata.namespace",
            ],
        );
    }
}
