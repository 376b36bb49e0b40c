//! Volumes of a pod or of its template.

use super::text;
use super::writer::Writer;
use meta::{Value, go};

/// A kind of volume whose fields are printed as they are.
struct Plain {
    key: &'static str,
    title: &'static str,
    /// Labels and fields.
    fields: &'static [(&'static str, &'static str)],
}

const PLAIN: &[Plain] = &[
    Plain {
        key: "csi",
        title: "CSI (a Container Storage Interface (CSI) volume source)",
        fields: &[
            ("Driver", "driver"),
            ("FSType", "fsType"),
            ("ReadOnly", "?readOnly"),
        ],
    },
    Plain {
        key: "image",
        title: "Image (a container image or OCI artifact)",
        fields: &[("Reference", "reference"), ("PullPolicy", "pullPolicy")],
    },
    Plain {
        key: "iscsi",
        title: "ISCSI (an ISCSI Disk resource that is attached to a kubelet's host machine and then exposed to the pod)",
        fields: &[
            ("TargetPortal", "targetPortal"),
            ("IQN", "iqn"),
            ("Lun", "lun"),
            ("FSType", "fsType"),
            ("ReadOnly", "?readOnly"),
        ],
    },
    Plain {
        key: "nfs",
        title: "NFS (an NFS mount that lasts the lifetime of a pod)",
        fields: &[
            ("Server", "server"),
            ("Path", "path"),
            ("ReadOnly", "?readOnly"),
        ],
    },
    Plain {
        key: "persistentVolumeClaim",
        title: "PersistentVolumeClaim (a reference to a PersistentVolumeClaim in the same namespace)",
        fields: &[("ClaimName", "claimName"), ("ReadOnly", "?readOnly")],
    },
    Plain {
        key: "secret",
        title: "Secret (a volume populated by a Secret)",
        fields: &[("SecretName", "secretName"), ("Optional", "?optional")],
    },
    Plain {
        key: "configMap",
        title: "ConfigMap (a volume populated by a ConfigMap)",
        fields: &[("Name", "name"), ("Optional", "?optional")],
    },
];

/// The list of volumes.
pub(super) fn volumes(volumes: &[Value], indent: &str, w: &mut Writer) {
    if volumes.is_empty() {
        return w.line(0, &format!("{indent}Volumes:\t<none>"));
    }
    w.line(0, &format!("{indent}Volumes:"));
    let gap = if indent.is_empty() { "" } else { " " };
    for volume in volumes {
        w.line(1, &format!("{gap}{}:", volume.str_at(&["name"])));
        one(volume, w);
    }
}

fn one(volume: &Value, w: &mut Writer) {
    if let Some(source) = volume.get("hostPath") {
        w.field(2, "Type", "HostPath (bare host directory volume)");
        w.field(2, "Path", source.str_at(&["path"]));
        let kind = source.get("type").and_then(Value::as_str);
        w.field(2, "HostPathType", kind.unwrap_or("<none>"));
    } else if let Some(source) = volume.get("emptyDir") {
        let what = "EmptyDir (a temporary directory that shares a pod's lifetime)";
        w.field(2, "Type", what);
        w.field(2, "Medium", source.str_at(&["medium"]));
        let limit = text::show(source.get("sizeLimit"));
        let unlimited = limit.is_empty() || limit == "0";
        w.field(2, "SizeLimit", if unlimited { "<unset>" } else { &limit });
    } else if let Some(source) = volume.get("downwardAPI") {
        downward(source, w);
    } else if let Some(source) = volume.get("projected") {
        projected(source, w);
    } else if volume.get("ephemeral").is_some() {
        w.field(
            2,
            "Type",
            "EphemeralVolume (an inline specification for a volume that gets created and deleted with the pod)",
        );
    } else if let Some(plain) = PLAIN.iter().find(|plain| volume.get(plain.key).is_some()) {
        fields(plain, volume.get(plain.key), w);
    } else {
        w.line(1, "<unknown>");
    }
}

fn fields(plain: &Plain, source: Option<&Value>, w: &mut Writer) {
    w.field(2, "Type", plain.title);
    for (label, key) in plain.fields {
        let shown = match key.strip_prefix('?') {
            Some(key) => source.is_some_and(|s| s.is_true_at(&[key])).to_string(),
            None => source
                .and_then(|s| s.get(key))
                .map(go::print)
                .unwrap_or_default(),
        };
        w.field(2, label, shown);
    }
}

fn downward(source: &Value, w: &mut Writer) {
    let what = "DownwardAPI (a volume populated by information about the pod)";
    w.field(2, "Type", what);
    w.line(2, "Items:");
    for item in source.items_at(&["items"]) {
        let path = item.str_at(&["path"]);
        if let Some(field) = item.get("fieldRef") {
            w.line(3, &format!("{} -> {path}", field.str_at(&["fieldPath"])));
        }
        if let Some(field) = item.get("resourceFieldRef") {
            w.line(3, &format!("{} -> {path}", field.str_at(&["resource"])));
        }
    }
}

fn projected(source: &Value, w: &mut Writer) {
    let what = "Projected (a volume that contains injected data from multiple sources)";
    w.field(2, "Type", what);
    for source in source.items_at(&["sources"]) {
        let named = |w: &mut Writer, label: &str, source: &Value| {
            w.field(2, label, source.str_at(&["name"]));
            w.field(2, "Optional", source.is_true_at(&["optional"]));
        };
        if let Some(secret) = source.get("secret") {
            named(w, "SecretName", secret);
        } else if source.get("downwardAPI").is_some() {
            w.field(2, "DownwardAPI", "true");
        } else if let Some(map) = source.get("configMap") {
            named(w, "ConfigMapName", map);
        } else if let Some(token) = source.get("serviceAccountToken") {
            let seconds = token.i64_at(&["expirationSeconds"]).unwrap_or_default();
            w.field(2, "TokenExpirationSeconds", seconds);
        }
    }
}
