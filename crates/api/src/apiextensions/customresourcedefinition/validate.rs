//! What a definition may say, but for its schemas. Follows
//! pkg/apis/apiextensions/validation/validation.go of apiextensions-apiserver.
//! Where all versions say the same, complaints name the place at which the
//! older form of the API said it once.

use super::status::is_true;
use super::validate_schema;
use crate::apiextensions::structural::Structural;
use crate::check;
use crate::kind::Door;
use crate::metadata::immutable;
use meta::{Errors, Field, FieldError, Path, Value, names};
use std::collections::BTreeSet;

/// The most fields by which lists can be selected.
const SELECTABLE_MAX: usize = 8;
const COLUMN_TYPES: &[&str] = &["boolean", "date", "integer", "number", "string"];
const COLUMN_FORMATS: &[&str] = &[
    "byte",
    "date",
    "date-time",
    "double",
    "float",
    "int32",
    "int64",
    "password",
];

pub(super) fn create(object: &Field<'_>, errors: &mut Errors) {
    let spec = object.get("spec");
    let name = object.at(&["metadata", "name"]);
    errors.invalid_each(&name, names::dns1123_subdomain(name.str()));
    let wanted = format!(
        "{}.{}",
        spec.at(&["names", "plural"]).str(),
        spec.get("group").str()
    );
    if name.str() != wanted {
        errors.push(name.invalid("must be spec.names.plural+\".\"+spec.group"));
    }
    validate(object, errors);
}

pub(super) fn update(object: &Field<'_>, old: &Field<'_>, door: Door, errors: &mut Errors) {
    check_names(&object.at(&["status", "acceptedNames"]), errors);
    if door == Door::Status {
        return;
    }
    validate(object, errors);
    let (spec, before) = (object.get("spec"), old.get("spec"));
    let established = old.value.is_some_and(|old| is_true(old, "Established"));
    let fixed: &[&[&str]] = match established {
        true => &[
            &["scope"],
            &["names", "kind"],
            &["group"],
            &["names", "plural"],
        ],
        false => &[&["group"], &["names", "plural"]],
    };
    for path in fixed {
        immutable(&spec.at(path), &before.at(path), errors);
    }
    stored_versions(object, errors);
}

fn validate(object: &Field<'_>, errors: &mut Errors) {
    let spec = object.get("spec");
    check_group(&spec.get("group"), errors);
    check::required_one_of(&spec.get("scope"), &["Cluster", "Namespaced"], errors);
    for (i, version) in spec.get("versions").items().enumerate() {
        let schema = version.at(&["schema", "openAPIV3Schema"]);
        if !schema.is_present() {
            let path = spec.path.child("versions").index(i).child("schema");
            let schema = Field::new(path.child("openAPIV3Schema"), None);
            errors.push(schema.required("schemas are required"));
        }
    }
    check_versions(&spec, errors);
    for key in ["plural", "singular", "kind", "listKind"] {
        check::required(&spec.at(&["names", key]), errors);
    }
    check_names(&spec.get("names"), errors);
    check_conversion(&spec.get("conversion"), errors);
    if spec.get("preserveUnknownFields").is_true() {
        errors.push(spec.get("preserveUnknownFields").invalid("must be false"));
    }
    check_approval(object, errors);
}

fn check_group(group: &Field<'_>, errors: &mut Errors) {
    let complaints = names::dns1123_subdomain(group.str());
    if group.is_empty() {
        errors.push(group.required(""));
    } else if !complaints.is_empty() {
        errors.push(group.invalid(complaints.join(",")));
    } else if !group.str().contains('.') {
        errors.push(group.invalid("should be a domain with at least one dot"));
    }
}

/// Whether all versions say the same, which then is said at one place.
fn same_in_all<'v>(versions: &[&'v Value], key: &str) -> Option<&'v Value> {
    let first = versions.first()?.get(key)?;
    let same = versions.iter().all(|v| v.get(key) == Some(first));
    same.then_some(first)
}

fn check_versions(spec: &Field<'_>, errors: &mut Errors) {
    let field = spec.get("versions");
    let items: Vec<Field<'_>> = field.items().collect();
    let versions: Vec<&Value> = items.iter().filter_map(|item| item.value).collect();
    let mut seen = BTreeSet::new();
    let has_status = |version: &Value| version.at(&["subresources", "status"]).is_some();
    for item in &items {
        let name = item.get("name");
        seen.insert(name.str());
        let complaints = names::dns1035_label(name.str());
        if !complaints.is_empty() {
            errors.push(name.invalid(complaints.join(",")));
        }
        check_deprecation(item, errors);
    }
    if let Some(schema) = same_in_all(&versions, "schema") {
        let any_status = versions.iter().any(|v| has_status(v));
        let schema = Field::new(spec.path.child("validation"), Some(schema));
        validate_schema::check(&schema.get("openAPIV3Schema"), any_status, errors);
    } else {
        for item in &items {
            let status = item.value.is_some_and(has_status);
            let schema = item.at(&["schema", "openAPIV3Schema"]);
            validate_schema::check(&schema, status, errors);
        }
    }
    each(spec, &items, &versions, "subresources", errors, check_scale);
    each(
        spec,
        &items,
        &versions,
        "additionalPrinterColumns",
        errors,
        |columns, errors| columns.items().for_each(|c| check_column(&c, errors)),
    );
    for item in &items {
        check_selectable(item, errors);
    }
    if seen.len() < items.len() {
        errors.push(field.invalid("must contain unique version names"));
    }
    let stored = versions.iter().filter(|v| v.is_true_at(&["storage"]));
    if stored.count() != 1 {
        errors.push(field.invalid("must have exactly one version marked as storage version"));
    }
}

