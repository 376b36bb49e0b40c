//! What `kubectl get controllerrevisions` prints.

use crate::kind::{AGE, Column, NAME};
use crate::print;
use jiff::Timestamp;
use meta::{GroupVersion, Value};

pub(super) const COLUMNS: &[Column] = &[
    NAME,
    Column::new("Controller", "string"),
    Column::new("Revision", "string"),
    AGE,
];

pub(super) fn cells(object: &Value, now: Timestamp) -> Vec<Value> {
    vec![
        print::name(object),
        controller(object).into(),
        print::int_at(object, &["revision"]),
        print::age(object, now),
    ]
}

fn controller(object: &Value) -> String {
    let owners = object.items_at(&["metadata", "ownerReferences"]);
    let Some(owner) = owners.iter().find(|o| o.is_true_at(&["controller"])) else {
        return "<none>".into();
    };
    let kind = owner.str_at(&["kind"]).to_lowercase();
    let group = GroupVersion::parse(owner.str_at(&["apiVersion"])).map(|gv| gv.group);
    match group.filter(|g| !g.is_empty()) {
        Some(group) => format!("{kind}.{group}/{}", owner.str_at(&["name"])),
        None => format!("{kind}/{}", owner.str_at(&["name"])),
    }
}
