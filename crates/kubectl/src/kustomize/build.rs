//! Layers: a kustomization reads its resources, generates, includes its
//! components, and transforms all of them.

use super::resource::Resource;
use super::{Built, Error, Files, generate, order, patch, references, replace, transform};
use meta::Value;
use std::path::{Component, Path, PathBuf};

const NAMES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// What a kustomization may say.
const KNOWN: &[&str] = &[
    "apiVersion",
    "bases",
    "commonAnnotations",
    "commonLabels",
    "components",
    "configMapGenerator",
    "crds",
    "generatorOptions",
    "images",
    "kind",
    "labels",
    "metadata",
    "namePrefix",
    "nameSuffix",
    "namespace",
    "patches",
    "patchesJson6902",
    "patchesStrategicMerge",
    "replacements",
    "replicas",
    "resources",
    "secretGenerator",
    "sortOptions",
];

/// What upstream knows and this program does not.
const REFUSED: &[&str] = &[
    "buildMetadata",
    "configurations",
    "generators",
    "helmChartInflationGenerator",
    "helmCharts",
    "helmGlobals",
    "imageTags",
    "openapi",
    "transformers",
    "validators",
    "vars",
];

const DEPRECATED: [(&str, &str); 4] = [
    ("bases", "resources"),
    ("commonLabels", "labels"),
    ("patchesJson6902", "patches"),
    ("patchesStrategicMerge", "patches"),
];

/// One kustomization and where its files are.
pub(super) struct Layer<'a> {
    files: &'a dyn Files,
    pub(super) folder: PathBuf,
    pub(super) kustomization: Value,
}

impl Layer<'_> {
    /// The entries of a list.
    pub(super) fn items(&self, key: &str) -> &[Value] {
        self.kustomization.items_at(&[key])
    }

    /// The bytes of a file named by the kustomization.
    pub(super) fn read(&self, path: &str) -> Result<Vec<u8>, Error> {
        refuse_remote(path)?;
        let path = clean(&self.folder.join(path));
        if self.files.is_confined() && !is_below(&path, &self.folder) {
            let root = self.folder.clone();
            return Err(Error::Outside { path, root });
        }
        self.files
            .read(&path)
            .map_err(|source| Error::Read { path, source })
    }
}

fn is_below(path: &Path, folder: &Path) -> bool {
    let folder = folder.strip_prefix(".").unwrap_or(folder);
    let rest = path.strip_prefix(folder);
    rest.is_ok_and(|rest| !rest.components().any(|part| part == Component::ParentDir))
}

pub(super) fn build(files: &dyn Files, folder: &Path) -> Result<Built, Error> {
    let mut run = Run {
        files,
        open: Vec::new(),
        warnings: Vec::new(),
    };
    let mut resources = Vec::new();
    let layer = run.layer(&clean(folder), &mut resources)?;
    generate::add_hashes(&mut resources);
    references::fix(&mut resources)?;
    resources.retain(|r| {
        let annotations = [
            "metadata",
            "annotations",
            "config.kubernetes.io/local-config",
        ];
        r.value.str_at(&annotations) != "true"
    });
    sort(&layer.kustomization, &mut resources)?;
    Ok(Built {
        objects: resources.into_iter().map(|r| r.value).collect(),
        warnings: run.warnings,
    })
}

fn sort(kustomization: &Value, resources: &mut [Resource]) -> Result<(), Error> {
    match kustomization.str_at(&["sortOptions", "order"]) {
        "fifo" => {}
        "legacy" | "" => match kustomization.at(&["sortOptions", "legacySortOptions"]) {
            Some(options) => {
                let kinds = |key| -> Vec<&str> {
                    let items = options.items_at(&[key]).iter();
                    items.filter_map(Value::as_str).collect()
                };
                order::sort(resources, &kinds("orderFirst"), &kinds("orderLast"));
            }
            None => order::legacy(resources),
        },
        _ => {
            return Err(Error::Misfit(
                "the field 'sortOptions.order' must be one of [fifo, legacy]".into(),
            ));
        }
    }
    Ok(())
}

struct Run<'a> {
    files: &'a dyn Files,
    open: Vec<PathBuf>,
    warnings: Vec<String>,
}

