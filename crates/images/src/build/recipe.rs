//! What an image shall be.

use std::{collections::BTreeMap, io::Write};

use serde_json::{Value, json};

use super::{Error, Layer};
use crate::{document::Platform, reference::Reference, tarball::Writer};

/// How layers are packed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pack {
    /// Not at all: quickest to make and to take in.
    #[default]
    Plain,
    /// gzip.
    Gzip,
    /// Zstandard.
    Zstd,
}

/// An image that can be written into an archive.
#[derive(Clone, Debug)]
pub struct Recipe {
    pub(super) references: Vec<Reference>,
    pub(super) layers: Vec<Layer>,
    pub(super) pack: Pack,
    platform: Platform,
    execution: BTreeMap<&'static str, Value>,
}

impl Recipe {
    /// An image of that name, without layers.
    pub fn new(name: &str) -> Result<Self, Error> {
        let reference = Reference::parse(name).map_err(|source| Error::Reference {
            text: name.to_owned(),
            source,
        })?;
        Ok(Self::unnamed().reference(reference))
    }

    /// An image without a name.
    pub fn unnamed() -> Self {
        let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        Self {
            references: Vec::new(),
            layers: Vec::new(),
            pack: Pack::Plain,
            platform: Platform::here(),
            execution: BTreeMap::from([("Env", json!([path]))]),
        }
    }

    /// With one more name.
    #[must_use]
    pub fn reference(mut self, reference: Reference) -> Self {
        self.references.push(reference);
        self
    }

    /// With a layer on top.
    #[must_use]
    pub fn layer(mut self, layer: Layer) -> Self {
        self.layers.push(layer);
        self
    }

    /// With layers packed so.
    #[must_use]
    pub fn pack(mut self, pack: Pack) -> Self {
        self.pack = pack;
        self
    }

    /// For another machine.
    #[must_use]
    pub fn platform(mut self, platform: Platform) -> Self {
        self.platform = platform;
        self
    }

    /// The command's unchanging part.
    #[must_use]
    pub fn entrypoint(self, words: &[&str]) -> Self {
        self.set("Entrypoint", json!(words))
    }

    /// The command's changeable part.
    #[must_use]
    pub fn cmd(self, words: &[&str]) -> Self {
        self.set("Cmd", json!(words))
    }

    /// `NAME=value`, instead of a PATH alone.
    #[must_use]
    pub fn env(self, variables: &[&str]) -> Self {
        self.set("Env", json!(variables))
    }

    /// `user[:group]`.
    #[must_use]
    pub fn user(self, user: &str) -> Self {
        self.set("User", json!(user))
    }

    /// Where it starts.
    #[must_use]
    pub fn working_dir(self, path: &str) -> Self {
        self.set("WorkingDir", json!(path))
    }

    /// The signal that ends it.
    #[must_use]
    pub fn stop_signal(self, signal: &str) -> Self {
        self.set("StopSignal", json!(signal))
    }

    /// Ports such as `80/tcp`.
    #[must_use]
    pub fn expose(self, ports: &[&str]) -> Self {
        let ports: BTreeMap<&str, Value> = ports.iter().map(|port| (*port, json!({}))).collect();
        self.set("ExposedPorts", json!(ports))
    }

    /// Directories that hold data.
    #[must_use]
    pub fn volumes(self, paths: &[&str]) -> Self {
        let paths: BTreeMap<&str, Value> = paths.iter().map(|path| (*path, json!({}))).collect();
        self.set("Volumes", json!(paths))
    }

    fn set(mut self, key: &'static str, value: Value) -> Self {
        self.execution.insert(key, value);
        self
    }

    /// The configuration, given the layers' diff IDs.
    pub(super) fn configuration(&self, diff_ids: &[String]) -> Value {
        json!({
            "created": "1970-01-01T00:00:00Z",
            "architecture": self.platform.architecture,
            "os": self.platform.os,
            "config": self.execution,
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        })
    }

    pub(super) fn platform_json(&self) -> Value {
        json!({"architecture": self.platform.architecture, "os": self.platform.os})
    }
}

/// The layer as a tar archive.
pub(super) fn tar(layer: &Layer) -> std::io::Result<Vec<u8>> {
    let mut writer = Writer::new(Vec::new());
    for (member, content) in layer.members() {
        writer.append(member, content)?;
    }
    writer.finish()
}

/// Packs bytes, the same way each time.
pub(super) fn packed(pack: Pack, bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    match pack {
        Pack::Plain => Ok(bytes.to_vec()),
        Pack::Zstd => zstd::encode_all(bytes, 3),
        Pack::Gzip => {
            let level = flate2::Compression::fast();
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
            encoder.write_all(bytes)?;
            encoder.finish()
        }
    }
}
