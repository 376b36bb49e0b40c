//! ConfigMaps and Secrets made of files and literals, and the hashes that
//! their names end with.

use super::Error;
use super::build::Layer;
use super::resource::Resource;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use meta::{Map, Value, go, value};
use sha2::{Digest, Sha256};

const LINE: usize = 70;

/// All generated objects of a kustomization join the others.
pub(super) fn run(layer: &Layer<'_>, resources: &mut Vec<Resource>) -> Result<(), Error> {
    for (key, kind) in [
        ("configMapGenerator", "ConfigMap"),
        ("secretGenerator", "Secret"),
    ] {
        for args in layer.items(key) {
            let generated = generate(layer, args, kind)?;
            join(generated, args.str_at(&["behavior"]), resources)?;
        }
    }
    Ok(())
}

fn generate(layer: &Layer<'_>, args: &Value, kind: &str) -> Result<Resource, Error> {
    let name = args.str_at(&["name"]);
    let mut object = value!({"apiVersion": "v1", "kind": kind, "metadata": {"name": name}});
    let namespace = args.str_at(&["namespace"]);
    if !namespace.is_empty() {
        object.set_at(&["metadata", "namespace"], namespace);
    }
    if kind == "Secret" {
        let secret_type = match args.str_at(&["type"]) {
            "" => "Opaque",
            given => given,
        };
        object.set_at(&["type"], secret_type);
    }
    for (key, bytes) in pairs(layer, args)? {
        if !meta::names::config_map_key(&key).is_empty() && kind == "ConfigMap" {
            return Err(Error::Misfit(format!(
                "\"{key}\" is not a valid key name for a ConfigMap"
            )));
        }
        match std::str::from_utf8(&bytes) {
            Ok(text) if kind == "ConfigMap" => object.set_at(&["data", &key], text),
            Err(_) if kind == "ConfigMap" => object.set_at(&["binaryData", &key], encoded(&bytes)),
            _ => object.set_at(&["data", &key], encoded(&bytes)),
        }
    }
    let options = [
        layer.kustomization.get("generatorOptions"),
        args.get("options"),
    ];
    let mut hashed = true;
    for options in options.into_iter().flatten() {
        for part in ["labels", "annotations"] {
            let entries = options.get(part).and_then(Value::as_object);
            for (key, value) in entries.into_iter().flat_map(Map::iter) {
                object.set_at(&["metadata", part, key], value.clone());
            }
        }
        if options.is_true_at(&["immutable"]) {
            object.set_at(&["immutable"], true);
        }
        hashed &= !options.is_true_at(&["disableNameSuffixHash"]);
    }
    let mut resource = Resource::new(object);
    resource.needs_hash = hashed;
    Ok(resource)
}

type Pairs = Vec<(String, Vec<u8>)>;

fn pairs(layer: &Layer<'_>, args: &Value) -> Result<Pairs, Error> {
    let strings = |key: &str| -> Vec<String> {
        let items = args.items_at(&[key]).iter().filter_map(Value::as_str);
        items.map(String::from).collect()
    };
    let mut pairs = Pairs::new();
    let mut envs = strings("envs");
    envs.extend(args.get("env").and_then(Value::as_str).map(String::from));
    for path in envs {
        let text = String::from_utf8_lossy(&layer.read(&path)?).into_owned();
        for line in text.trim_start_matches('\u{feff}').lines() {
            let line = line.trim_start();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (key, value) = match line.split_once('=') {
                Some((key, value)) => (key, value.to_string()),
                None => (line, std::env::var(line).unwrap_or_default()),
            };
            pairs.push((key.to_string(), value.into_bytes()));
        }
    }
    for literal in strings("literals") {
        let Some((key, value)) = literal.split_once('=').filter(|(key, _)| !key.is_empty()) else {
            return Err(Error::Misfit(format!(
                "invalid literal source {literal}, expected key=value"
            )));
        };
        let inner = ['"', '\'']
            .iter()
            .find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote));
        pairs.push((key.to_string(), inner.unwrap_or(value).as_bytes().to_vec()));
    }
    for file in strings("files") {
        let (key, path) = match file.split_once('=') {
            Some((key, path)) => (key.to_string(), path.to_string()),
            None => (
                file.rsplit('/').next().unwrap_or(&file).to_string(),
                file.clone(),
            ),
        };
        let bytes = layer.read(&path)?;
        pairs.push((key, bytes));
    }
    let mut seen = std::collections::BTreeSet::new();
    match pairs.iter().find(|(key, _)| !seen.insert(key.clone())) {
        Some((key, _)) => Err(Error::Misfit(format!(
            "cannot add key {key}, another key by that name already exists"
        ))),
        None => Ok(pairs),
    }
}

