//! What `kubectl get ipaddresses` prints.

use crate::kind::{AGE, Column, NAME};
use crate::print;
use jiff::Timestamp;
use meta::Value;

pub(super) const COLUMNS: &[Column] = &[NAME, Column::new("ParentRef", "string"), AGE];

pub(super) fn cells(object: &Value, now: Timestamp) -> Vec<Value> {
    vec![
        print::name(object),
        parent(object).into(),
        print::age(object, now),
    ]
}

fn parent(object: &Value) -> String {
    let Some(parent) = object.at(&["spec", "parentRef"]).filter(|p| !p.is_null()) else {
        return "<none>".into();
    };
    let resource = parent.str_at(&["resource"]);
    let mut text = match parent.str_at(&["group"]) {
        "" => resource.to_lowercase(),
        group => format!("{resource}.{group}").to_lowercase(),
    };
    for key in ["namespace", "name"] {
        match parent.str_at(&[key]) {
            "" if key == "namespace" => {}
            part => text = format!("{text}/{part}"),
        }
    }
    text
}
