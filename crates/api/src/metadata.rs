//! What may stand in `metadata`, whatever the kind. Follows apimachinery's
//! pkg/api/validation/objectmeta.go.

use crate::kind::{Card, NameRule, Verbs};
use meta::{Errors, Field, FieldError, Value, labels, names};
use std::collections::BTreeSet;

/// The most that all annotations together may weigh, in bytes.
const ANNOTATIONS_MAX: usize = 256 * 1024;

/// What is wrong with the metadata of a new object. Its name has been
/// generated already, its namespace set from the request.
pub fn validate(card: &Card, object: &Field<'_>, errors: &mut Errors) {
    if card.verbs == Verbs::CreateOnly {
        // What is answered and not kept needs no name.
        return;
    }
    let metadata = object.get("metadata");
    validate_names(card, &metadata, errors);
    if metadata.get("generation").int() < 0 {
        let generation = metadata.get("generation");
        errors.push(generation.invalid("must be greater than or equal to 0"));
    }
    validate_common(card, &metadata, errors);
}

/// What is wrong with a change of metadata.
pub fn validate_update(card: &Card, object: &Field<'_>, old: &Field<'_>, errors: &mut Errors) {
    let (metadata, old) = (object.get("metadata"), old.get("metadata"));
    if old.get("deletionTimestamp").is_present() {
        validate_no_new_finalizers(&metadata, &old, errors);
    }
    let resource_version = metadata.get("resourceVersion");
    if resource_version.is_empty() {
        errors.push(FieldError::invalid(
            &resource_version.path,
            "",
            "must be specified for an update",
        ));
    }
    let generation = metadata.get("generation");
    if generation.int() < old.get("generation").int() {
        errors.push(generation.invalid("must not be decremented"));
    }
    for key in [
        "name",
        "namespace",
        "uid",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
    ] {
        immutable(&metadata.get(key), &old.get(key), errors);
    }
    validate_common(card, &metadata, errors);
}

/// `Invalid value: …: field is immutable` when the two differ. Absent and
/// empty are the same here, as they are to Go.
pub fn immutable(field: &Field<'_>, old: &Field<'_>, errors: &mut Errors) {
    if !same(field, old) {
        errors.push(field.invalid("field is immutable"));
    }
}

/// Whether two fields hold the same; absent and empty are the same.
pub fn same(a: &Field<'_>, b: &Field<'_>) -> bool {
    same_value(a.value, b.value) || (a.is_empty() && b.is_empty())
}

/// Whether two values are the same where absent lists and objects are the same
/// as empty ones, however deep: what Go calls a nil map is to it an empty map.
pub(crate) fn same_value(a: Option<&Value>, b: Option<&Value>) -> bool {
    match (a, b) {
        (Some(Value::Object(a)), Some(Value::Object(b))) => {
            a.iter()
                .all(|(key, value)| same_value(Some(value), b.get(key)))
                && b.iter()
                    .all(|(key, value)| a.contains_key(key) || is_nothing(Some(value)))
        }
        (Some(Value::Array(a)), Some(Value::Array(b))) => {
            let mut pairs = a.iter().zip(b);
            a.len() == b.len() && pairs.all(|(a, b)| same_value(Some(a), Some(b)))
        }
        (a, b) => a == b || (is_nothing(a) && is_nothing(b)),
    }
}

/// Absent, null, or an empty list or object.
fn is_nothing(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => true,
        Some(Value::Array(items)) => items.is_empty(),
        Some(Value::Object(map)) => map.iter().all(|(_, value)| is_nothing(Some(value))),
        Some(_) => false,
    }
}

/// What is wrong with a name under a rule.
pub fn name_complaints(rule: NameRule, name: &str) -> Vec<String> {
    match rule {
        NameRule::Subdomain => names::dns1123_subdomain(name),
        NameRule::Label => names::dns1123_label(name),
        NameRule::Label1035 => names::dns1035_label(name),
        NameRule::PathSegment | NameRule::Any => names::path_segment(name),
    }
}

/// What is wrong with the start of a name. Random letters follow, so that a
/// dash may end it.
pub fn prefix_complaints(rule: NameRule, prefix: &str) -> Vec<String> {
    let masked = match prefix.strip_suffix('-') {
        Some(start) if !start.is_empty() => {
            let mut masked = start.to_string();
            masked.pop();
            masked + "a"
        }
        _ => prefix.to_string(),
    };
    name_complaints(rule, &masked)
}

