//! Patches: strategic merge and JSON 6902, by target or by the patch's own name.

use super::Error;
use super::build::{Layer, documents};
use super::pattern::Pattern;
use super::resource::{Id, Resource};
use meta::{LabelSelector, Value};

/// `patchesStrategicMerge` and `patches`.
pub(super) fn run(layer: &Layer<'_>, resources: &mut Vec<Resource>) -> Result<(), Error> {
    for entry in layer.items("patchesStrategicMerge") {
        let text = entry.as_str().unwrap_or_default();
        let text = match text.contains('\n') {
            true => text.to_string(),
            false => String::from_utf8_lossy(&layer.read(text)?).into_owned(),
        };
        for patch in documents(&layer.folder, &text)? {
            by_name(&patch, resources)?;
        }
    }
    for entry in layer.items("patches") {
        let text = text_of(layer, entry)?;
        let keeps = |option: &str| !entry.is_true_at(&["options", option]);
        let keep = (keeps("allowNameChange"), keeps("allowKindChange"));
        for patch in documents(&layer.folder, &text)? {
            match entry.get("target") {
                Some(target) => by_target(&patch, target, keep, resources)?,
                None if patch.as_array().is_some() => {
                    return Err(Error::Misfit(format!(
                        "must specify a target for JSON patch {}",
                        text.trim()
                    )));
                }
                None => by_name(&patch, resources)?,
            }
        }
    }
    Ok(())
}

/// `patchesJson6902`
pub(super) fn run_json(layer: &Layer<'_>, resources: &mut Vec<Resource>) -> Result<(), Error> {
    for entry in layer.items("patchesJson6902") {
        let text = text_of(layer, entry)?;
        let target = entry.get("target").cloned().unwrap_or_default();
        for patch in documents(&layer.folder, &text)? {
            by_target(&patch, &target, (true, true), resources)?;
        }
    }
    Ok(())
}

fn text_of(layer: &Layer<'_>, entry: &Value) -> Result<String, Error> {
    match (entry.str_at(&["patch"]), entry.str_at(&["path"])) {
        ("", "") => Err(Error::Misfit(
            "must specify one of patch and path in PatchTransformer".into(),
        )),
        ("", path) => Ok(String::from_utf8_lossy(&layer.read(path)?).into_owned()),
        (patch, "") => Ok(patch.to_string()),
        _ => Err(Error::Misfit(
            "patch and path can't be set at the same time".into(),
        )),
    }
}

fn by_name(patch: &Value, resources: &mut Vec<Resource>) -> Result<(), Error> {
    let id = Id::of(patch);
    let found: Vec<usize> = (0..resources.len())
        .filter(|&i| resources[i].is_called(&id))
        .collect();
    let [at] = found.as_slice() else {
        let why = if found.is_empty() {
            "no matches for Id"
        } else {
            "multiple matches for Id"
        };
        return Err(Error::Misfit(format!(
            "{why} {id}; failed to find unique target for patch {id}"
        )));
    };
    merge(patch, *at, (true, true), resources)
}

fn by_target(
    patch: &Value,
    target: &Value,
    keep: (bool, bool),
    resources: &mut Vec<Resource>,
) -> Result<(), Error> {
    let selector = Selector::new(target)?;
    let found: Vec<usize> = (0..resources.len())
        .filter(|&i| selector.selects(&resources[i]))
        .collect();
    for &at in found.iter().rev() {
        match patch {
            Value::Array(_) => {
                let applied = codec::patch::json::apply(&mut resources[at].value, patch);
                applied.map_err(|error| Error::Misfit(error.to_string()))?;
            }
            patch => merge(patch, at, keep, resources)?,
        }
    }
    Ok(())
}

/// Merges a patch into an object; name and kind stay as they are if `keep`
/// says so.
fn merge(
    patch: &Value,
    at: usize,
    keep: (bool, bool),
    resources: &mut Vec<Resource>,
) -> Result<(), Error> {
    if patch.str_at(&["$patch"]) == "delete" {
        resources.remove(at);
        return Ok(());
    }
    let old = resources[at].id();
    let api_version = resources[at].value.str_at(&["apiVersion"]).to_string();
    let target = &mut resources[at].value;
    let applied = match api::schema::of(&api_version, &old.kind) {
        Some(schema) => codec::patch::strategic::apply(target, patch.clone(), schema),
        None => {
            codec::patch::merge::apply(target, patch.clone());
            Ok(())
        }
    };
    applied.map_err(|error| Error::Misfit(error.to_string()))?;
    if keep.0 {
        target.set_at(&["metadata", "name"], old.name.as_str());
        match old.namespace.as_str() {
            "" => {
                target.remove_at(&["metadata", "namespace"]);
            }
            namespace => target.set_at(&["metadata", "namespace"], namespace),
        }
    }
    if keep.1 {
        target.set_at(&["kind"], old.kind.as_str());
        target.set_at(&["apiVersion"], api_version);
    }
    Ok(())
}

/// What a target selects: patterns for the parts of the name, and selectors.
pub(super) struct Selector {
    parts: Vec<(fn(&Id) -> &str, Pattern)>,
    labels: Option<LabelSelector>,
    annotations: Option<LabelSelector>,
}

impl Selector {
    pub(super) fn new(target: &Value) -> Result<Self, Error> {
        const PARTS: [(&str, fn(&Id) -> &str); 5] = [
            ("group", |id| &id.group),
            ("version", |id| &id.version),
            ("kind", |id| &id.kind),
            ("name", |id| &id.name),
            ("namespace", |id| id.effective_namespace()),
        ];
        let mut parts: Vec<(fn(&Id) -> &str, Pattern)> = Vec::new();
        for (key, part) in PARTS {
            match target.str_at(&[key]) {
                "" => {}
                text => parts.push((part, Pattern::parse(text)?)),
            }
        }
        let selector = |key| match target.str_at(&[key]) {
            "" => Ok(None),
            text => LabelSelector::parse(text).map(Some).map_err(Error::Misfit),
        };
        Ok(Selector {
            parts,
            labels: selector("labelSelector")?,
            annotations: selector("annotationSelector")?,
        })
    }

    pub(super) fn selects(&self, resource: &Resource) -> bool {
        let fits = |id: &Id| {
            self.parts
                .iter()
                .all(|(part, pattern)| pattern.matches(part(id)))
        };
        let object = &resource.value;
        let chosen = |selector: &Option<LabelSelector>, key| {
            let map = object.at(&["metadata", key]);
            selector.as_ref().is_none_or(|s| s.matches_value(map))
        };
        resource.ids().iter().any(fits)
            && chosen(&self.labels, "labels")
            && chosen(&self.annotations, "annotations")
    }
}
