//! Who owns which fields: keeps `metadata.managedFields` true on every write.

use crate::Call;
use crate::last_applied;
use crate::registry::Resource;
use codec::apply::{self, Applied, Manager, Operation, Set};
use jiff::Timestamp;
use meta::object::Object as _;
use meta::{Status, Value, time};

/// The fields that a door cannot write, and that nobody comes to own there.
fn reset(resource: &Resource, subresource: &str) -> Set {
    match subresource {
        "" if resource.card().has_status() => apply::top_level(&["status"]),
        "status" => apply::top_level(&["spec"]),
        _ => Set::new(),
    }
}

fn manager(
    resource: &Resource,
    call: &Call<'_>,
    subresource: &str,
    operation: Operation,
) -> Manager {
    let name = if call.manager.is_empty() {
        "unknown"
    } else {
        &call.manager
    };
    Manager {
        name: name.into(),
        subresource: subresource.into(),
        operation,
        api_version: resource.card().group_version().to_string(),
    }
}

/// After a create or update that was not an apply: the fields that `object`
/// has or changes belong to the caller's manager.
pub(crate) fn updated(
    resource: &Resource,
    call: &Call<'_>,
    now: Timestamp,
    old: Option<&Value>,
    object: &mut Value,
    subresource: &str,
) {
    let manager = manager(resource, call, subresource, Operation::Update);
    let reset = reset(resource, subresource);
    // What is stored is complete, but in the words of another kind it may not be.
    let completed = match (old, resource.kind.hub()) {
        (Some(old), Some(_)) => {
            let mut old = old.clone();
            codec::complete(&mut old, &resource.card().schema);
            Some(old)
        }
        _ => None,
    };
    let old = completed.as_ref().or(old);
    apply::update(
        old,
        object,
        &resource.card().schema,
        manager,
        &time::seconds(now),
        &reset,
    );
}

/// Applies a configuration to what is there, or says who else owns what it
/// would change: 409 with a cause per field.
pub fn applied(
    resource: &Resource,
    call: &Call<'_>,
    now: Timestamp,
    live: Option<&Value>,
    config: &Value,
    subresource: &str,
    force: bool,
) -> Result<Value, Status> {
    let manager = manager(resource, call, subresource, Operation::Apply);
    let name = manager.name.clone();
    let reset = reset(resource, subresource);
    let now = time::seconds(now);
    let attempt = |force| {
        let manager = manager.clone();
        let schema = &*resource.card().schema;
        apply::apply(live, config, schema, manager, &now, &reset, force)
    };
    let mut outcome = attempt(force);
    if let Applied::Conflicts(conflicts) = outcome {
        let conflicts = last_applied::forgive(resource, &name, live, conflicts);
        outcome = match conflicts.is_empty() {
            true => attempt(true),
            false => Applied::Conflicts(conflicts),
        };
    }
    match outcome {
        Applied::Merged(mut object) => {
            last_applied::remember(&name, live, config, &mut object);
            object.set_gvk(&resource.card().gvk());
            Ok(object)
        }
        Applied::Conflicts(conflicts) => Err(refuse(&conflicts)),
    }
}

/// Follows apimachinery's pkg/util/managedfields/internal/conflict.go.
fn refuse(conflicts: &[apply::Conflict]) -> Status {
    let message = match conflicts {
        [one] => format!(
            "Apply failed with 1 conflict: conflict with {}: {}",
            one.manager, one.path
        ),
        many => {
            let mut managers: Vec<&str> = many.iter().map(|c| c.manager.as_str()).collect();
            managers.sort_unstable();
            managers.dedup();
            let mut lines = Vec::new();
            for manager in managers {
                lines.push(format!("conflicts with {manager}:"));
                let paths = many.iter().filter(|c| c.manager == manager);
                lines.extend(paths.map(|c| format!("- {}", c.path)));
            }
            format!(
                "Apply failed with {} conflicts: {}",
                many.len(),
                lines.join("\n")
            )
        }
    };
    let status = Status::new(meta::Reason::Conflict, message);
    conflicts.iter().fold(status, |status, conflict| {
        let message = format!("conflict with {}", conflict.manager);
        status.cause("FieldManagerConflict", message, conflict.path.clone())
    })
}