/// What is wrong with a finalizer: one without a domain must be one of the
/// system's own.
pub fn validate_finalizer(finalizer: &Field<'_>, errors: &mut Errors) {
    let standard = [
        "kubernetes",
        labels::ORPHAN_DEPENDENTS,
        labels::FOREGROUND_DELETION,
    ];
    let name = finalizer.str();
    errors.invalid_each(finalizer, names::qualified_name(name));
    if !name.contains('/') && !standard.contains(&name) {
        errors.push(
            finalizer
                .invalid("name is neither a standard finalizer name nor is it fully qualified"),
        );
    }
}

/// What is wrong with a map of labels.
pub fn validate_labels(field: &Field<'_>, errors: &mut Errors) {
    for (key, value) in field.entries() {
        for detail in names::qualified_name(key) {
            errors.push(FieldError::invalid(&field.path, key, detail));
        }
        for detail in names::label_value(value.str()) {
            errors.push(FieldError::invalid(&field.path, value.str(), detail));
        }
    }
}

/// What is wrong with a map of annotations.
pub fn validate_annotations(field: &Field<'_>, errors: &mut Errors) {
    let mut size = 0;
    for (key, value) in field.entries() {
        for detail in names::qualified_name(&key.to_lowercase()) {
            errors.push(FieldError::invalid(&field.path, key, detail));
        }
        size += key.len() + value.str().len();
    }
    if size > ANNOTATIONS_MAX {
        errors.push(field.too_long(ANNOTATIONS_MAX));
    }
}

fn validate_names(card: &Card, metadata: &Field<'_>, errors: &mut Errors) {
    let (generate, name) = (metadata.get("generateName"), metadata.get("name"));
    if !generate.is_empty() {
        errors.invalid_each(&generate, prefix_complaints(card.name, generate.str()));
    }
    match name.str() {
        "" => errors.push(name.required("name or generateName is required")),
        text => errors.invalid_each(&name, name_complaints(card.name, text)),
    }
    let namespace = metadata.get("namespace");
    match (card.namespaced, namespace.str()) {
        (true, "") => errors.push(namespace.required("")),
        (true, text) => errors.invalid_each(&namespace, names::dns1123_label(text)),
        (false, "") => {}
        (false, _) => errors.push(namespace.forbidden("not allowed on this type")),
    }
}

fn validate_common(card: &Card, metadata: &Field<'_>, errors: &mut Errors) {
    validate_labels(&metadata.get("labels"), errors);
    validate_annotations(&metadata.get("annotations"), errors);
    validate_owners(&metadata.get("ownerReferences"), errors);
    // Definitions and what they define may be held by anybody.
    let is_loose = card.is_custom() || card.group == "apiextensions.k8s.io";
    validate_finalizers(&metadata.get("finalizers"), is_loose, errors);
    validate_managed_fields(&metadata.get("managedFields"), errors);
}

fn validate_owners(owners: &Field<'_>, errors: &mut Errors) {
    let mut controller: Option<String> = None;
    for owner in owners.items() {
        validate_owner(owners, &owner, errors);
        if !owner.get("controller").is_true() {
            continue;
        }
        let this = format!("{}/{}", owner.get("kind").str(), owner.get("name").str());
        match &controller {
            Some(first) => errors.push(owners.invalid(format!(
                "Only one reference can have Controller set to true. Found \"true\" in references for {first} and {this}"
            ))),
            None => controller = Some(this),
        }
    }
}

/// Upstream's paths name the list, not the item.
fn validate_owner(owners: &Field<'_>, owner: &Field<'_>, errors: &mut Errors) {
    let version = owner.get("apiVersion").str();
    let mut must = |key: &str, detail: &str, ok: bool| {
        if !ok {
            let path = owners.path.child(key);
            errors.push(FieldError::invalid(&path, owner.get(key).str(), detail));
        }
    };
    let has_version = version.rsplit('/').next().is_some_and(|v| !v.is_empty());
    must("apiVersion", "version must not be empty", has_version);
    for key in ["kind", "name", "uid"] {
        must(key, "must not be empty", !owner.get(key).is_empty());
    }
    if version == "v1" && owner.get("kind").str() == "Event" {
        let value = owner.value.cloned().unwrap_or_default();
        errors.push(FieldError::invalid(
            &owners.path,
            value,
            "/v1, Kind=Event is disallowed from being an owner",
        ));
    }
}

fn validate_finalizers(finalizers: &Field<'_>, is_loose: bool, errors: &mut Errors) {
    let (mut orphan, mut foreground) = (false, false);
    for finalizer in finalizers.items() {
        match is_loose {
            true => errors.invalid_each(&finalizer, names::qualified_name(finalizer.str())),
            false => validate_finalizer(&finalizer, errors),
        }
        orphan |= finalizer.str() == labels::ORPHAN_DEPENDENTS;
        foreground |= finalizer.str() == labels::FOREGROUND_DELETION;
    }
    if orphan && foreground {
        errors.push(finalizers.invalid(format!(
            "finalizer {} and {} cannot be both set",
            labels::ORPHAN_DEPENDENTS,
            labels::FOREGROUND_DELETION
        )));
    }
}