impl<'a> Run<'a> {
    /// Adds what a folder gives to the resources, which a component also changes.
    fn layer(&mut self, folder: &Path, resources: &mut Vec<Resource>) -> Result<Layer<'a>, Error> {
        if self.open.iter().any(|open| open == folder) {
            return Err(Error::Cycle(folder.to_path_buf()));
        }
        self.open.push(folder.to_path_buf());
        let layer = self.load(folder)?;
        let is_component = layer.kustomization.str_at(&["kind"]) == "Component";
        let mut own = match is_component {
            true => std::mem::take(resources),
            false => Vec::new(),
        };
        for entry in layer.items("resources").iter().chain(layer.items("bases")) {
            self.resource(&layer, entry.as_str().unwrap_or_default(), &mut own)?;
        }
        generate::run(&layer, &mut own)?;
        for entry in layer.items("components") {
            let path = entry.as_str().unwrap_or_default();
            refuse_remote(path)?;
            self.layer(&clean(&layer.folder.join(path)), &mut own)?;
        }
        patch::run(&layer, &mut own)?;
        transform::namespace(&layer, &mut own);
        transform::affixes(&layer, &mut own);
        transform::labels(&layer, &mut own)?;
        patch::run_json(&layer, &mut own)?;
        transform::replicas(&layer, &mut own)?;
        transform::images(&layer, &mut own);
        replace::run(&layer, &mut own)?;
        for resource in own {
            add(resource, resources)?;
        }
        self.open.pop();
        Ok(layer)
    }

    fn load(&mut self, folder: &Path) -> Result<Layer<'a>, Error> {
        let found = NAMES.iter().find_map(|name| {
            let path = clean(&folder.join(name));
            self.files.read(&path).ok().map(|bytes| (path, bytes))
        });
        let (path, bytes) = found.ok_or_else(|| Error::NoKustomization(folder.to_path_buf()))?;
        let malformed = |why: String| Error::Malformed {
            path: path.clone(),
            why,
        };
        let text = String::from_utf8_lossy(&bytes);
        let kustomization =
            codec::yaml::parse(&text).map_err(|error| malformed(error.to_string()))?;
        let Some(map) = kustomization.as_object() else {
            return Err(malformed("kustomization.yaml is empty".into()));
        };
        for (key, value) in map.iter() {
            if REFUSED.contains(&key.as_str()) && !value.is_empty() {
                return Err(Error::Unsupported(format!(
                    "the field {key} of a kustomization"
                )));
            }
            if !KNOWN.contains(&key.as_str()) && !REFUSED.contains(&key.as_str()) {
                let why = format!("invalid Kustomization: json: unknown field \"{key}\"");
                return Err(Error::Misfit(why));
            }
        }
        for (old, new) in DEPRECATED {
            if map.contains_key(old) {
                self.warnings.push(format!(
                    "# Warning: '{old}' is deprecated. Please use '{new}' instead. Run 'kustomize edit fix' to update your Kustomization automatically."
                ));
            }
        }
        Ok(Layer {
            files: self.files,
            folder: folder.to_path_buf(),
            kustomization,
        })
    }

    fn resource(
        &mut self,
        layer: &Layer<'_>,
        path: &str,
        resources: &mut Vec<Resource>,
    ) -> Result<(), Error> {
        refuse_remote(path)?;
        let full = clean(&layer.folder.join(path));
        if self.files.is_dir(&full) {
            let mut below = Vec::new();
            self.layer(&full, &mut below)?;
            return below.into_iter().try_for_each(|r| add(r, resources));
        }
        let text = String::from_utf8_lossy(&layer.read(path)?).into_owned();
        for document in documents(&full, &text)? {
            let objects = match document.str_at(&["kind"]).ends_with("List") {
                true if document.get("items").is_some() => document.items_at(&["items"]).to_vec(),
                _ => vec![document],
            };
            for object in objects {
                let missing = ["kind", "metadata"]
                    .into_iter()
                    .find(|key| object.get(key).is_none());
                if let Some(key) = missing {
                    return Err(Error::Malformed {
                        path: full,
                        why: format!("missing {key} in object"),
                    });
                }
                add(Resource::new(object), resources)?;
            }
        }
        Ok(())
    }
}

fn add(resource: Resource, resources: &mut Vec<Resource>) -> Result<(), Error> {
    let id = resource.id();
    if resources.iter().any(|other| other.id().is_same(&id)) {
        return Err(Error::Misfit(format!(
            "may not add resource with an already registered id: {id}"
        )));
    }
    resources.push(resource);
    Ok(())
}

fn refuse_remote(path: &str) -> Result<(), Error> {
    let remote = path.contains("://")
        || path.starts_with("git@")
        || path.starts_with("github.com/")
        || path.contains("?ref=");
    match remote {
        true => Err(Error::Unsupported(format!("the remote resource {path}"))),
        false => Ok(()),
    }
}

/// The documents of a text, empty ones left out.
pub(super) fn documents(path: &Path, text: &str) -> Result<Vec<Value>, Error> {
    let mut parts = vec![String::new()];
    for line in text.lines() {
        if line.trim_end() == "---" || line.starts_with("--- ") {
            parts.push(String::new());
            continue;
        }
        if let Some(part) = parts.last_mut() {
            part.push_str(line);
            part.push('\n');
        }
    }
    let mut out = Vec::new();
    for part in parts {
        let value = codec::yaml::parse(&part).map_err(|error| Error::Malformed {
            path: path.to_path_buf(),
            why: error.to_string(),
        })?;
        if !value.is_null() {
            out.push(value);
        }
    }
    Ok(out)
}

/// A path without `.` and `..`.
fn clean(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir
                if matches!(out.components().next_back(), Some(Component::Normal(_))) =>
            {
                out.pop();
            }
            part => out.push(part),
        }
    }
    if out.as_os_str().is_empty() {
        out.push(".");
    }
    out
}
