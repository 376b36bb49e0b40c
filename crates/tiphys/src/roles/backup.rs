//! `tiphys backup` and `tiphys restore`: one file with everything that cannot
//! be made anew: the store, the keys and certificates, the configuration.
//!
//! A backup is a compressed tar archive. It is taken while the server runs: the
//! store is copied as a power cut would leave it, and the copy is opened before
//! it is called a backup. A restore puts such a file in the place of a stopped
//! server's state, which it keeps beside it.

use crate::instance::Instance;
use crate::roles::reset::is_running;
use anyhow::{Context as _, Result, anyhow, bail};
use meta::{Value, value};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use stdx::{Clock, Rng};
use store::{CopyError, Embedded, Stats, Store as _};

/// What the archive says of itself, first of all.
const LABEL: &str = "backup.json";
/// The form of the archive.
const FORMAT: i64 = 1;
/// Where the parts stand in it.
const STORE: &str = "server/db";
const TLS: &str = "server/tls";
const CONFIG: &str = "config.yaml";
/// How hard it is compressed: fast, as the server wants the processor too.
const LEVEL: i32 = 3;

/// Writes a backup of the server of a data directory.
pub fn backup(data: &Path, config: &Path, file: &Path) -> Result<()> {
    let instance = Instance::of(data);
    let folder = Folder::beside(file)?;
    let copy = folder.path.join("db");
    store::copy(&instance.store(), &copy).map_err(|error| match error {
        absent @ CopyError::Absent(_) => anyhow!(
            "{absent}\nhint: name the server's --data-dir; what is in an etcd cluster is saved with `etcdctl snapshot save`"
        ),
        error => anyhow!(error).context("copy the store"),
    })?;
    let stats = open(&copy).context("open the copy of the store")?;
    let partial = folder.path.join("backup");
    write(&partial, &instance, &copy, config, &stats)
        .with_context(|| format!("write {}", file.display()))?;
    fs::rename(&partial, file).with_context(|| format!("write {}", file.display()))?;
    println!(
        "{}: revision {}, {} keys",
        file.display(),
        stats.revision.0,
        stats.keys
    );
    Ok(())
}

fn write(to: &Path, instance: &Instance, copy: &Path, config: &Path, stats: &Stats) -> Result<()> {
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(to)?;
    let compressed = zstd::Encoder::new(file, LEVEL)?;
    let mut archive = tar::Builder::new(compressed);
    let label = value!({
        "format": FORMAT,
        "version": apiserver::version::GIT_VERSION,
        "time": Clock::system().wall().to_string(),
        "revision": i64::try_from(stats.revision.0).unwrap_or(i64::MAX),
    });
    append_text(&mut archive, LABEL, &label.to_json())?;
    archive.append_dir_all(STORE, copy)?;
    archive.append_dir_all(TLS, instance.tls())?;
    if config.is_file() {
        archive.append_path_with_name(config, CONFIG)?;
    }
    let file = archive.into_inner()?.finish()?;
    file.sync_all()?;
    Ok(())
}

fn append_text<W: Write>(archive: &mut tar::Builder<W>, name: &str, text: &str) -> Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(text.len() as u64);
    header.set_mode(0o600);
    archive.append_data(&mut header, name, text.as_bytes())?;
    Ok(())
}

/// Puts a backup in the place of a stopped server's state.
pub fn restore(data: &Path, config: &Path, file: &Path) -> Result<()> {
    let instance = Instance::of(data);
    let runtime = tokio::runtime::Runtime::new().context("start a runtime")?;
    if runtime.block_on(is_running(&instance))? {
        bail!(
            "a server uses {}\nhint: stop it first",
            instance.data.display()
        );
    }
    let folder = Folder::beside(&instance.data.join("server"))?;
    let new = folder.path.join("new");
    unpack(file, &new).with_context(|| format!("read the backup {}", file.display()))?;
    let stats = open(&new.join(STORE))
        .with_context(|| format!("open the store in the backup {}", file.display()))?;
    // What is renamed into place must not be lost behind its name.
    File::open(&new)
        .and_then(|dir| Ok(rustix::fs::syncfs(&dir)?))
        .with_context(|| format!("sync {}", new.display()))?;
    let (server, before) = (
        instance.data.join("server"),
        instance.data.join("server.before-restore"),
    );
    if server.exists() {
        remove(&before)?;
        fs::rename(&server, &before).with_context(|| format!("put {} aside", server.display()))?;
        println!("what was there is kept in {}", before.display());
    }
    fs::rename(new.join("server"), &server)
        .with_context(|| format!("put {} in place", server.display()))?;
    restore_config(&new.join(CONFIG), config)?;
    println!(
        "restored revision {}, {} keys",
        stats.revision.0, stats.keys
    );
    Ok(())
}

