//! Volumes come from the cluster, by way of claims, from registries, or as data
//! of the API.

use super::{Check, Level, Pod, Violation, plural, quoted, set, violation};
use crate::pod::has;
use meta::Value;

const ALLOWED: [&str; 9] = [
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "image",
    "persistentVolumeClaim",
    "projected",
    "secret",
];
const KNOWN: [&str; 21] = [
    "hostPath",
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "gitRepo",
    "nfs",
    "iscsi",
    "glusterfs",
    "rbd",
    "flexVolume",
    "cinder",
    "cephfs",
    "flocker",
    "fc",
    "azureFile",
    "vsphereVolume",
    "quobyte",
    "azureDisk",
    "photonPersistentDisk",
    "portworxVolume",
    "scaleIO",
    "storageos",
];

pub(super) const CHECK: Check = Check {
    id: "restrictedVolumes",
    level: Level::Restricted,
    since: 0,
    overrides: Some("hostPathVolumes"),
    check,
};

fn check(pod: &Pod<'_>) -> Option<Violation> {
    let is_bad = |volume: &&Value| !ALLOWED.iter().any(|kind| has(volume, &[kind]));
    let bad: Vec<&Value> = pod
        .spec
        .items_at(&["volumes"])
        .iter()
        .filter(is_bad)
        .collect();
    if bad.is_empty() {
        return None;
    }
    let names: Vec<&str> = bad.iter().map(|v| v.str_at(&["name"])).collect();
    let kind = |volume: &&Value| {
        let mut kinds = KNOWN.into_iter();
        kinds.find(|kind| has(volume, &[kind])).unwrap_or("unknown")
    };
    let kinds = set(bad.iter().map(kind));
    violation(
        "restricted volume types",
        format!(
            "{} {} {} {} {}",
            plural("volume", "volumes", names.len()),
            quoted(&names),
            plural("uses", "use", names.len()),
            plural(
                "restricted volume type",
                "restricted volume types",
                kinds.len()
            ),
            quoted(&kinds)
        ),
    )
}
