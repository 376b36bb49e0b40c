//! What `kubectl get rolebindings` and `clusterrolebindings` print.

use crate::kind::{AGE, Column, NAME};
use crate::print;
use jiff::Timestamp;
use meta::Value;

pub(crate) const COLUMNS: &[Column] = &[
    NAME,
    Column::new("Role", "string"),
    AGE,
    Column::wide("Users", "string"),
    Column::wide("Groups", "string"),
    Column::wide("ServiceAccounts", "string"),
];

pub(crate) fn cells(object: &Value, now: Timestamp) -> Vec<Value> {
    let role = |key| object.str_at(&["roleRef", key]);
    vec![
        print::name(object),
        format!("{}/{}", role("kind"), role("name")).into(),
        print::age(object, now),
        subjects(object, "User").into(),
        subjects(object, "Group").into(),
        subjects(object, "ServiceAccount").into(),
    ]
}

fn subjects(object: &Value, kind: &str) -> String {
    let subjects = object.items_at(&["subjects"]).iter();
    let names: Vec<String> = subjects
        .filter(|s| s.str_at(&["kind"]) == kind)
        .map(|s| match kind {
            "ServiceAccount" => format!("{}/{}", s.str_at(&["namespace"]), s.str_at(&["name"])),
            _ => s.str_at(&["name"]).into(),
        })
        .collect();
    names.join(", ")
}
