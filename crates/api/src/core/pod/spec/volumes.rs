//! Volumes: each of one type, under a name of its own.

use super::env;
use crate::check;
use meta::{Errors, Field, FieldError, Path, Value};
use std::collections::{BTreeMap, BTreeSet};

/// The types that are served, with what looks at each.
type Check = fn(&Field<'_>, &mut Errors);
const SERVED: &[(&str, Check)] = &[
    ("configMap", config_map),
    ("downwardAPI", downward_api),
    ("emptyDir", empty_dir),
    ("hostPath", host_path),
    ("image", image),
    ("projected", projected),
    ("secret", secret),
];

/// The types that are not served yet.
const UNSERVED: &[&str] = &[
    "awsElasticBlockStore",
    "azureDisk",
    "azureFile",
    "cephfs",
    "cinder",
    "csi",
    "ephemeral",
    "fc",
    "flexVolume",
    "flocker",
    "gcePersistentDisk",
    "gitRepo",
    "glusterfs",
    "iscsi",
    "nfs",
    "persistentVolumeClaim",
    "photonPersistentDisk",
    "portworxVolume",
    "quobyte",
    "rbd",
    "scaleIO",
    "storageos",
    "vsphereVolume",
];

/// Says what is wrong with the volumes; gives those that are right, by name.
/// `is_pod` says whether they are a pod's own rather than a template's.
pub(super) fn validate<'a>(
    volumes: &Field<'a>,
    is_pod: bool,
    errors: &mut Errors,
) -> BTreeMap<&'a str, &'a Value> {
    let mut valid = BTreeMap::new();
    for volume in volumes.items() {
        let mut found = Errors::new();
        validate_source(&volume, &mut found);
        // A template may leave it to whoever makes pods of it.
        if is_pod && volume.get("image").is_present() {
            check::required(&volume.at(&["image", "reference"]), &mut found);
        }
        let name = volume.get("name");
        check::required(&name, &mut found);
        if !name.is_empty() {
            check::dns_label(&name, &mut found);
        }
        if valid.contains_key(name.str()) {
            found.push(name.duplicate());
        }
        match volume.value.filter(|_| found.is_empty()) {
            Some(value) => {
                valid.insert(name.str(), value);
            }
            None => errors.extend(found),
        }
    }
    valid
}

fn validate_source(volume: &Field<'_>, errors: &mut Errors) {
    let mut seen = false;
    for (name, check) in SERVED {
        let source = volume.get(name);
        if !source.is_present() {
            continue;
        }
        match seen {
            true => errors.push(source.forbidden("may not specify more than 1 volume type")),
            false => check(&source, errors),
        }
        seen = true;
    }
    for name in UNSERVED {
        let source = volume.get(name);
        if source.is_present() {
            errors.push(check::unsupported(&source, &format!("volume type {name}")));
            seen = true;
        }
    }
    if !seen {
        errors.push(volume.required("must specify a volume type"));
    }
}

fn empty_dir(source: &Field<'_>, errors: &mut Errors) {
    let medium = source.get("medium");
    if medium.str().starts_with("HugePages") {
        errors.push(check::unsupported(&medium, "medium HugePages"));
    }
    let limit = source.get("sizeLimit");
    if check::quantity(&limit).is_some_and(|q| q.sign() < 0) {
        errors.push(limit.forbidden("SizeLimit field must be a valid resource quantity"));
    }
}

fn host_path(source: &Field<'_>, errors: &mut Errors) {
    let path = source.get("path");
    if path.is_empty() {
        errors.push(path.required(""));
        return;
    }
    check::no_backsteps(&path, errors);
    check::one_of(
        &source.get("type"),
        &[
            "",
            "BlockDevice",
            "CharDevice",
            "Directory",
            "DirectoryOrCreate",
            "File",
            "FileOrCreate",
            "Socket",
        ],
        errors,
    );
}

fn image(source: &Field<'_>, errors: &mut Errors) {
    check::required_one_of(
        &source.get("pullPolicy"),
        &["Always", "IfNotPresent", "Never"],
        errors,
    );
}

fn secret(source: &Field<'_>, errors: &mut Errors) {
    check::required(&source.get("secretName"), errors);
    files(source, errors);
}

fn config_map(source: &Field<'_>, errors: &mut Errors) {
    check::required(&source.get("name"), errors);
    files(source, errors);
}

