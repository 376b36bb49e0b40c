//! Recipes as archives.

use std::{collections::BTreeSet, io::Write};

use serde_json::{Value, json};

use super::{
    Error, Pack, Recipe,
    recipe::{packed, tar},
};
use crate::{
    digest::Digest,
    tarball::{Kind, Member, Writer},
};

/// Writes images as an OCI image layout.
pub fn write_oci(recipes: &[&Recipe], out: impl Write) -> Result<(), Error> {
    oci(recipes, out).map_err(Error::Write)
}

/// Writes images as `docker save` did before version 25.
pub fn write_docker(recipes: &[&Recipe], out: impl Write) -> Result<(), Error> {
    docker(recipes, out).map_err(Error::Write)
}

fn oci(recipes: &[&Recipe], out: impl Write) -> std::io::Result<()> {
    let mut archive = Archive::new(out);
    archive.put("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)?;
    let mut manifests = Vec::new();
    for recipe in recipes {
        let manifest = oci_image(&mut archive, recipe)?;
        if recipe.references.is_empty() {
            manifests.push(manifest.clone());
        }
        for reference in &recipe.references {
            let mut named = manifest.clone();
            let tag = reference.tag().unwrap_or("latest");
            named["annotations"] = json!({
                "io.containerd.image.name": reference.to_string(),
                "org.opencontainers.image.ref.name": tag,
            });
            manifests.push(named);
        }
    }
    let index = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": manifests,
    });
    archive.put("index.json", index.to_string().as_bytes())?;
    archive.finish()
}

/// Writes the blobs of an image; returns the descriptor of its manifest.
fn oci_image<W: Write>(archive: &mut Archive<W>, recipe: &Recipe) -> std::io::Result<Value> {
    let media_type = match recipe.pack {
        Pack::Plain => "application/vnd.oci.image.layer.v1.tar",
        Pack::Gzip => "application/vnd.oci.image.layer.v1.tar+gzip",
        Pack::Zstd => "application/vnd.oci.image.layer.v1.tar+zstd",
    };
    let mut diff_ids = Vec::new();
    let mut layers = Vec::new();
    for layer in &recipe.layers {
        let tar = tar(layer)?;
        diff_ids.push(Digest::of(&tar).to_string());
        layers.push(archive.blob(media_type, &packed(recipe.pack, &tar)?)?);
    }
    let configuration = recipe.configuration(&diff_ids).to_string();
    let config = archive.blob(
        "application/vnd.oci.image.config.v1+json",
        configuration.as_bytes(),
    )?;
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": media_type,
        "config": config,
        "layers": layers,
    });
    let mut descriptor = archive.blob(media_type, manifest.to_string().as_bytes())?;
    descriptor["platform"] = recipe.platform_json();
    Ok(descriptor)
}

fn docker(recipes: &[&Recipe], out: impl Write) -> std::io::Result<()> {
    let mut archive = Archive::new(out);
    let mut images = Vec::new();
    for recipe in recipes {
        let mut diff_ids = Vec::new();
        let mut layers = Vec::new();
        for layer in &recipe.layers {
            let tar = tar(layer)?;
            let digest = Digest::of(&tar);
            let path = format!("{}/layer.tar", digest.hex());
            archive.put(&path, &packed(recipe.pack, &tar)?)?;
            diff_ids.push(digest.to_string());
            layers.push(path);
        }
        let configuration = recipe.configuration(&diff_ids).to_string();
        let path = format!("{}.json", Digest::of(configuration.as_bytes()).hex());
        archive.put(&path, configuration.as_bytes())?;
        let names = recipe.references.iter().map(ToString::to_string);
        images.push(json!({
            "Config": path,
            "RepoTags": names.collect::<Vec<_>>(),
            "Layers": layers,
        }));
    }
    archive.put("manifest.json", json!(images).to_string().as_bytes())?;
    archive.finish()
}

/// An archive that has each member once.
struct Archive<W> {
    writer: Writer<W>,
    written: BTreeSet<String>,
}

impl<W: Write> Archive<W> {
    fn new(out: W) -> Self {
        Self {
            writer: Writer::new(out),
            written: BTreeSet::new(),
        }
    }

    fn put(&mut self, path: &str, content: &[u8]) -> std::io::Result<()> {
        if !self.written.insert(path.to_owned()) {
            return Ok(());
        }
        self.writer.append(&Member::new(path, Kind::File), content)
    }

    fn blob(&mut self, media_type: &str, content: &[u8]) -> std::io::Result<Value> {
        let digest = Digest::of(content);
        self.put(&format!("blobs/sha256/{}", digest.hex()), content)?;
        Ok(json!({
            "mediaType": media_type,
            "digest": digest,
            "size": content.len(),
        }))
    }

    fn finish(self) -> std::io::Result<()> {
        self.writer.finish().map(drop)
    }
}
