//! Objects that kubectl applied from its own side before it applied from the
//! server's: what it wrote then is no conflict now, and its annotation goes on
//! telling what it wrote last. Follows apimachinery's
//! pkg/util/managedfields/internal, lastappliedmanager.go and lastappliedupdater.go.

use crate::decode;
use crate::registry::Resource;
use codec::apply::{Conflict, Shape, compare, fields_of};
use meta::Value;
use meta::object::Object as _;

/// Where kubectl keeps what it applied.
const ANNOTATION: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// The only manager for whom this counts; others give themselves a name.
const KUBECTL: &str = "kubectl";

/// The conflicts that are left when what kubectl itself wrote last is its own.
pub(crate) fn forgive(
    resource: &Resource,
    manager: &str,
    live: Option<&Value>,
    conflicts: Vec<Conflict>,
) -> Vec<Conflict> {
    let kept = (manager == KUBECTL)
        .then(|| live.and_then(|live| kept(resource, live)))
        .flatten()
        .unwrap_or_default();
    let foreign = |conflict: &Conflict| !kept.contains(&conflict.path);
    conflicts.into_iter().filter(foreign).collect()
}

/// Brings the annotation up to date, when there was one.
pub(crate) fn remember(manager: &str, live: Option<&Value>, config: &Value, object: &mut Value) {
    let had_one = live
        .and_then(|live| live.annotation(ANNOTATION))
        .is_some_and(|text| !text.is_empty());
    if manager != KUBECTL || !had_one {
        return;
    }
    let mut config = config.clone();
    config.remove_at(&["metadata", "annotations", ANNOTATION]);
    let annotations = object.metadata_mut().object("annotations");
    annotations.insert(ANNOTATION, format!("{}\n", config.to_json()));
}

/// The fields that still are as kubectl last wrote them.
fn kept(resource: &Resource, live: &Value) -> Option<Vec<String>> {
    let text = live.annotation(ANNOTATION)?;
    let mut last = codec::json::parse_value(text.as_bytes()).ok()?;
    if last.gvk() != Some(resource.card().gvk()) {
        return None;
    }
    decode::conform(&*resource.kind, &mut last).ok()?;
    let shape = Shape::Struct(&resource.card().schema);
    let since = compare(&last, live, shape);
    let kept = fields_of(&last, shape)
        .difference(&since.modified)
        .difference(&since.added)
        .difference(&since.removed);
    Some(kept.paths())
}