fn validate_no_new_finalizers(metadata: &Field<'_>, old: &Field<'_>, errors: &mut Errors) {
    let set = |field: &Field<'_>| -> BTreeSet<String> {
        let finalizers = field.get("finalizers");
        finalizers.items().map(|f| f.str().to_string()).collect()
    };
    let (new, old) = (set(metadata), set(old));
    let extra: Vec<String> = new.difference(&old).map(|f| format!("{f:?}")).collect();
    if !extra.is_empty() {
        errors.push(metadata.get("finalizers").forbidden(format!(
            "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
            extra.join(", ")
        )));
    }
}

fn validate_managed_fields(entries: &Field<'_>, errors: &mut Errors) {
    for entry in entries.items() {
        let operation = entry.get("operation");
        if !matches!(operation.str(), "Apply" | "Update") {
            errors.push(operation.invalid("must be `Apply` or `Update`"));
        }
        let ty = entry.get("fieldsType");
        if !matches!(ty.str(), "" | "FieldsV1") {
            errors.push(ty.invalid("must be `FieldsV1`"));
        }
        let manager = entry.get("manager");
        if manager.str().len() > 128 {
            errors.push(manager.too_long(128));
        }
        if entry.get("subresource").str().len() > 256 {
            errors.push(entry.get("subresource").too_long(256));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::Kind as _;
    use meta::value;

    fn check(object: Value, expected: &[&str]) {
        let mut errors = Errors::new();
        let card = crate::core::configmap::ConfigMap.card();
        validate(card, &Field::root(&object), &mut errors);
        let lines: Vec<String> = errors.0.iter().map(ToString::to_string).collect();
        assert_eq!(lines, expected);
    }

    #[test]
    fn names_are_wanted() {
        check(
            value!({"metadata": {"namespace": "d"}}),
            &["metadata.name: Required value: name or generateName is required"],
        );
        check(
            value!({"metadata": {"name": "a"}}),
            &["metadata.namespace: Required value"],
        );
        check(
            value!({"metadata": {"name": "a-x1", "generateName": "a-", "namespace": "d"}}),
            &[],
        );
    }

    #[test]
    fn finalizers_have_an_owner() {
        check(
            value!({"metadata": {"name": "a", "namespace": "d", "finalizers": ["x", "e.com/y", "orphan"]}}),
            &[
                "metadata.finalizers[0]: Invalid value: \"x\": name is neither a standard finalizer name nor is it fully qualified",
            ],
        );
    }

    #[test]
    fn nothing_is_the_same_however_deep() {
        let a = value!({"a": {"b": [], "c": {"d": null}}, "e": [{"f": 1}]});
        for (b, same) in [
            (value!({"e": [{"f": 1, "g": {}}]}), true),
            (value!({"e": [{"f": 2}]}), false),
            (value!({"e": [{"f": 1}], "a": {"b": [1]}}), false),
            (value!({"e": [{"f": 1}], "h": false}), false),
        ] {
            assert_eq!(same_value(Some(&a), Some(&b)), same, "{b}");
            assert_eq!(same_value(Some(&b), Some(&a)), same, "{b}");
        }
    }

    #[test]
    fn one_controller_is_enough() {
        check(
            value!({"metadata": {"name": "a", "namespace": "d", "ownerReferences": [
                {"apiVersion": "apps/v1", "kind": "A", "name": "a", "uid": "1", "controller": true},
                {"apiVersion": "apps/", "kind": "B", "name": "b", "uid": ""}
            ]}}),
            &[
                "metadata.ownerReferences.apiVersion: Invalid value: \"apps/\": version must not be empty",
                "metadata.ownerReferences.uid: Invalid value: \"\": must not be empty",
            ],
        );
    }

    #[test]
    fn a_dying_object_gets_no_finalizers() {
        let old = value!({"metadata": {"name": "a", "deletionTimestamp": "2024-01-01T00:00:00Z", "resourceVersion": "1"}});
        let new = value!({"metadata": {"name": "b", "deletionTimestamp": "2024-01-01T00:00:00Z", "finalizers": ["e.com/x"]}});
        let mut errors = Errors::new();
        let card = crate::core::configmap::ConfigMap.card();
        validate_update(card, &Field::root(&new), &Field::root(&old), &mut errors);
        let lines: Vec<String> = errors.0.iter().map(ToString::to_string).collect();
        assert_eq!(
            lines,
            [
                "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{\"e.com/x\"}",
                "metadata.resourceVersion: Invalid value: \"\": must be specified for an update",
                "metadata.name: Invalid value: \"b\": field is immutable",
            ]
        );
    }
}