/// Base64, in lines when it is long.
fn encoded(bytes: &[u8]) -> String {
    let text = STANDARD.encode(bytes);
    if text.len() < LINE {
        return text;
    }
    let mut out = String::with_capacity(text.len() + text.len() / LINE + 1);
    for (i, c) in text.chars().enumerate() {
        if i > 0 && i % LINE == 0 {
            out.push('\n');
        }
        out.push(c);
    }
    out.push('\n');
    out
}

fn join(
    mut generated: Resource,
    behavior: &str,
    resources: &mut Vec<Resource>,
) -> Result<(), Error> {
    let id = generated.id();
    let existing = resources.iter().position(|r| r.is_called(&id));
    match (behavior, existing) {
        ("" | "unspecified" | "create", None) => resources.push(generated),
        ("" | "unspecified" | "create", Some(_)) => {
            return Err(Error::Misfit(format!(
                "behavior must be merge or replace: id {id} exists"
            )));
        }
        ("merge" | "replace", None) => {
            return Err(Error::Misfit(format!(
                "id {id} does not exist; cannot merge or replace"
            )));
        }
        ("merge" | "replace", Some(at)) => {
            let old = &resources[at];
            for part in ["labels", "annotations"] {
                keep(&mut generated.value, &old.value, &["metadata", part]);
            }
            if behavior == "merge" {
                keep(&mut generated.value, &old.value, &["data"]);
                keep(&mut generated.value, &old.value, &["binaryData"]);
            }
            let name = old.value.str_at(&["metadata", "name"]);
            generated.value.set_at(&["metadata", "name"], name);
            if let Some(namespace) = old.value.at(&["metadata", "namespace"]) {
                generated
                    .value
                    .set_at(&["metadata", "namespace"], namespace.clone());
            }
            generated.previous = old.previous.clone();
            generated.affixes = old.affixes.clone();
            generated.needs_hash |= old.needs_hash;
            resources[at] = generated;
        }
        (other, _) => {
            return Err(Error::Misfit(format!("unknown generator behavior {other}")));
        }
    }
    Ok(())
}

/// Entries of the old map that the new one lacks.
fn keep(new: &mut Value, old: &Value, path: &[&str]) {
    let entries = old.at(path).and_then(Value::as_object);
    for (key, value) in entries.into_iter().flat_map(Map::iter) {
        let mut full = path.to_vec();
        full.push(key);
        if new.at(&full).is_none() {
            new.set_at(&full, value.clone());
        }
    }
}

/// Names that need it get a hash of their content.
pub(super) fn add_hashes(resources: &mut [Resource]) {
    for resource in resources.iter_mut().filter(|r| r.needs_hash) {
        let hash = hash(&resource.value);
        resource.remember();
        let name = resource.value.str_at(&["metadata", "name"]);
        let name = format!("{name}-{hash}");
        resource.value.set_at(&["metadata", "name"], name);
    }
}

fn hash(object: &Value) -> String {
    let text = |key: &str| object.get(key).cloned().unwrap_or_else(|| "".into());
    let kind = object.str_at(&["kind"]);
    // Upstream looks the name up under a key that does not exist, so it is
    // always empty: a prefix does not change the hash.
    let mut content = value!({"kind": kind, "name": "", "data": (text("data"))});
    let optional: &[&str] = match kind {
        "ConfigMap" => &["binaryData"],
        "Secret" => {
            content.set_at(&["type"], text("type"));
            &["stringData"]
        }
        _ => {
            content = object.clone();
            &[]
        }
    };
    for key in optional {
        if let Some(map) = object.get(key).filter(|v| v.as_object().is_some()) {
            content.set_at(&[key], map.clone());
        }
    }
    let digest = Sha256::digest(go::json(&content).as_bytes());
    let hex: String = digest.iter().take(5).map(|b| format!("{b:02x}")).collect();
    let without_vowels = hex.chars().map(|c| match c {
        '0' => 'g',
        '1' => 'h',
        '3' => 'k',
        'a' => 'm',
        'e' => 't',
        c => c,
    });
    without_vowels.collect()
}
