//! Who owns which fields, on every write: `metadata.managedFields`.

use super::compare::{Comparison, compare_ownable, is_servers};
use super::merge::merge;
use super::set::{Element, Set};
use super::walk::{Shape, fields_of, remove};
use meta::schema::Struct;
use meta::{Map, Value};

/// The most updaters that are told apart; older ones become one.
const UPDATERS_MAX: usize = 10;
/// The name under which older updaters are merged.
const ANCIENT: &str = "ancient-changes";
/// The owner of what was there before anybody's fields were tracked.
const BEFORE_FIRST_APPLY: &str = "before-first-apply";

/// How a manager came to own its fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// By applying.
    Apply,
    /// By any other write.
    Update,
}

/// Somebody who owns fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manager {
    /// The name.
    pub name: String,
    /// Through which subresource; empty for the object itself.
    pub subresource: String,
    /// By which operation.
    pub operation: Operation,
    /// In terms of which version of the kind.
    pub api_version: String,
}

/// A manager, what it owns, and since when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Who.
    pub manager: Manager,
    /// Since when, RFC 3339; may be empty.
    pub time: String,
    /// What.
    pub fields: Set,
}

/// A field that somebody else owns with another value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// Who owns it, as the message tells it.
    pub manager: String,
    /// The field: `.spec.replicas`.
    pub path: String,
}

/// How an apply ended.
#[derive(Debug)]
pub enum Applied {
    /// The object as it should be, its managers up to date.
    Merged(Value),
    /// Others own what it would change.
    Conflicts(Vec<Conflict>),
}

impl Entry {
    fn read(value: &Value) -> Entry {
        let operation = match value.str_at(&["operation"]) {
            "Apply" => Operation::Apply,
            _ => Operation::Update,
        };
        Entry {
            manager: Manager {
                name: value.str_at(&["manager"]).into(),
                subresource: value.str_at(&["subresource"]).into(),
                operation,
                api_version: value.str_at(&["apiVersion"]).into(),
            },
            time: value.str_at(&["time"]).into(),
            fields: value
                .get("fieldsV1")
                .map(Set::from_value)
                .unwrap_or_default(),
        }
    }

    fn to_value(&self) -> Value {
        let mut map = Map::new();
        map.insert("apiVersion", self.manager.api_version.as_str());
        map.insert("fieldsType", "FieldsV1");
        map.insert("fieldsV1", self.fields.to_value());
        map.insert("manager", self.manager.name.as_str());
        map.insert(
            "operation",
            match self.manager.operation {
                Operation::Apply => "Apply",
                Operation::Update => "Update",
            },
        );
        if !self.manager.subresource.is_empty() {
            map.insert("subresource", self.manager.subresource.as_str());
        }
        if !self.time.is_empty() {
            map.insert("time", self.time.as_str());
        }
        Value::Object(map)
    }

    /// `"kubectl" with subresource "status" using apps/v1 at …`
    fn shown(&self) -> String {
        let mut out = meta::field::quote(&self.manager.name);
        if !self.manager.subresource.is_empty() {
            out.push_str(&format!(
                " with subresource {}",
                meta::field::quote(&self.manager.subresource)
            ));
        }
        if self.manager.operation == Operation::Update {
            out.push_str(&format!(" using {}", self.manager.api_version));
            if !self.time.is_empty() {
                out.push_str(&format!(" at {}", self.time));
            }
        }
        out
    }
}

fn read_all(object: &Value) -> Vec<Entry> {
    object
        .items_at(&["metadata", "managedFields"])
        .iter()
        .map(Entry::read)
        .collect()
}

/// Appliers first, then by time, then by name, as upstream sorts them.
fn write_all(object: &mut Value, mut entries: Vec<Entry>) {
    entries.retain(|entry| !entry.fields.is_empty());
    entries.sort_by(|a, b| {
        let rank = |e: &Entry| e.manager.operation == Operation::Update;
        (rank(a), &a.time, &a.manager.name, &a.manager.subresource).cmp(&(
            rank(b),
            &b.time,
            &b.manager.name,
            &b.manager.subresource,
        ))
    });
    match entries.is_empty() {
        true => drop(object.remove_at(&["metadata", "managedFields"])),
        false => object.set_at(
            &["metadata", "managedFields"],
            Value::Array(entries.iter().map(Entry::to_value).collect()),
        ),
    }
}