/// The permissions of all files, and the keys that become files.
fn files(source: &Field<'_>, errors: &mut Errors) {
    check::file_mode(&source.get("defaultMode"), errors);
    source
        .get("items")
        .items()
        .for_each(|item| key_to_path(&item, errors));
}

fn key_to_path(item: &Field<'_>, errors: &mut Errors) {
    check::required(&item.get("key"), errors);
    check::required(&item.get("path"), errors);
    check::local_free_path(&item.get("path"), errors);
    check::file_mode(&item.get("mode"), errors);
}

fn downward_api(source: &Field<'_>, errors: &mut Errors) {
    check::file_mode(&source.get("defaultMode"), errors);
    for file in source.get("items").items() {
        // Upstream's paths name the volume, not the item.
        downward_api_file(&Field::new(source.path.clone(), file.value), errors);
    }
}

fn downward_api_file(file: &Field<'_>, errors: &mut Errors) {
    check::required(&file.get("path"), errors);
    check::local_free_path(&file.get("path"), errors);
    let (field, resource) = (file.get("fieldRef"), file.get("resourceFieldRef"));
    if field.is_present() {
        env::validate_field_ref(&field, env::VOLUME_FIELDS, errors);
        if resource.is_present() {
            errors.push(FieldError::invalid(
                &file.path,
                "resource",
                "fieldRef and resourceFieldRef can not be specified simultaneously",
            ));
        }
    } else if resource.is_present() {
        env::validate_resource_ref(&resource, true, errors);
    } else {
        errors.push(file.required("one of fieldRef and resourceFieldRef is required"));
    }
    check::file_mode(&file.get("mode"), errors);
}

fn projected(source: &Field<'_>, errors: &mut Errors) {
    check::file_mode(&source.get("defaultMode"), errors);
    let mut paths = Paths {
        volume: &source.path,
        seen: BTreeSet::new(),
    };
    for projection in source.get("sources").items() {
        let mut sources = 0;
        for (name, check) in PROJECTIONS {
            let field = projection.get(name);
            if field.is_present() {
                sources += 1;
                check(&field, &mut paths, errors);
            }
        }
        if sources > 1 {
            errors.push(projection.forbidden("may not specify more than 1 volume type"));
        }
    }
}

type ProjectionCheck = for<'a> fn(&Field<'a>, &mut Paths<'a, '_>, &mut Errors);
const PROJECTIONS: &[(&str, ProjectionCheck)] = &[
    ("secret", keys_projection),
    ("configMap", keys_projection),
    ("downwardAPI", downward_api_projection),
    ("serviceAccountToken", token_projection),
];

/// The paths that a projected volume has given away.
struct Paths<'a, 'b> {
    volume: &'b Path,
    seen: BTreeSet<&'a str>,
}

impl<'a> Paths<'a, '_> {
    fn take(&mut self, path: &'a str, shown: &str, errors: &mut Errors) {
        if !path.is_empty() && !self.seen.insert(path) {
            let detail = "conflicting duplicate paths";
            errors.push(FieldError::invalid(self.volume, shown, detail));
        }
    }
}

fn keys_projection<'a>(source: &Field<'a>, paths: &mut Paths<'a, '_>, errors: &mut Errors) {
    let name = source.get("name");
    check::required(&name, errors);
    for item in source.get("items").items() {
        key_to_path(&item, errors);
        paths.take(item.get("path").str(), name.str(), errors);
    }
}

fn downward_api_projection<'a>(source: &Field<'a>, paths: &mut Paths<'a, '_>, errors: &mut Errors) {
    for file in source.get("items").items() {
        downward_api_file(&Field::new(source.path.clone(), file.value), errors);
        let path = file.get("path").str();
        paths.take(path, path, errors);
    }
}

fn token_projection<'a>(source: &Field<'a>, paths: &mut Paths<'a, '_>, errors: &mut Errors) {
    let seconds = source.get("expirationSeconds");
    if seconds.int() < 10 * 60 {
        errors.push(seconds.invalid("may not specify a duration less than 10 minutes"));
    }
    if seconds.int() > 1 << 32 {
        errors.push(seconds.invalid("may not specify a duration larger than 2^32 seconds"));
    }
    // Upstream's path names the volume, and other files may take the token's.
    let path = Field::new(paths.volume.child("path"), source.get("path").value);
    check::required(&path, errors);
    check::local_free_path(&path, errors);
}
