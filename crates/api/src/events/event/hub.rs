//! One event, two spellings: the core group's is stored. Follows
//! pkg/apis/events/v1/conversion.go.

use crate::kind::{Hub, Kind};
use meta::object::Object as _;
use meta::{GroupVersionKind, Map, Value};

/// Names here and there.
const NAMES: &[(&str, &str)] = &[
    ("regarding", "involvedObject"),
    ("note", "message"),
    ("reportingController", "reportingComponent"),
    ("deprecatedSource", "source"),
    ("deprecatedFirstTimestamp", "firstTimestamp"),
    ("deprecatedLastTimestamp", "lastTimestamp"),
    ("deprecatedCount", "count"),
];

/// The conversion.
pub(super) struct EventHub;

impl Hub for EventHub {
    fn kind(&self) -> &'static dyn Kind {
        &crate::core::event::Event
    }
    fn to_hub(&self, object: Value) -> Value {
        rename(object, &GroupVersionKind::new("", "v1", "Event"), |name| {
            let found = NAMES.iter().find(|(here, _)| *here == name);
            found.map_or(name, |(_, there)| there)
        })
    }
    fn from_hub(&self, object: Value) -> Value {
        let gvk = GroupVersionKind::new("events.k8s.io", "v1", "Event");
        rename(object, &gvk, |name| {
            let found = NAMES.iter().find(|(_, there)| *there == name);
            found.map_or(name, |(here, _)| here)
        })
    }
    fn hub_field(&self, name: &str) -> String {
        core_name(name)
    }
}

fn rename(object: Value, gvk: &GroupVersionKind, name: impl Fn(&str) -> &str) -> Value {
    let Value::Object(map) = object else {
        return object;
    };
    let typed = map.contains_key("kind");
    let renamed: Map = map
        .into_iter()
        .map(|(key, value)| (meta::Str::from(name(&key)), value))
        .collect();
    let mut object = Value::Object(renamed);
    if typed {
        object.set_gvk(gvk);
    }
    object
}

/// The core name of a field by which lists are selected.
pub(super) fn core_name(name: &str) -> String {
    match name.strip_prefix("regarding.") {
        Some(rest) => format!("involvedObject.{rest}"),
        None if name == "reportingController" => "reportingComponent".into(),
        None => name.into(),
    }
}