/// Looks at a part of all versions, once where it is the same in all.
fn each(
    spec: &Field<'_>,
    items: &[Field<'_>],
    versions: &[&Value],
    key: &str,
    errors: &mut Errors,
    look: impl Fn(&Field<'_>, &mut Errors),
) {
    match same_in_all(versions, key) {
        Some(part) => look(&Field::new(spec.path.child(key), Some(part)), errors),
        None => items.iter().for_each(|item| look(&item.get(key), errors)),
    }
}

fn check_deprecation(version: &Field<'_>, errors: &mut Errors) {
    let warning = version.get("deprecationWarning");
    if !warning.is_present() {
        return;
    }
    if !version.get("deprecated").is_true() {
        errors.push(warning.invalid("can only be set for deprecated versions"));
        return;
    }
    if warning.str().len() > 256 {
        errors.push(warning.invalid("must be <= 256 characters long"));
    }
    if warning.str().is_empty() {
        errors.push(warning.invalid("must not be an empty string"));
    }
    if let Some(at) = warning.str().find(char::is_control) {
        errors.push(warning.invalid(format!(
            "must only contain printable UTF-8 characters; non-printable character found at index {at}"
        )));
    }
}

fn check_names(names_of: &Field<'_>, errors: &mut Errors) {
    let label = |field: &Field<'_>, before: &str, errors: &mut Errors| {
        let complaints = names::dns1035_label(&field.str().to_lowercase());
        if !field.is_empty() && !complaints.is_empty() {
            errors.push(field.invalid(format!("{before}{}", complaints.join(","))));
        }
    };
    let plain = |field: &Field<'_>, errors: &mut Errors| {
        let complaints = names::dns1035_label(field.str());
        if !field.is_empty() && !complaints.is_empty() {
            errors.push(field.invalid(complaints.join(",")));
        }
    };
    plain(&names_of.get("plural"), errors);
    plain(&names_of.get("singular"), errors);
    let mixed = "may have mixed case, but should otherwise match: ";
    label(&names_of.get("kind"), mixed, errors);
    label(&names_of.get("listKind"), mixed, errors);
    names_of
        .get("shortNames")
        .items()
        .for_each(|name| plain(&name, errors));
    let (kind, list_kind) = (names_of.get("kind"), names_of.get("listKind"));
    if !kind.is_empty() && kind.str() == list_kind.str() {
        errors.push(list_kind.invalid("kind and listKind may not be the same"));
    }
    names_of
        .get("categories")
        .items()
        .for_each(|name| plain(&name, errors));
}

fn check_conversion(conversion: &Field<'_>, errors: &mut Errors) {
    if !conversion.is_present() {
        return;
    }
    let strategy = conversion.get("strategy");
    check::required_one_of(&strategy, &["None", "Webhook"], errors);
    let webhook = conversion.get("webhook");
    match strategy.str() {
        "Webhook" => errors.push(check::unsupported(&strategy, "conversion by a webhook")),
        _ if webhook.is_present() => {
            let config = Field::new(conversion.path.child("webhookClientConfig"), None);
            errors.push(config.forbidden("should not be set when strategy is not set to Webhook"));
        }
        _ => {}
    }
}

fn check_json_path(field: &Field<'_>, path: &Path, errors: &mut Errors) {
    if !field.str().starts_with('.') {
        errors.push(FieldError::invalid(
            path,
            field.str(),
            "must be a simple json path starting with .",
        ));
    }
}

fn check_scale(subresources: &Field<'_>, errors: &mut Errors) {
    let scale = subresources.get("scale");
    if !scale.is_present() {
        return;
    }
    let paths = [
        ("specReplicasPath", &[".spec."][..], ".spec"),
        ("statusReplicasPath", &[".status."], ".status"),
        (
            "labelSelectorPath",
            &[".spec.", ".status."],
            "either .status or .spec",
        ),
    ];
    for (key, roots, below) in paths {
        let field = scale.get(key);
        let path = subresources.path.child(&format!("scale.{key}"));
        match field.str() {
            "" if key == "labelSelectorPath" => {}
            "" => errors.push(Field::new(path, None).required("")),
            text if !text.starts_with('.') => check_json_path(&field, &path, errors),
            text if !roots.iter().any(|root| text.starts_with(root)) => {
                let detail = format!("should be a json path under {below}");
                errors.push(FieldError::invalid(&path, text, detail));
            }
            _ => {}
        }
    }
}