/// An object without what nobody can own.
fn ownable(object: &Value) -> Value {
    let entries = object.as_object().into_iter().flat_map(Map::iter);
    let entries = entries.filter_map(|(key, value)| match (key.as_str(), value) {
        ("apiVersion" | "kind", _) => None,
        ("metadata", Value::Object(metadata)) => {
            let kept = metadata.iter().filter(|(key, _)| !is_servers(key));
            let kept: Map = kept.map(|(k, v)| (k.clone(), v.clone())).collect();
            Some((key.clone(), Value::Object(kept)))
        }
        _ => Some((key.clone(), value.clone())),
    });
    Value::Object(entries.collect())
}

/// What an object of a kind is before anybody has said anything of it.
fn blank(schema: &Struct) -> Value {
    let mut blank = Value::object();
    crate::complete(&mut blank, schema);
    blank
}

/// Brings the owners up to date after a create or update that was no apply.
/// `reset` are the fields that this door cannot write. `old` is complete; `new`
/// is made so.
pub fn update(
    old: Option<&Value>,
    new: &mut Value,
    schema: &Struct,
    manager: Manager,
    now: &str,
    reset: &Set,
) {
    crate::complete(new, schema);
    let changes = match old {
        Some(old) => compare_ownable(old, new, schema),
        None => compare_ownable(&blank(schema), new, schema),
    };
    let changes = without(changes, reset);
    // A client that sends no managers means no change; one that sends an entry
    // that says nothing resets them.
    const MANAGERS: &[&str] = &["metadata", "managedFields"];
    let before = old.and_then(|old| old.at(MANAGERS));
    let sent = new.at(MANAGERS);
    if changes.is_same() && (sent.is_none() || sent == before) {
        if let Some(before) = before {
            new.set_at(MANAGERS, before.clone());
        }
        return;
    }
    let kept = match sent {
        Some(_) => read_all(new),
        None => old.map(read_all).unwrap_or_default(),
    };
    let entries = take_over(kept, changes, manager, now);
    write_all(new, capped(entries));
}

fn without(changes: Comparison, reset: &Set) -> Comparison {
    Comparison {
        added: owned(changes.added, reset),
        modified: owned(changes.modified, reset),
        removed: owned(changes.removed, reset),
    }
}

/// What of a set can be owned: not what the door cannot write, and not
/// metadata as such.
fn owned(mut set: Set, reset: &Set) -> Set {
    if !reset.is_empty() {
        set = set.difference_below(reset);
    }
    set.leave(&Element::Field("metadata".into()));
    set
}

/// What changed belongs to this manager now, and to nobody else.
fn take_over(
    mut entries: Vec<Entry>,
    changes: Comparison,
    manager: Manager,
    now: &str,
) -> Vec<Entry> {
    let touched = changes.added.into_union(changes.modified);
    for entry in &mut entries {
        entry.fields = entry.fields.difference(&changes.removed);
        if entry.manager != manager {
            entry.fields = entry.fields.difference(&touched);
        }
    }
    if touched.is_empty() {
        return entries;
    }
    match entries.iter_mut().find(|entry| entry.manager == manager) {
        Some(own) => {
            own.fields = std::mem::take(&mut own.fields).into_union(touched);
            own.time = now.into();
        }
        None => entries.push(Entry {
            manager,
            time: now.into(),
            fields: touched,
        }),
    }
    entries
}

/// Merges the oldest updaters when there are too many.
fn capped(entries: Vec<Entry>) -> Vec<Entry> {
    let (mut updaters, mut out): (Vec<_>, Vec<_>) = entries.into_iter().partition(|e| {
        e.manager.operation == Operation::Update && e.manager.subresource.is_empty()
    });
    if updaters.len() <= UPDATERS_MAX {
        out.extend(updaters);
        return out;
    }
    updaters.sort_by(|a, b| a.time.cmp(&b.time));
    let recent = updaters.split_off(updaters.len() + 1 - UPDATERS_MAX);
    let fields = updaters
        .iter()
        .fold(Set::new(), |all, e| all.union(&e.fields));
    if let Some(newest) = updaters.pop() {
        let manager = Manager {
            name: ANCIENT.into(),
            ..newest.manager
        };
        out.push(Entry {
            manager,
            time: newest.time,
            fields,
        });
    }
    out.extend(recent);
    out
}

