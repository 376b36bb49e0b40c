//! What a ConfigMap may hold. Follows pkg/apis/core/validation/validation.go.

use meta::{Errors, Field, FieldError, Path, names};

/// The most that the values may weigh together, in bytes.
pub(crate) const SIZE_MAX: usize = 1024 * 1024;

pub(super) fn create(object: &Field<'_>, errors: &mut Errors) {
    let (data, binary) = (object.get("data"), object.get("binaryData"));
    let mut size = 0;
    for (key, value) in data.entries() {
        for detail in names::config_map_key(key) {
            errors.push(FieldError::invalid(&data.path.key(key), key, detail));
        }
        if binary.get(key).is_present() {
            errors.push(FieldError::invalid(
                &data.path.key(key),
                key,
                "duplicate of key present in binaryData",
            ));
        }
        size += value.str().len();
    }
    for (key, value) in binary.entries() {
        for detail in names::config_map_key(key) {
            errors.push(FieldError::invalid(&binary.path.key(key), key, detail));
        }
        size += crate::bytes::decoded_len(value.str());
    }
    if size > SIZE_MAX {
        errors.push(FieldError::too_long(&Path::root(), SIZE_MAX));
    }
}

pub(super) fn update(object: &Field<'_>, old: &Field<'_>, errors: &mut Errors) {
    if old.get("immutable").is_true() {
        if !object.get("immutable").is_true() {
            errors.push(
                object
                    .get("immutable")
                    .forbidden("field is immutable when `immutable` is set"),
            );
        }
        for part in ["data", "binaryData"] {
            if object.get(part).value != old.get(part).value {
                errors.push(
                    object
                        .get(part)
                        .forbidden("field is immutable when `immutable` is set"),
                );
            }
        }
    }
    create(object, errors);
}
