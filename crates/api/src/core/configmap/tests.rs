//! Cases of ConfigMap.

use super::ConfigMap;
use crate::testing::{check_columns, check_update, check_valid};
use meta::value;

#[test]
fn keys_must_be_file_names() {
    check_valid(
        &ConfigMap,
        value!({"data": {"a.conf": "x"}, "binaryData": {"b": "AA=="}}),
        &[],
    );
    check_valid(
        &ConfigMap,
        value!({"data": {"..": "x"}}),
        &["data[..]: Invalid value: \"..\": must not be '..'"],
    );
    check_valid(
        &ConfigMap,
        value!({"data": {"a": "x"}, "binaryData": {"a": "AA=="}}),
        &["data[a]: Invalid value: \"a\": duplicate of key present in binaryData"],
    );
}

#[test]
fn an_immutable_one_stays_as_it_is() {
    let old = value!({"immutable": true, "data": {"a": "x"}});
    check_update(
        &ConfigMap,
        &old,
        value!({"immutable": true, "data": {"a": "x"}}),
        &[],
    );
    check_update(
        &ConfigMap,
        &old,
        value!({"immutable": true, "data": {"a": "y"}}),
        &["data: Forbidden: field is immutable when `immutable` is set"],
    );
}

#[test]
fn columns_count_the_keys() {
    let object = value!({
        "metadata": {"name": "c", "creationTimestamp": "2024-01-01T00:00:00Z"},
        "data": {"a": "x", "b": "y"}, "binaryData": {"c": ""}
    });
    check_columns(
        &ConfigMap,
        &object,
        "2024-01-01T00:05:00Z",
        &["c", "3", "5m"],
    );
}