fn check_column(column: &Field<'_>, errors: &mut Errors) {
    check::required(&column.get("name"), errors);
    let (ty, format) = (column.get("type"), column.get("format"));
    let one_of = |known: &[&str]| format!("must be one of {}", known.join(","));
    if ty.is_empty() {
        errors.push(ty.required(one_of(COLUMN_TYPES)));
    } else if !COLUMN_TYPES.contains(&ty.str()) {
        errors.push(ty.invalid(one_of(COLUMN_TYPES)));
    }
    if !format.is_empty() && !COLUMN_FORMATS.contains(&format.str()) {
        errors.push(format.invalid(one_of(COLUMN_FORMATS)));
    }
    let path = column.path.child("JSONPath");
    let found = column.get("jsonPath");
    match found.is_empty() {
        true => errors.push(Field::new(path, None).required("")),
        false => check_json_path(&found, &path, errors),
    }
}

fn check_selectable(version: &Field<'_>, errors: &mut Errors) {
    let fields = version.get("selectableFields");
    let schema = version.at(&["schema", "openAPIV3Schema"]);
    let Some(schema) = schema.value.filter(|_| fields.len() > 0) else {
        return;
    };
    let schema = Structural::new(schema);
    let mut seen = BTreeSet::new();
    for item in fields.items() {
        let path = item.get("jsonPath");
        let text = path.str();
        if text.is_empty() {
            errors.push(path.required(""));
            continue;
        }
        let steps: Vec<&str> = text.trim_start_matches('.').split('.').collect();
        let is_plain = text.starts_with('.') && !text.contains(['[', '*', '?']);
        let found = schema.at(&steps).filter(|_| is_plain);
        let is_metadata = steps.first() == Some(&"metadata");
        match found {
            None if is_metadata => {
                errors.push(path.invalid("must not point to fields in metadata"))
            }
            None => errors.push(path.invalid(format!(
                "is an invalid path: does not refer to a valid field: {text}"
            ))),
            Some(of) if !matches!(of.ty.as_str(), "string" | "boolean" | "integer") => {
                errors.push(path.invalid("must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed."));
            }
            Some(_) => {}
        }
        if !seen.insert(text) {
            errors.push(path.duplicate());
        }
    }
    if seen.len() > SELECTABLE_MAX {
        errors.push(fields.too_many(SELECTABLE_MAX));
    }
}

fn stored_versions(object: &Field<'_>, errors: &mut Errors) {
    let stored = object.at(&["status", "storedVersions"]);
    if stored.len() == 0 {
        let none = Field::new(stored.path.clone(), stored.value);
        errors.push(FieldError::invalid(
            &none.path,
            Value::Array(Vec::new()),
            "must have at least one stored version",
        ));
        return;
    }
    let versions = object.at(&["spec", "versions"]);
    let names: Vec<&str> = versions.items().map(|v| v.get("name").str()).collect();
    for version in stored.items() {
        let name = version.str();
        if !names.contains(&name) {
            errors.push(version.invalid(format!(
                "missing from spec.versions; {name} was previously a storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted in {name} and removes {name} from status.storedVersions"
            )));
        }
    }
}

const APPROVED: &str = "api-approved.kubernetes.io";
const WHY: &str = "see https://github.com/kubernetes/enhancements/pull/1111";

/// Groups of the project itself need its word.
fn check_approval(object: &Field<'_>, errors: &mut Errors) {
    let group = object.at(&["spec", "group"]).str();
    let is_protected = ["k8s.io", "kubernetes.io"]
        .iter()
        .any(|domain| group == *domain || group.ends_with(&format!(".{domain}")));
    if !is_protected {
        return;
    }
    let annotations = object.at(&["metadata", "annotations"]);
    let found = annotations.value.and_then(|all| all.get(APPROVED));
    let field = Field::new(annotations.path.key(APPROVED), found);
    let text = field.str();
    let is_url = text.split_once("://").is_some_and(|(scheme, rest)| {
        !scheme.is_empty() && !rest.is_empty() && !rest.starts_with('/')
    });
    if text.is_empty() {
        errors.push(field.required(format!(
            "protected groups must have approval annotation \"{APPROVED}\", {WHY}"
        )));
    } else if !is_url && !text.starts_with("unapproved") {
        errors.push(field.invalid(format!(
            "protected groups must have approval annotation \"{APPROVED}\" with either a URL or a reason starting with \"unapproved\", {WHY}"
        )));
    }
}
