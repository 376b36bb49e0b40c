//! `tiphys image`: the images of this node. Works beside a running server.

use crate::cli::ImageCommand;
use crate::instance::Instance;
use anyhow::{Context as _, Result, bail};
use images::{Images, ImportOptions};
use std::path::Path;

/// Does what is asked.
pub fn run(data: &Path, command: ImageCommand) -> Result<()> {
    let instance = Instance::of(data);
    let images = Images::open(&instance.images())
        .with_context(|| format!("open the image store below {}", instance.data.display()))?;
    match command {
        ImageCommand::Import { files } => import(&images, &files),
        ImageCommand::Ls => list(&images),
        ImageCommand::Rm { images: names } => remove(&images, &names),
        ImageCommand::Pull { image } => {
            bail!(
                "pulling {image:?} from a registry is not supported yet\nhint: import an archive with `tiphys image import`"
            )
        }
    }
}

fn import(images: &Images, files: &[std::path::PathBuf]) -> Result<()> {
    for file in files {
        let imported = images
            .import(file, &ImportOptions::default())
            .with_context(|| format!("import {}", file.display()))?;
        for name in imported.iter().flat_map(|image| &image.references) {
            println!("{name}");
        }
    }
    Ok(())
}

fn list(images: &Images) -> Result<()> {
    let mut rows = Vec::new();
    for image in images.list().context("list images")? {
        let id: String = image.id.hex().chars().take(12).collect();
        let size = human_bytes(image.size);
        let mut names = image.repo_tags.clone();
        if names.is_empty() {
            names.push("<none>:<none>".into());
        }
        for name in names {
            let (repository, tag) = name.rsplit_once(':').unwrap_or((&name, "<none>"));
            rows.push([
                repository.to_string(),
                tag.to_string(),
                id.clone(),
                size.clone(),
            ]);
        }
    }
    rows.sort();
    rows.insert(0, ["IMAGE", "TAG", "IMAGE ID", "SIZE"].map(String::from));
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths = [width(0), width(1), width(2)];
    for [image, tag, id, size] in &rows {
        println!(
            "{image:0$}   {tag:1$}   {id:2$}   {size}",
            widths[0], widths[1], widths[2]
        );
    }
    Ok(())
}

fn remove(images: &Images, names: &[String]) -> Result<()> {
    for name in names {
        images
            .remove(name)
            .with_context(|| format!("remove image {name}"))?;
        println!("Deleted: {name}");
    }
    Ok(())
}

fn human_bytes(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes}B"),
        1_000..1_000_000 => format!("{:.1}kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1}MB", bytes as f64 / 1e6),
        _ => format!("{:.1}GB", bytes as f64 / 1e9),
    }
}
