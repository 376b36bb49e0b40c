//! An object on its way through the layers, with the names it had.

use meta::{Str, Value};

/// By what objects are told apart.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Id {
    pub(super) group: Str,
    pub(super) version: Str,
    pub(super) kind: Str,
    pub(super) name: Str,
    pub(super) namespace: Str,
}

impl Id {
    pub(super) fn of(object: &Value) -> Self {
        let version = object.str_at(&["apiVersion"]);
        let (group, version) = version.split_once('/').unwrap_or(("", version));
        Id {
            group: group.into(),
            version: version.into(),
            kind: object.str_at(&["kind"]).into(),
            name: object.str_at(&["metadata", "name"]).into(),
            namespace: object.str_at(&["metadata", "namespace"]).into(),
        }
    }

    /// The namespace that counts: `default` and none are the same.
    pub(super) fn effective_namespace(&self) -> &str {
        match self.namespace.as_str() {
            "" => "default",
            namespace => namespace,
        }
    }

    /// Whether both name the same object.
    pub(super) fn is_same(&self, other: &Id) -> bool {
        self.group == other.group
            && self.kind == other.kind
            && self.name == other.name
            && self.effective_namespace() == other.effective_namespace()
    }
}

impl std::fmt::Display for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let or = |text: &Str, none: &str| match text.as_str() {
            "" => none.to_string(),
            text => text.to_string(),
        };
        write!(
            f,
            "{}.{}.{}/{}.{}",
            self.kind,
            or(&self.version, "[noVer]"),
            or(&self.group, "[noGrp]"),
            self.name,
            or(&self.namespace, "[noNs]")
        )
    }
}

/// An object and its history.
#[derive(Clone, Debug)]
pub(super) struct Resource {
    pub(super) value: Value,
    /// What it was called before each change of its name, the first first.
    pub(super) previous: Vec<Id>,
    /// Prefixes and suffixes in the order in which they were given.
    pub(super) affixes: Vec<String>,
    pub(super) needs_hash: bool,
}

impl Resource {
    pub(super) fn new(value: Value) -> Self {
        Resource {
            value,
            previous: Vec::new(),
            affixes: Vec::new(),
            needs_hash: false,
        }
    }

    pub(super) fn id(&self) -> Id {
        Id::of(&self.value)
    }

    /// What it is and was called.
    pub(super) fn ids(&self) -> Vec<Id> {
        let mut ids = self.previous.clone();
        ids.push(self.id());
        ids
    }

    pub(super) fn remember(&mut self) {
        let id = self.id();
        if self.previous.last() != Some(&id) {
            self.previous.push(id);
        }
    }

    pub(super) fn kind(&self) -> &str {
        self.value.str_at(&["kind"])
    }

    pub(super) fn is_called(&self, id: &Id) -> bool {
        self.ids().iter().any(|known| known.is_same(id))
    }

    /// Whether objects of this kind are in no namespace.
    pub(super) fn is_cluster_scoped(&self) -> bool {
        matches!(
            self.kind(),
            "APIService"
                | "CSIDriver"
                | "CSINode"
                | "CertificateSigningRequest"
                | "ClusterRole"
                | "ClusterRoleBinding"
                | "ComponentStatus"
                | "CustomResourceDefinition"
                | "DeviceClass"
                | "FlowSchema"
                | "IPAddress"
                | "IngressClass"
                | "MutatingAdmissionPolicy"
                | "MutatingAdmissionPolicyBinding"
                | "MutatingWebhookConfiguration"
                | "Namespace"
                | "Node"
                | "PersistentVolume"
                | "PriorityClass"
                | "PriorityLevelConfiguration"
                | "RuntimeClass"
                | "ServiceCIDR"
                | "StorageClass"
                | "ValidatingAdmissionPolicy"
                | "ValidatingAdmissionPolicyBinding"
                | "ValidatingWebhookConfiguration"
                | "VolumeAttachment"
        )
    }
}