/// Applies a configuration to what is there (`None` when nothing is).
pub fn apply(
    live: Option<&Value>,
    config: &Value,
    schema: &Struct,
    manager: Manager,
    now: &str,
    reset: &Set,
    force: bool,
) -> Applied {
    let shape = Shape::Struct(schema);
    let mut entries = live
        .map(|live| tracked(live, shape, &manager, now))
        .unwrap_or_default();
    let mut merged = live.cloned().unwrap_or_else(Value::object);
    merge(&mut merged, config, shape);
    let wanted = owned(fields_of(&ownable(config), shape), reset);
    let last = entries
        .iter()
        .find(|e| e.manager == manager)
        .map(|e| e.fields.clone());
    let unchanged = last.as_ref() == Some(&wanted);
    match entries.iter_mut().find(|e| e.manager == manager) {
        Some(own) => own.fields = wanted,
        None => entries.push(Entry {
            manager: manager.clone(),
            time: now.into(),
            fields: wanted,
        }),
    }
    if let Some(last) = last {
        let held = entries
            .iter()
            .fold(Set::new(), |all, e| all.union(&e.fields));
        let gone = last
            .with_named_parents(shape)
            .difference(&held.with_named_parents(shape));
        remove(&mut merged, &gone, shape);
    }
    crate::complete(&mut merged, schema);
    let changes = match live {
        Some(live) => compare_ownable(live, &merged, schema),
        None => compare_ownable(&blank(schema), &merged, schema),
    };
    let changes = without(changes, reset);
    let touched = changes.added.into_union(changes.modified);
    let has_changed = !touched.is_empty() || !changes.removed.is_empty();
    let conflicts = conflicts(&entries, &manager, &touched);
    if !force && !conflicts.is_empty() {
        return Applied::Conflicts(conflicts);
    }
    for entry in &mut entries {
        if entry.manager != manager {
            entry.fields = entry
                .fields
                .difference(&touched)
                .difference(&changes.removed);
        } else if !unchanged || has_changed {
            entry.time = now.into();
        }
    }
    write_all(&mut merged, entries);
    Applied::Merged(merged)
}

/// The owners of what is there; somebody must own it before others apply.
fn tracked(live: &Value, shape: Shape<'_>, manager: &Manager, now: &str) -> Vec<Entry> {
    let entries = read_all(live);
    if !entries.is_empty() {
        return entries;
    }
    let before = Manager {
        name: BEFORE_FIRST_APPLY.into(),
        subresource: String::new(),
        operation: Operation::Update,
        api_version: manager.api_version.clone(),
    };
    vec![Entry {
        manager: before,
        time: now.into(),
        fields: owned(fields_of(&ownable(live), shape), &Set::new()),
    }]
}

fn conflicts(entries: &[Entry], manager: &Manager, touched: &Set) -> Vec<Conflict> {
    let others = entries.iter().filter(|entry| entry.manager != *manager);
    others
        .flat_map(|entry| {
            let shown = entry.shown();
            let paths = entry.fields.intersection(touched).paths();
            paths.into_iter().map(move |path| Conflict {
                manager: shown.clone(),
                path,
            })
        })
        .collect()
}

/// The set of these top-level fields: what a door cannot write.
pub fn top_level(names: &[&str]) -> Set {
    let mut set = Set::new();
    names
        .iter()
        .for_each(|name| set.insert(&[Element::Field((*name).into())]));
    set
}

#[cfg(test)]
mod tests {
    use super::*;
    use meta::value;

