//! What makes objects a set: the words of KEP-3659.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use meta::{Value, value};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;

/// On each object: the set that it belongs to.
pub(crate) const PART_OF: &str = "applyset.kubernetes.io/part-of";
/// On the set's parent: its name.
pub(crate) const ID: &str = "applyset.kubernetes.io/id";
/// On the set's parent: who keeps it.
const TOOLING: &str = "applyset.kubernetes.io/tooling";
/// On the set's parent: the kinds in it.
pub(crate) const KINDS: &str = "applyset.kubernetes.io/contains-group-kinds";
/// On the set's parent: the namespaces in it besides its own.
const NAMESPACES: &str = "applyset.kubernetes.io/additional-namespaces";
/// On the set's parent: the file that it stands for.
pub(crate) const FILE: &str = "tiphys.io/manifest";
/// On the set's parent, to find all of them.
pub(crate) const KEPT_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "tiphys-manifests");
/// Where parents live.
pub(crate) const HOME: &str = "kube-system";

/// The parent of a file's set.
pub(crate) struct Parent {
    file: String,
}

impl Parent {
    pub(crate) fn of(file: &str) -> Self {
        Parent { file: file.into() }
    }

    /// The name of the ConfigMap that is the parent: readable, and different
    /// for files whose names differ in what names may not have.
    pub(crate) fn name(&self) -> String {
        let readable: String = self
            .file
            .to_lowercase()
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
            .take(200)
            .collect();
        let digest = Sha256::digest(self.file.as_bytes());
        let digest: String = digest.iter().take(4).map(|b| format!("{b:02x}")).collect();
        format!("manifest-{}-{digest}", readable.trim_matches('-'))
    }

    /// `applyset-<hash of name.namespace.kind.group>-v1`
    pub(crate) fn id(&self) -> String {
        let digest = Sha256::digest(format!("{}.{HOME}.ConfigMap.", self.name()));
        format!("applyset-{}-v1", URL_SAFE_NO_PAD.encode(digest))
    }

    /// The parent as it is applied.
    pub(crate) fn object(&self, kinds: &BTreeSet<String>, namespaces: &BTreeSet<String>) -> Value {
        let list = |set: &BTreeSet<String>| set.iter().cloned().collect::<Vec<_>>().join(",");
        value!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {
                "name": self.name(), "namespace": HOME,
                "labels": {(ID): self.id(), (KEPT_BY.0): KEPT_BY.1},
                "annotations": {
                    (TOOLING): "tiphys/v1", (KINDS): list(kinds),
                    (NAMESPACES): list(namespaces), (FILE): self.file.as_str()
                }
            }
        })
    }
}

/// The kinds that a parent says are in its set, as `Kind.group`.
pub(crate) fn kinds_of(parent: &Value) -> BTreeSet<String> {
    let text = parent.str_at(&["metadata", "annotations", KINDS]);
    let names = text.split(',').filter(|name| !name.is_empty());
    names.map(str::to_string).collect()
}
