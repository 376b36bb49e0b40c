//! The JSON documents of images: OCI indexes, manifests and configurations,
//! and Docker's `manifest.json`.
//!
//! Only what is used is read; unknown fields pass, and `null` stands for
//! absent, as Docker writes it.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};

use crate::digest::Digest;

/// The largest document that is read.
pub const DOCUMENT_MAX: u64 = 8 * 1024 * 1024;

/// Points at content by its digest.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What the content claims to be.
    #[serde(default)]
    pub media_type: String,
    /// Its digest.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// The platform of an image in an index.
    #[serde(default, deserialize_with = "null")]
    pub platform: Option<Platform>,
    /// Remarks; names of images are among them.
    #[serde(default, deserialize_with = "null")]
    pub annotations: BTreeMap<String, String>,
}

impl Descriptor {
    /// Whether it points at an index rather than at an image.
    pub fn is_index(&self) -> bool {
        matches!(
            self.media_type.as_str(),
            "application/vnd.oci.image.index.v1+json"
                | "application/vnd.docker.distribution.manifest.list.v2+json"
        )
    }

    /// Whether it points at an image's manifest.
    pub fn is_manifest(&self) -> bool {
        matches!(
            self.media_type.as_str(),
            "" | "application/vnd.oci.image.manifest.v1+json"
                | "application/vnd.docker.distribution.manifest.v2+json"
        )
    }
}

/// An operating system and a processor.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
pub struct Platform {
    /// As GOARCH has it.
    #[serde(default)]
    pub architecture: String,
    /// As GOOS has it.
    #[serde(default)]
    pub os: String,
    /// Such as v7 of arm.
    #[serde(default, deserialize_with = "null")]
    pub variant: String,
}

impl Platform {
    /// This machine's.
    pub fn here() -> Self {
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            "x86" => "386",
            "powerpc64" => "ppc64le",
            other => other,
        };
        Self {
            architecture: architecture.to_owned(),
            os: "linux".to_owned(),
            variant: String::new(),
        }
    }

    /// Whether what was built for `self` runs on `machine`. Old images leave
    /// the fields empty.
    pub fn runs_on(&self, machine: &Self) -> bool {
        let same = |mine: &str, its: &str| mine.is_empty() || mine == its;
        same(&self.os, &machine.os) && same(&self.architecture, &machine.architecture)
    }
}

impl std::fmt::Display for Platform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        if !self.variant.is_empty() {
            write!(f, "/{}", self.variant)?;
        }
        Ok(())
    }
}

/// A list of images.
#[derive(Clone, Debug, Deserialize)]
pub struct Index {
    /// The images, or further lists.
    #[serde(default, deserialize_with = "null")]
    pub manifests: Vec<Descriptor>,
}

/// What an image consists of.
#[derive(Clone, Debug, Deserialize)]
pub struct Manifest {
    /// Its configuration.
    pub config: Descriptor,
    /// Its layers, lowest first.
    #[serde(default, deserialize_with = "null")]
    pub layers: Vec<Descriptor>,
}

/// The configuration of an image. Its digest is the image's ID.
#[derive(Clone, Debug, Deserialize)]
pub struct Configuration {
    /// What it was built for.
    #[serde(flatten)]
    pub platform: Platform,
    /// When it was built, in RFC 3339.
    #[serde(default, deserialize_with = "null")]
    pub created: String,
    /// How its containers start.
    #[serde(default, deserialize_with = "null")]
    pub config: Execution,
    /// Its layers.
    pub rootfs: RootFs,
}

/// The layers of an image.
#[derive(Clone, Debug, Deserialize)]
pub struct RootFs {
    /// Digests of the uncompressed layers, lowest first.
    #[serde(default, deserialize_with = "null")]
    pub diff_ids: Vec<Digest>,
}

/// How containers of an image start.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Execution {
    /// User and group, by name or number: `user[:group]`.
    #[serde(default, deserialize_with = "null")]
    pub user: String,
    /// `NAME=value`.
    #[serde(default, deserialize_with = "null")]
    pub env: Vec<String>,
    /// The command's unchanging part.
    #[serde(default, deserialize_with = "null")]
    pub entrypoint: Vec<String>,
    /// The command's changeable part.
    #[serde(default, deserialize_with = "null")]
    pub cmd: Vec<String>,
    /// Where it starts.
    #[serde(default, deserialize_with = "null")]
    pub working_dir: String,
    /// Directories that hold data.
    #[serde(default, deserialize_with = "null")]
    pub volumes: BTreeMap<String, serde_json::Value>,
    /// `80/tcp`.
    #[serde(default, deserialize_with = "null")]
    pub exposed_ports: BTreeMap<String, serde_json::Value>,
    /// The signal that ends it.
    #[serde(default, deserialize_with = "null")]
    pub stop_signal: String,
    /// Remarks.
    #[serde(default, deserialize_with = "null")]
    pub labels: BTreeMap<String, String>,
}

/// An image in the `manifest.json` of `docker save`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DockerImage {
    /// The member that is its configuration.
    pub config: String,
    /// Its names.
    #[serde(default, deserialize_with = "null")]
    pub repo_tags: Vec<String>,
    /// The members that are its layers, lowest first.
    #[serde(default, deserialize_with = "null")]
    pub layers: Vec<String>,
}

/// Reads `null` as the default.
pub(crate) fn null<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nulls_are_absent() {
        let text = r#"{"architecture":"amd64","os":"linux","variant":null,"config":
            {"Cmd":null,"Entrypoint":["/a"],"Volumes":null,"Labels":null,"User":"1:2"},
            "rootfs":{"type":"layers","diff_ids":null},"history":[{}]}"#;
        let configuration: Configuration = serde_json::from_str(text).unwrap();
        assert_eq!(configuration.config.entrypoint, ["/a"]);
        assert!(configuration.config.cmd.is_empty());
        assert_eq!(configuration.config.user, "1:2");
        assert!(configuration.rootfs.diff_ids.is_empty());
    }

    #[test]
    fn platforms() {
        let here = Platform::here();
        assert!(Platform::default().runs_on(&here));
        assert!(here.clone().runs_on(&here));
        let other = Platform {
            architecture: "s390x".into(),
            os: "linux".into(),
            variant: String::new(),
        };
        assert!(!other.runs_on(&here));
        assert_eq!(other.to_string(), "linux/s390x");
    }
}