    fn schema() -> &'static Struct {
        api::schema::find("k8s.io/api/apps/v1", "Deployment").expect("the schema of Deployment")
    }

    fn manager(name: &str, operation: Operation) -> Manager {
        Manager {
            name: name.into(),
            subresource: String::new(),
            operation,
            api_version: "apps/v1".into(),
        }
    }

    fn applied(
        live: Option<&Value>,
        config: Value,
        name: &str,
        force: bool,
    ) -> Result<Value, Vec<String>> {
        match apply(
            live,
            &config,
            schema(),
            manager(name, Operation::Apply),
            "T",
            &Set::new(),
            force,
        ) {
            Applied::Merged(object) => Ok(object),
            Applied::Conflicts(conflicts) => Err(conflicts
                .into_iter()
                .map(|c| format!("{} {}", c.manager, c.path))
                .collect()),
        }
    }

    fn owned_by(object: &Value, name: &str) -> String {
        let entries = object.items_at(&["metadata", "managedFields"]);
        let entry = entries.iter().find(|e| e.str_at(&["manager"]) == name);
        entry
            .and_then(|e| e.get("fieldsV1"))
            .map(Value::to_json)
            .unwrap_or_default()
    }

    #[test]
    fn a_create_owns_what_it_sets_as_upstream_spells_it() {
        let mut object = value!({
            "metadata": {"name": "web", "labels": {"app": "web"}},
            "spec": {
                "replicas": 1, "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}},
                "template": {"spec": {"containers": [{"name": "a", "image": "x", "resources": {}}]}}
            }
        });
        update(
            None,
            &mut object,
            schema(),
            manager("kubectl-create", Operation::Update),
            "T",
            &Set::new(),
        );
        assert_eq!(
            owned_by(&object, "kubectl-create"),
            r#"{"f:metadata":{"f:labels":{".":{},"f:app":{}}},"f:spec":{"f:replicas":{},"f:strategy":{"f:rollingUpdate":{".":{},"f:maxSurge":{}},"f:type":{}},"f:template":{"f:spec":{"f:containers":{"k:{\"name\":\"a\"}":{".":{},"f:image":{},"f:name":{},"f:resources":{}}}}}}}"#
        );
    }

    #[test]
    fn appliers_share_an_object_and_conflict_over_a_field() {
        let live = applied(
            None,
            value!({"metadata": {"name": "web"}, "spec": {"replicas": 1, "paused": true}}),
            "a",
            false,
        )
        .expect("no conflict");
        assert_eq!(
            owned_by(&live, "a"),
            r#"{"f:spec":{"f:paused":{},"f:replicas":{}}}"#
        );
        let both = applied(
            Some(&live),
            value!({"metadata": {"labels": {"x": "y"}}, "spec": {"replicas": 1}}),
            "b",
            false,
        )
        .expect("equal values do not conflict");
        assert_eq!(
            owned_by(&both, "b"),
            r#"{"f:metadata":{"f:labels":{"f:x":{}}},"f:spec":{"f:replicas":{}}}"#
        );
        let refused = applied(Some(&both), value!({"spec": {"replicas": 2}}), "b", false);
        assert_eq!(refused, Err(vec!["\"a\" .spec.replicas".to_string()]));
        let forced =
            applied(Some(&both), value!({"spec": {"replicas": 2}}), "b", true).expect("forced");
        assert_eq!(forced.i64_at(&["spec", "replicas"]), Some(2));
        assert_eq!(
            forced.at(&["metadata", "labels", "x"]),
            None,
            "no longer applied, so gone"
        );
        assert_eq!(owned_by(&forced, "a"), r#"{"f:spec":{"f:paused":{}}}"#);
    }

    #[test]
    fn what_others_own_stays() {
        let containers =
            |list: Value| value!({"spec": {"template": {"spec": {"containers": list}}}});
        let live = applied(
            None,
            containers(value!([{"name": "a", "image": "x"}])),
            "one",
            false,
        )
        .expect("created");
        let live = applied(
            Some(&live),
            containers(value!([{"name": "b", "image": "y"}])),
            "two",
            false,
        )
        .expect("added");
        let live = applied(
            Some(&live),
            containers(value!([{"name": "c"}])),
            "one",
            false,
        )
        .expect("replaced its own");
        let names: Vec<&str> = live
            .items_at(&["spec", "template", "spec", "containers"])
            .iter()
            .map(|c| c.str_at(&["name"]))
            .collect();
        assert_eq!(names, ["b", "c"]);
    }

    #[test]
    fn an_update_takes_what_it_changes() {
        let live = applied(None, value!({"spec": {"replicas": 1}}), "a", false).expect("created");
        let mut scaled = live.clone();
        scaled.set_at(&["spec", "replicas"], 3);
        update(
            Some(&live),
            &mut scaled,
            schema(),
            manager("kubectl", Operation::Update),
            "T",
            &Set::new(),
        );
        assert_eq!(
            owned_by(&scaled, "kubectl"),
            r#"{"f:spec":{"f:replicas":{}}}"#
        );
        assert_eq!(owned_by(&scaled, "a"), "");
        let refused = applied(Some(&scaled), value!({"spec": {"replicas": 1}}), "a", false);
        assert_eq!(
            refused,
            Err(vec![
                "\"kubectl\" using apps/v1 at T .spec.replicas".to_string()
            ])
        );
    }

    #[test]
    fn sets_are_spelt_and_read() {
        let text =
            r#"{"f:a":{".":{},"k:{\"name\":\"x\"}":{".":{},"f:b":{}},"v:\"s\"":{}},"f:c":{}}"#;
        let value = crate::json::parse_value(text.as_bytes()).expect("JSON");
        assert_eq!(Set::from_value(&value).to_value().to_json(), text);
    }
}
