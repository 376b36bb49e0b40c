//! What the server says of a definition: which names it got, whether it is
//! served, and how far its end is. Follows pkg/controller/{status,establish,
//! finalizer} of apiextensions-apiserver.

use super::CLEANUP;
use meta::object::Object as _;
use meta::{Value, value};
use std::collections::BTreeSet;

/// Notes the version in which objects are stored from now on.
pub(super) fn remember_storage(object: &mut Value) {
    let versions = object.items_at(&["spec", "versions"]).iter();
    let stored: Vec<String> = versions
        .filter(|v| v.is_true_at(&["storage"]))
        .map(|v| v.str_at(&["name"]).to_string())
        .collect();
    let mut known: Vec<Value> = object.items_at(&["status", "storedVersions"]).to_vec();
    for name in stored {
        if !known.iter().any(|v| v.as_str() == Some(name.as_str())) {
            known.push(name.into());
        }
    }
    object.set_at(&["status", "storedVersions"], Value::Array(known));
}

/// The first delete: its objects must go before it does. Whether they have gone since
/// or not, another delete begins nothing anew.
pub(super) fn begin_end(object: &mut Value) {
    if condition(object, "Terminating").is_some() {
        return;
    }
    let mut finalizers: Vec<String> = object
        .finalizers()
        .into_iter()
        .map(str::to_string)
        .collect();
    if !finalizers.iter().any(|f| f == CLEANUP) {
        finalizers.push(CLEANUP.into());
        object.metadata_mut().insert("finalizers", finalizers);
    }
    let now = object.meta_str("deletionTimestamp").to_string();
    set(
        object,
        Condition {
            ty: "Terminating",
            status: "True",
            reason: "InstanceDeletionPending",
            message: "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon",
        },
        &now,
    );
}

/// A condition as it should be.
#[derive(Clone, Copy, Debug)]
pub struct Condition<'a> {
    /// `Established`
    pub ty: &'a str,
    /// `True` or `False`
    pub status: &'a str,
    /// One word.
    pub reason: &'a str,
    /// A sentence.
    pub message: &'a str,
}

fn condition<'v>(object: &'v Value, ty: &str) -> Option<&'v Value> {
    let conditions = object.items_at(&["status", "conditions"]).iter();
    conditions.into_iter().find(|c| c.str_at(&["type"]) == ty)
}

/// Whether a condition is true.
pub fn is_true(object: &Value, ty: &str) -> bool {
    condition(object, ty).is_some_and(|c| c.str_at(&["status"]) == "True")
}

/// Sets a condition; the time moves with its status only.
pub fn set(object: &mut Value, wanted: Condition<'_>, now: &str) {
    let since = condition(object, wanted.ty)
        .filter(|c| c.str_at(&["status"]) == wanted.status)
        .map(|c| c.str_at(&["lastTransitionTime"]).to_string());
    let made = value!({
        "type": wanted.ty, "status": wanted.status, "reason": wanted.reason,
        "message": wanted.message, "lastTransitionTime": since.unwrap_or_else(|| now.to_string())
    });
    let mut all: Vec<Value> = object.items_at(&["status", "conditions"]).to_vec();
    match all.iter_mut().find(|c| c.str_at(&["type"]) == wanted.ty) {
        Some(found) => *found = made,
        None => all.push(made),
    }
    object.set_at(&["status", "conditions"], Value::Array(all));
}

/// Gives a definition the names that nobody else of its group has, and says
/// whether it got all, and whether it may be served.
pub fn accept_names(object: &mut Value, others: &[Value], now: &str) {
    let taken = Taken::by(object, others);
    let (accepted, conflict) = taken.settle(object);
    object.set_at(&["status", "acceptedNames"], accepted);
    let (status, reason, message) = match &conflict {
        None => ("True", "NoConflicts", "no conflicts found"),
        Some((reason, message)) => ("False", *reason, message.as_str()),
    };
    let ty = "NamesAccepted";
    set(
        object,
        Condition {
            ty,
            status,
            reason,
            message,
        },
        now,
    );
    if is_true(object, "Established") {
        return;
    }
    let (status, reason, message) = match conflict {
        None => (
            "True",
            "InitialNamesAccepted",
            "the initial names have been accepted",
        ),
        Some(_) => ("False", "NotAccepted", "not all names are accepted"),
    };
    let ty = "Established";
    set(
        object,
        Condition {
            ty,
            status,
            reason,
            message,
        },
        now,
    );
}

/// The names that others of a group have.
struct Taken {
    resources: BTreeSet<String>,
    kinds: BTreeSet<String>,
}

impl Taken {
    fn by(object: &Value, others: &[Value]) -> Self {
        let group = object.str_at(&["spec", "group"]);
        let mut taken = Taken {
            resources: BTreeSet::new(),
            kinds: BTreeSet::new(),
        };
        let rivals = others.iter().filter(|other| {
            other.name() != object.name() && other.str_at(&["spec", "group"]) == group
        });
        for names in rivals.filter_map(|other| other.at(&["status", "acceptedNames"])) {
            let resources = ["plural", "singular"].map(|key| names.str_at(&[key]).to_string());
            taken.resources.extend(resources);
            let short = names.items_at(&["shortNames"]).iter();
            taken
                .resources
                .extend(short.filter_map(|v| v.as_str().map(str::to_string)));
            let kinds = ["kind", "listKind"].map(|key| names.str_at(&[key]).to_string());
            taken.kinds.extend(kinds);
        }
        taken.resources.remove("");
        taken.kinds.remove("");
        taken
    }

    /// The names that can be had, and the last conflict among the others.
    fn settle(&self, object: &Value) -> (Value, Option<(&'static str, String)>) {
        let wanted = object.at(&["spec", "names"]).cloned().unwrap_or_default();
        let had = object.at(&["status", "acceptedNames"]).cloned();
        let had = had.unwrap_or_else(Value::object);
        let (mut accepted, mut conflict) = (had.clone(), None);
        let in_use = |name: &str| format!("{} is already in use", meta::field::quote(name));
        let singles = [
            ("plural", "PluralConflict", &self.resources),
            ("singular", "SingularConflict", &self.resources),
            ("kind", "KindConflict", &self.kinds),
            ("listKind", "ListKindConflict", &self.kinds),
        ];
        for (key, reason, used) in singles {
            let name = wanted.str_at(&[key]);
            match name != had.str_at(&[key]) && used.contains(name) {
                true => conflict = Some((reason, in_use(name))),
                false => accepted.set_at(&[key], name),
            }
            if key == "singular" {
                let names = wanted.items_at(&["shortNames"]);
                let own = had.items_at(&["shortNames"]);
                let clashes = names.iter().filter(|name| !own.contains(name));
                let clashes = clashes.filter_map(Value::as_str);
                let clashes: Vec<String> = clashes
                    .filter(|name| self.resources.contains(*name))
                    .map(in_use)
                    .collect();
                match clashes.as_slice() {
                    [] => keep(&mut accepted, "shortNames", names),
                    [one] => conflict = Some(("ShortNamesConflict", one.clone())),
                    many => {
                        let message = format!("[{}]", many.join(", "));
                        conflict = Some(("ShortNamesConflict", message));
                    }
                }
            }
        }
        keep(
            &mut accepted,
            "categories",
            wanted.items_at(&["categories"]),
        );
        (accepted, conflict)
    }
}

fn keep(names: &mut Value, key: &str, list: &[Value]) {
    match list.is_empty() {
        true => drop(names.remove_at(&[key])),
        false => names.set_at(&[key], Value::Array(list.to_vec())),
    }
}
