//! `tiphys image`: the images of this node. Works beside a running server.

mod progress;

use crate::cli::ImageCommand;
use crate::instance::Instance;
use anyhow::{Context as _, Result, bail};
use images::keyring::Credentials;
use images::registry::{Registries, Remote, explain};
use images::{Images, ImportOptions, Reference};
use progress::Display;
use std::path::Path;
use stdx::Clock;

/// Does what is asked.
pub fn run(data: &Path, command: ImageCommand) -> Result<()> {
    let instance = Instance::of(data);
    let images = Images::open(&instance.images())
        .with_context(|| format!("open the image store below {}", instance.data.display()))?;
    match command {
        ImageCommand::Import { files } => import(&images, &files),
        ImageCommand::Ls => list(&images),
        ImageCommand::Rm { images: names } => remove(&images, &names),
        ImageCommand::Export {
            images: names,
            output,
        } => export(&images, &names, &output),
        ImageCommand::Push {
            image,
            target,
            private_registry,
            creds,
            quiet,
        } => {
            let remote = remote(&instance, &private_registry)?;
            let target = target.as_deref().unwrap_or(&image);
            let credentials = credentials(creds.as_deref(), &[target.to_owned()])?;
            push(&images, &remote, &image, target, &credentials, quiet)
        }
        ImageCommand::Pull {
            images: names,
            private_registry,
            creds,
            quiet,
        } => {
            let remote = remote(&instance, &private_registry)?;
            let credentials = credentials(creds.as_deref(), &names)?;
            names
                .iter()
                .try_for_each(|name| pull(&images, &remote, name, &credentials, quiet))
        }
    }
}

fn remote(instance: &Instance, private_registry: &Path) -> Result<Remote> {
    let registries = Registries::read(private_registry)?;
    let remote = Remote::new(registries, Clock::system())?;
    Ok(remote.docker_files(images::keyring::node_files(Some(&instance.kubelet()))))
}

/// Who asks, for the registries of all these images.
fn credentials(creds: Option<&str>, names: &[String]) -> Result<Vec<Credentials>> {
    let Some(creds) = creds else {
        return Ok(Vec::new());
    };
    let Some((username, password)) = creds.split_once(':') else {
        bail!("--creds is not of the form user:password");
    };
    let mut all = Vec::new();
    for name in names {
        all.push(Credentials {
            registry: reference(name)?.domain().to_owned(),
            username: username.to_owned(),
            password: password.to_owned(),
            token: String::new(),
            source: None,
        });
    }
    Ok(all)
}

fn reference(name: &str) -> Result<Reference> {
    Reference::parse(name).with_context(|| format!("couldn't parse image name {name:?}"))
}

fn export(images: &Images, names: &[String], output: &Path) -> Result<()> {
    let mut chosen = Vec::new();
    for name in names {
        let image = images.find(name)?;
        let named = Reference::parse(name).map(|name| name.to_string());
        let is_own = |name: &String| image.repo_tags.contains(name);
        let own = image.repo_tags.clone();
        let given = named.ok().filter(is_own).map_or(own, |name| vec![name]);
        chosen.push((image, given));
    }
    let file =
        std::fs::File::create(output).with_context(|| format!("create {}", output.display()))?;
    let written = images.export(&chosen, std::io::BufWriter::new(file));
    if written.is_err() {
        // Half an archive is worse than none; the error that counts is the first.
        let _ = std::fs::remove_file(output);
    }
    written.with_context(|| format!("export to {}", output.display()))
}

fn push(
    images: &Images,
    remote: &Remote,
    name: &str,
    target: &str,
    credentials: &[Credentials],
    quiet: bool,
) -> Result<()> {
    let image = images.find(name)?;
    let target = reference(target)?;
    let display = Display::new("Pushing", &target, quiet);
    let report = move |progress| display.show(progress);
    let digest = wait(async {
        let pushed = remote.push(images, &image, &target, credentials, &report);
        let failed = |error| anyhow::anyhow!("{}", images::chain(&error));
        pushed.await.map_err(failed)
    });
    let digest = digest.with_context(|| format!("push {target}"))?;
    println!("{}", target.at(digest));
    Ok(())
}

fn pull(
    images: &Images,
    remote: &Remote,
    name: &str,
    credentials: &[Credentials],
    quiet: bool,
) -> Result<()> {
    let reference = reference(name)?;
    let display = Display::new("Pulling", &reference, quiet);
    let report = move |progress| display.show(progress);
    let pulled = wait(async {
        let brought = remote.bring(images, &reference, credentials, &report).await;
        brought.map_err(|error| anyhow::anyhow!(explain(&reference, &error)))
    })?;
    if !quiet {
        let image = &pulled.image;
        eprintln!("Image {} has {}", image.id, human_bytes(image.size));
    }
    println!("{reference}");
    Ok(())
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

/// Runs work to its end, or until the user has had enough.
fn wait<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("start the runtime")?;
    let done = runtime.block_on(async {
        tokio::select! {
            done = work => done,
            _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("interrupted")),
        }
    });
    // What runs in the background has nothing left to say.
    runtime.shutdown_background();
    done
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

pub(super) fn human_bytes(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes}B"),
        1_000..1_000_000 => format!("{:.1}kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1}MB", bytes as f64 / 1e6),
        _ => format!("{:.1}GB", bytes as f64 / 1e9),
    }
}
