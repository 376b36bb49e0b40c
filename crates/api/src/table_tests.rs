//! The table of kinds against the committed facts of the API.

use crate::kind::{Card, Kind};
use std::collections::{BTreeMap, BTreeSet};

const RESOURCES: &str = include_str!("../../../spec/resources.tsv");

/// One line of the facts: a resource or a subresource.
struct Fact {
    kind: &'static str,
    namespaced: bool,
    verbs: Vec<&'static str>,
    short_names: Vec<&'static str>,
    categories: Vec<&'static str>,
}

fn list(cell: &'static str) -> Vec<&'static str> {
    cell.split(',').filter(|s| !s.is_empty()).collect()
}

/// By group, version and resource.
fn facts() -> BTreeMap<(&'static str, &'static str, &'static str), Fact> {
    let mut facts = BTreeMap::new();
    for line in RESOURCES.lines().skip(1) {
        let cells: Vec<&str> = line.split('\t').collect();
        let group = if cells[0] == "core" { "" } else { cells[0] };
        let fact = Fact {
            kind: cells[3],
            namespaced: cells[5] == "Namespaced",
            verbs: verbs(cells[6]),
            short_names: list(cells[8]),
            categories: list(cells[9]),
        };
        facts.insert((group, cells[1], cells[4]), fact);
    }
    facts
}

/// What the facts call `connect:POST` is `create` to the authoriser and in discovery.
fn verbs(cell: &'static str) -> Vec<&'static str> {
    let verb = |v| match v {
        "connect:GET" => Some("get"),
        "connect:POST" => Some("create"),
        "connect:DELETE" => Some("delete"),
        "connect:PUT" => Some("update"),
        "connect:PATCH" => Some("patch"),
        other if other.starts_with("connect:") => None,
        other => Some(other),
    };
    let verbs: BTreeSet<&str> = list(cell).into_iter().filter_map(verb).collect();
    verbs.into_iter().collect()
}

fn cards() -> impl Iterator<Item = &'static Card> {
    crate::kinds().map(Kind::card)
}

#[test]
fn cards_agree_with_the_facts() {
    let facts = facts();
    for card in cards() {
        let at = (card.group, card.version, card.plural);
        let fact = facts
            .get(&at)
            .unwrap_or_else(|| panic!("no fact of {at:?}"));
        assert_eq!(card.kind, fact.kind, "{at:?}");
        assert_eq!(card.namespaced, fact.namespaced, "{at:?}");
        assert_eq!(card.verbs.names(), fact.verbs, "{at:?}");
        assert_eq!(card.short_names, fact.short_names, "{at:?}");
        assert_eq!(card.categories, fact.categories, "{at:?}");
        assert_eq!(card.singular, card.kind.to_lowercase(), "{at:?}");
        assert_eq!(card.schema.name, card.kind, "{at:?}");
    }
}

#[test]
fn subresources_agree_with_the_facts() {
    let facts = facts();
    for card in cards() {
        for subresource in card.subresources {
            let path = format!("{}/{}", card.plural, subresource.name);
            let found = facts.iter().find(|((group, version, resource), _)| {
                *group == card.group && *version == card.version && *resource == path
            });
            let (_, fact) = found.unwrap_or_else(|| panic!("no fact of {path}"));
            assert_eq!(subresource.verbs, fact.verbs, "{path}");
            let kind = subresource.body.map_or(card.kind, |(_, _, kind)| kind);
            // A log answers with text; discovery calls it by the pod's kind.
            assert_eq!(kind, fact.kind, "{path}");
        }
    }
}

#[test]
fn names_are_unique_within_their_group() {
    let mut seen = BTreeSet::new();
    for card in cards() {
        let mut names = vec![card.plural, card.kind];
        names.extend(card.short_names);
        for name in names {
            assert!(
                seen.insert((card.group, card.version, name)),
                "{name} twice in {}/{}",
                card.group,
                card.version
            );
        }
    }
}

#[test]
fn groups_hold_their_own_kinds_alphabetically() {
    for kinds in crate::GROUPS {
        let cards: Vec<&Card> = kinds.iter().map(|k| k.card()).collect();
        assert!(cards.windows(2).all(|c| c[0].group == c[1].group));
        assert!(cards.windows(2).all(|c| c[0].kind < c[1].kind));
    }
}

#[test]
fn every_kind_prints_an_empty_object() {
    let now = meta::time::parse("2024-01-01T00:00:00Z").expect("a time");
    for kind in crate::kinds() {
        let cells = kind.cells(&meta::Value::object(), now);
        assert_eq!(cells.len(), kind.columns().len(), "{}", kind.card().kind);
    }
}

/// Defaults, strategies and validation meet objects of every shape: an empty
/// one must not make them fall over, and defaulting twice is defaulting once.
#[test]
fn every_kind_survives_an_empty_object() {
    for kind in crate::kinds() {
        let mut object = meta::Value::object();
        kind.default(&mut object);
        kind.prepare_create(&mut object);
        let once = object.clone();
        kind.default(&mut object);
        assert_eq!(object, once, "{}", kind.card().kind);
        let root = meta::Field::root(&object);
        let mut errors = meta::Errors::new();
        kind.validate(&root, &mut errors);
        kind.validate_update(&root, &root, crate::Door::Main, &mut errors);
        kind.warnings(&object, None);
        for field in kind.selectable() {
            kind.field(&object, field);
        }
    }
}

/// An object with every field that its schema knows.
fn full(of: &meta::schema::Struct, depth: usize) -> meta::Value {
    let fields = of.fields.iter().filter(|f| f.json != "managedFields");
    let entries = fields.map(|f| (f.json.to_string(), full_value(&f.ty, depth)));
    meta::Value::Object(entries.collect())
}

fn full_value(ty: &meta::schema::Type, depth: usize) -> meta::Value {
    use meta::schema::Type;
    use meta::{Value, value};
    if depth == 0 {
        return Value::Null;
    }
    match ty {
        Type::String => "a".into(),
        Type::Int32 | Type::Int64 | Type::IntOrString => 1.into(),
        Type::Float => 1.5.into(),
        Type::Bool => true.into(),
        Type::Bytes => "YQ==".into(),
        Type::Time => "2024-01-01T00:00:00Z".into(),
        Type::MicroTime => "2024-01-01T00:00:00.000000Z".into(),
        Type::Duration => "1s".into(),
        Type::Quantity => "1".into(),
        Type::Any => value!({"a": 1}),
        Type::Map(map) => value!({"a": full_value(&map.value, depth - 1)}),
        Type::List(list) => value!([full_value(&list.item, depth - 1)]),
        Type::Struct(of) => full(of, depth - 1),
    }
}

/// Every branch meets a value: nothing falls over, defaulting twice is
/// defaulting once, and a hub keeps what it converts.
#[test]
fn every_kind_survives_a_full_object() {
    for kind in crate::kinds() {
        let name = kind.card().kind;
        let mut object = full(&kind.card().schema, 12);
        kind.default(&mut object);
        let once = object.clone();
        kind.default(&mut object);
        assert_eq!(object, once, "{name}");
        if let Some(hub) = kind.hub() {
            let back = hub.from_hub(hub.to_hub(object.clone()));
            assert_eq!(back.get("regarding"), object.get("regarding"), "{name}");
        }
        kind.prepare_create(&mut object);
        let old = object.clone();
        let mut errors = meta::Errors::new();
        kind.validate(&meta::Field::root(&object), &mut errors);
        for door in ["finalize", "binding", "resize", "ephemeralcontainers"] {
            let doors = [
                crate::Door::Main,
                crate::Door::Status,
                crate::Door::Other(door),
            ];
            for door in doors {
                let mut object = old.clone();
                kind.prepare_update(&mut object, &old, door);
                let (new, old) = (meta::Field::root(&object), meta::Field::root(&old));
                kind.validate_update(&new, &old, door, &mut errors);
            }
        }
        kind.warnings(&object, None);
        kind.warnings(&object, Some(&old));
        let now = meta::time::parse("2024-01-01T00:00:00Z").expect("a time");
        assert_eq!(
            kind.cells(&object, now).len(),
            kind.columns().len(),
            "{name}"
        );
        kind.prepare_delete(&mut object);
        kind.is_held(&object);
        kind.grace(&object, Some(1));
    }
}

/// An update that changes nothing is never refused for a change.
#[test]
fn a_full_object_may_stay_as_it_is() {
    for kind in crate::kinds() {
        let mut object = full(&kind.card().schema, 12);
        kind.default(&mut object);
        kind.prepare_create(&mut object);
        let mut same = object.clone();
        kind.prepare_update(&mut same, &object, crate::Door::Main);
        let mut errors = meta::Errors::new();
        let (new, old) = (meta::Field::root(&same), meta::Field::root(&object));
        kind.validate_update(&new, &old, crate::Door::Main, &mut errors);
        let complaints = errors.0.iter().filter(|e| {
            [
                "immutable",
                "may not be changed",
                "may not change",
                "cannot change",
            ]
            .iter()
            .any(|word| e.detail.contains(word))
        });
        let complaints: Vec<String> = complaints.map(ToString::to_string).collect();
        assert_eq!(complaints, Vec::<String>::new(), "{}", kind.card().kind);
    }
}
