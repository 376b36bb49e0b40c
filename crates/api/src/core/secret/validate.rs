//! What a Secret may hold. Follows pkg/apis/core/validation/validation.go.

use crate::bytes;
use crate::core::configmap::SIZE_MAX;
use crate::metadata::immutable;
use meta::{Errors, Field, FieldError, Path, Value, names};

/// Text is merged into the data, which it wins over; the type is opaque.
pub(super) fn default(secret: &mut Value) {
    crate::fill::empty(secret, "type", "Opaque");
    let Some(text) = secret.make_object().remove("stringData") else {
        return;
    };
    for (key, value) in text.as_object().into_iter().flat_map(|t| t.iter()) {
        let data = bytes::encode(value.as_str().unwrap_or_default().as_bytes());
        secret.set_at(&["data", key], data);
    }
}

pub(super) fn create(secret: &Field<'_>, errors: &mut Errors) {
    let data = secret.get("data");
    let mut size = 0;
    for (key, value) in data.entries() {
        for detail in names::config_map_key(key) {
            errors.push(FieldError::invalid(&data.path.key(key), key, detail));
        }
        size += bytes::decoded_len(value.str());
    }
    if size > SIZE_MAX {
        errors.push(data.too_long(SIZE_MAX));
    }
    validate_type(secret, &data, errors);
}

pub(super) fn update(secret: &Field<'_>, old: &Field<'_>, errors: &mut Errors) {
    immutable(&secret.get("type"), &old.get("type"), errors);
    if old.get("immutable").is_true() {
        let detail = "field is immutable when `immutable` is set";
        let (flag, data) = (secret.get("immutable"), secret.get("data"));
        if !flag.is_true() {
            errors.push(flag.forbidden(detail));
        }
        if !crate::metadata::same(&data, &old.get("data")) {
            errors.push(data.forbidden(detail));
        }
    }
    create(secret, errors);
}

/// Types of the system's own have keys that must be there.
fn validate_type(secret: &Field<'_>, data: &Field<'_>, errors: &mut Errors) {
    let missing = |key: &str| Field::new(data.path.key(key), None).required("");
    let has = |key: &str| data.get(key).is_present();
    match secret.get("type").str() {
        "kubernetes.io/service-account-token" => {
            let key = "kubernetes.io/service-account.name";
            if secret.at(&["metadata", "annotations"]).get(key).is_empty() {
                let path = Path::new("metadata.annotations").key(key);
                errors.push(Field::new(path, None).required(""));
            }
        }
        "kubernetes.io/dockercfg" => validate_docker(data, ".dockercfg", errors),
        "kubernetes.io/dockerconfigjson" => validate_docker(data, ".dockerconfigjson", errors),
        "kubernetes.io/basic-auth" if !has("username") && !has("password") => {
            errors.push(missing("username"));
            errors.push(missing("password"));
        }
        "kubernetes.io/ssh-auth" if data.get("ssh-privatekey").is_empty() => {
            errors.push(missing("ssh-privatekey"));
        }
        "kubernetes.io/tls" => {
            for key in ["tls.crt", "tls.key"] {
                if !has(key) {
                    errors.push(missing(key));
                }
            }
        }
        _ => {}
    }
}

fn validate_docker(data: &Field<'_>, key: &str, errors: &mut Errors) {
    let field = data.get(key);
    let path = data.path.key(key);
    if !field.is_present() {
        errors.push(Field::new(path, None).required(""));
        return;
    }
    if let Err(why) = bytes::json_object(field.str()) {
        errors.push(FieldError::invalid(
            &path,
            "<secret contents redacted>",
            why,
        ));
    }
}
