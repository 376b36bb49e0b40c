//! Bringing a stored role or binding up to what the server ships, without
//! taking away what somebody added. Follows
//! component-helpers' auth/rbac/reconciliation.

use super::rule::Rule;
use meta::object::Object as _;
use meta::{Map, Value};

/// Objects that say "false" here are left alone.
const AUTOUPDATE: &str = "rbac.authorization.kubernetes.io/autoupdate";

/// What is to be done with a shipped object.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// It is as it should be, or protected.
    Leave,
    /// Make this object.
    Create(Value),
    /// Write this object over the stored one.
    Update(Value),
    /// Delete the stored object and make this one: a binding's role cannot change.
    Replace(Value),
}

/// Compares the stored object with the shipped one of the same kind and name.
pub fn plan(shipped: &Value, stored: Option<&Value>) -> Action {
    let Some(stored) = stored else {
        return Action::Create(shipped.clone());
    };
    if stored.annotation(AUTOUPDATE) == Some("false") {
        return Action::Leave;
    }
    if shipped.get("roleRef") != stored.get("roleRef") {
        return Action::Replace(shipped.clone());
    }
    let mut object = stored.clone();
    for key in ["labels", "annotations"] {
        add_entries(&mut object, shipped, key);
    }
    match shipped.get("roleRef") {
        Some(_) => add_subjects(&mut object, shipped),
        None => add_rules(&mut object, shipped),
    }
    match object == *stored {
        true => Action::Leave,
        false => Action::Update(object),
    }
}

fn add_entries(object: &mut Value, shipped: &Value, key: &str) {
    let wanted = shipped.at(&["metadata", key]).and_then(Value::as_object);
    for (name, value) in wanted.into_iter().flat_map(Map::iter) {
        object
            .metadata_mut()
            .object(key)
            .insert(name.clone(), value.clone());
    }
}

/// An aggregated role's rules are the aggregation controller's.
fn add_rules(object: &mut Value, shipped: &Value) {
    if let Some(aggregation) = shipped.get("aggregationRule") {
        let selectors = aggregation.items_at(&["clusterRoleSelectors"]).to_vec();
        let mut all = object
            .items_at(&["aggregationRule", "clusterRoleSelectors"])
            .to_vec();
        all.extend(
            selectors
                .into_iter()
                .filter(|s| !all.contains(s))
                .collect::<Vec<_>>(),
        );
        object.set_at(
            &["aggregationRule", "clusterRoleSelectors"],
            Value::Array(all),
        );
        if !object.items_at(&["rules"]).is_empty() {
            return;
        }
    }
    let held = Rule::read_all(object);
    let pieces = Rule::read_all(shipped)
        .into_iter()
        .flat_map(|rule| rule.pieces());
    let missing: Vec<Value> = pieces
        .filter(|piece| !held.iter().any(|rule| rule.covers(piece)))
        .map(|piece| piece.to_value())
        .collect();
    if !missing.is_empty() {
        object
            .make_object()
            .entry("rules")
            .make_array()
            .extend(missing);
    }
}

fn add_subjects(object: &mut Value, shipped: &Value) {
    let held = object.items_at(&["subjects"]).to_vec();
    let missing = shipped
        .items_at(&["subjects"])
        .iter()
        .filter(|s| !held.contains(s));
    let missing: Vec<Value> = missing.cloned().collect();
    if !missing.is_empty() {
        object
            .make_object()
            .entry("subjects")
            .make_array()
            .extend(missing);
    }
}