/// A configuration that is there is its owner's: it stays.
fn restore_config(saved: &Path, config: &Path) -> Result<()> {
    let Ok(text) = fs::read_to_string(saved) else {
        return Ok(());
    };
    match fs::read_to_string(config) {
        Ok(found) if found == text => Ok(()),
        Ok(_) => {
            println!(
                "{} differs from the backup's and was left as it is",
                config.display()
            );
            Ok(())
        }
        Err(_) => {
            if let Some(parent) = config.parent() {
                fs::create_dir_all(parent).with_context(|| format!("make {}", parent.display()))?;
            }
            fs::write(config, text).with_context(|| format!("write {}", config.display()))
        }
    }
}

fn unpack(file: &Path, to: &Path) -> Result<()> {
    let compressed = File::open(file)?;
    let mut archive = tar::Archive::new(zstd::Decoder::new(compressed)?);
    let mut entries = archive.entries()?;
    let mut label = String::new();
    let mut first = entries.next().context("it is empty")??;
    if first.path()? != Path::new(LABEL) {
        bail!("it is not a backup of tiphys");
    }
    first.read_to_string(&mut label)?;
    check_label(&label)?;
    private_dir(to)?;
    for entry in entries {
        let mut entry = entry?;
        let name = entry.path()?.into_owned();
        if !(name.starts_with(STORE) || name.starts_with(TLS) || name == Path::new(CONFIG)) {
            bail!("it has {}, which no backup has", name.display());
        }
        // Refuses what would leave the folder.
        if !entry.unpack_in(to)? {
            bail!("it has {}, which leads outside", name.display());
        }
    }
    Ok(())
}

fn check_label(text: &str) -> Result<()> {
    let label: Value = codec::json::parse_value(text.as_bytes())?;
    match label.get("format").and_then(Value::as_i64) {
        Some(FORMAT) => Ok(()),
        Some(format) => bail!("its form is {format}; this version reads {FORMAT}"),
        None => bail!("it does not say its form"),
    }
}

/// Opens a store as a server would, and closes it again.
fn open(dir: &Path) -> Result<Stats> {
    let runtime = tokio::runtime::Runtime::new().context("start a runtime")?;
    runtime.block_on(async {
        let (clock, rng) = (Clock::system(), Rng::system());
        let store = Embedded::open(dir, clock, rng, store::Options::default()).await?;
        let stats = store.stats();
        store.close().await;
        // The lock file belongs to no backup.
        remove(&dir.join("lock"))?;
        Ok(stats)
    })
}

/// A folder for what is not finished, which goes with it.
struct Folder {
    path: PathBuf,
}

impl Folder {
    /// On the file system of `place`, so that what is in it can be moved there.
    fn beside(place: &Path) -> Result<Folder> {
        let name = place.file_name().context("a file name is missing")?;
        let mut name = name.to_os_string();
        name.push(format!(".partial-{}", std::process::id()));
        let path = place.with_file_name(name);
        private_dir(&path)?;
        Ok(Folder { path })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.path) {
            eprintln!("warning: {error:#}");
        }
    }
}

fn private_dir(path: &Path) -> Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(|| format!("make {}", path.display()))
}

fn remove(path: &Path) -> Result<()> {
    let removed = match path.is_dir() {
        true => fs::remove_dir_all(path),
        false => fs::remove_file(path),
    };
    match removed {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("remove {}", path.display()))
        }
        _ => Ok(()),
    }
}
