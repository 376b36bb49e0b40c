//! ConfigMap, Secret and ServiceAccount.

use super::writer::Writer;
use super::{Described, resource};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use meta::{Map, Value};
use std::collections::BTreeSet;

const TOKEN_TYPE: &str = "kubernetes.io/service-account-token";

fn entries<'a>(object: &'a Value, key: &str) -> impl Iterator<Item = (&'a str, &'a str)> {
    let map = object.get(key).and_then(Value::as_object);
    map.into_iter()
        .flat_map(Map::iter)
        .map(|(key, value)| (key.as_str(), value.as_str().unwrap_or_default()))
}

fn decoded(text: &str) -> Vec<u8> {
    STANDARD.decode(text).unwrap_or_default()
}

pub(super) async fn config_map(it: &Described<'_>, w: &mut Writer) {
    it.head(w);
    it.labels(w);
    it.annotations(w);
    w.line(0, "\nData\n====");
    for (key, value) in entries(it.object, "data") {
        w.line(0, &format!("{key}:\n----\n{value}\n"));
    }
    w.line(0, "\nBinaryData\n====");
    for (key, value) in entries(it.object, "binaryData") {
        w.line(0, &format!("{key}: {} bytes", decoded(value).len()));
    }
    w.line(0, "");
    it.events(w).await;
}

pub(super) fn secret(it: &Described<'_>, w: &mut Writer) {
    it.head(w);
    it.labels(w);
    it.annotations(w);
    let kind = it.object.str_at(&["type"]);
    w.line(0, &format!("\nType:\t{kind}"));
    w.line(0, "\nData\n====");
    for (key, value) in entries(it.object, "data") {
        let bytes = decoded(value);
        if key == "token" && kind == TOKEN_TYPE {
            w.field(0, key, String::from_utf8_lossy(&bytes));
        } else {
            w.field(0, key, format!("{} bytes", bytes.len()));
        }
    }
}

pub(super) async fn service_account(it: &Described<'_>, w: &mut Writer) {
    it.head(w);
    it.labels(w);
    it.annotations(w);
    let pull = names(it.object, "imagePullSecrets");
    let mount = names(it.object, "secrets");
    let (tokens, missing) = secrets(it, pull.iter().chain(&mount)).await;
    for (header, names) in [
        ("Image pull secrets:", pull),
        ("Mountable secrets: ", mount),
        ("Tokens:            ", tokens),
    ] {
        if names.is_empty() {
            w.line(0, &format!("{header}\t<none>"));
        }
        for (i, name) in names.iter().enumerate() {
            let prefix = if i == 0 {
                header
            } else {
                "                   "
            };
            let note = if missing.contains(name) {
                " (not found)"
            } else {
                ""
            };
            w.line(0, &format!("{prefix}\t{name}{note}"));
        }
    }
    it.events(w).await;
}

fn names(object: &Value, key: &str) -> Vec<String> {
    let references = object.items_at(&[key]).iter();
    references
        .map(|reference| reference.str_at(&["name"]).to_string())
        .collect()
}

/// The tokens of a service account, and which of the secrets it names do not
/// exist. When secrets cannot be read none is said to be missing.
async fn secrets<'a>(
    it: &Described<'_>,
    named: impl Iterator<Item = &'a String>,
) -> (Vec<String>, BTreeSet<String>) {
    let secrets = resource("", "v1", "secrets");
    let Ok(found) = it.source.list(&secrets, it.namespace(), "", "").await else {
        return Default::default();
    };
    let name = |secret: &Value| secret.str_at(&["metadata", "name"]).to_string();
    let exists: BTreeSet<String> = found.iter().map(name).collect();
    let is_token = |secret: &&Value| {
        let annotation = |key| secret.str_at(&["metadata", "annotations", key]);
        secret.str_at(&["type"]) == TOKEN_TYPE
            && annotation("kubernetes.io/service-account.name") == it.name()
            && annotation("kubernetes.io/service-account.uid")
                == it.object.str_at(&["metadata", "uid"])
    };
    let tokens = found.iter().filter(is_token).map(name).collect();
    let missing = named.filter(|name| !exists.contains(*name));
    (tokens, missing.cloned().collect())
}
