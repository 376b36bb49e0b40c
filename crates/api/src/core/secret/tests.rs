//! Cases of Secret.

use super::Secret;
use crate::kind::Kind;
use crate::testing::{check_default, check_update, check_valid};
use meta::value;

#[test]
fn text_becomes_data() {
    check_default(
        &Secret,
        value!({"data": {"a": "eA==", "b": "eA=="}, "stringData": {"a": "hello"}}),
        value!({"data": {"a": "aGVsbG8=", "b": "eA=="}, "type": "Opaque"}),
    );
}

#[test]
fn types_have_their_keys() {
    for (ty, expected) in [
        ("Opaque", &[][..]),
        (
            "kubernetes.io/tls",
            &[
                "data[tls.crt]: Required value",
                "data[tls.key]: Required value",
            ],
        ),
        (
            "kubernetes.io/basic-auth",
            &[
                "data[username]: Required value",
                "data[password]: Required value",
            ],
        ),
        (
            "kubernetes.io/dockerconfigjson",
            &["data[.dockerconfigjson]: Required value"],
        ),
        (
            "kubernetes.io/service-account-token",
            &["metadata.annotations[kubernetes.io/service-account.name]: Required value"],
        ),
    ] {
        check_valid(&Secret, value!({ "type": ty }), expected);
    }
    let docker = |text: &str| {
        let mut secret = value!({"type": "kubernetes.io/dockerconfigjson", "stringData": {".dockerconfigjson": text}});
        Secret.default(&mut secret);
        secret
    };
    check_valid(&Secret, docker("{\"auths\": {}}"), &[]);
    check_valid(
        &Secret,
        docker("{"),
        &[
            "data[.dockerconfigjson]: Invalid value: \"<secret contents redacted>\": unexpected end of JSON input",
        ],
    );
}

#[test]
fn a_secret_keeps_its_type() {
    check_update(
        &Secret,
        &value!({"type": "Opaque", "immutable": true, "data": {"a": "eA=="}}),
        value!({"type": "other", "data": {"a": "eQ=="}}),
        &[
            "type: Invalid value: \"other\": field is immutable",
            "immutable: Forbidden: field is immutable when `immutable` is set",
            "data: Forbidden: field is immutable when `immutable` is set",
        ],
    );
}
