//! `tiphys certificate`: what the server's certificates say, and new ones.

use crate::instance::Instance;
use crate::roles::reset::is_running;
use anyhow::{Context as _, Result, bail};
use auth::pki::Facts;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use std::fs;
use std::path::{Path, PathBuf};
use stdx::Clock;

/// Those who vouch for the others: they stay when the others are renewed.
const AUTHORITIES: [&str; 2] = ["client-ca", "server-ca"];
/// Certificates that end sooner than this are worth a warning, in seconds: as
/// k3s, 120 days.
const SOON: i64 = 120 * 24 * 3600;

/// Prints when each certificate ends; fails when one has.
pub fn check(data: &Path) -> Result<()> {
    let instance = Instance::of(data);
    let now = Clock::system().wall().as_second();
    let mut rows = vec![["FILENAME", "SUBJECT", "EXPIRES", "STATUS"].map(String::from)];
    let mut ended = Vec::new();
    for path in certificates(&instance)? {
        let facts = read(&path)?;
        let status = status(&facts, now);
        if status == "EXPIRED" {
            ended.push(name_of(&path));
        }
        let ends = jiff::Timestamp::from_second(facts.not_after).context("read a certificate")?;
        rows.push([
            name_of(&path),
            format!("CN={}", facts.common_name),
            ends.to_string(),
            status.to_string(),
        ]);
    }
    super::print_table(&rows);
    match ended.is_empty() {
        true => Ok(()),
        false => bail!(
            "expired: {}\nhint: stop the server, run `tiphys certificate rotate`, start it again",
            ended.join(", ")
        ),
    }
}

/// Removes all certificates but the authorities', so that the next start makes
/// new ones with new keys. What is removed is kept beside.
pub fn rotate(data: &Path) -> Result<()> {
    let instance = Instance::of(data);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("start a runtime")?;
    if runtime.block_on(is_running(&instance))? {
        bail!(
            "a server uses {}\nhint: stop it first",
            instance.data.display()
        );
    }
    let second = Clock::system().wall().as_second();
    let kept = instance.data.join(format!("server/tls-{second}"));
    fs::create_dir_all(&kept).with_context(|| format!("make {}", kept.display()))?;
    fs::set_permissions(&kept, std::os::unix::fs::PermissionsExt::from_mode(0o700))
        .with_context(|| format!("make {}", kept.display()))?;
    for certificate in certificates(&instance)? {
        if AUTHORITIES.contains(&stem(&certificate).as_str()) {
            continue;
        }
        // The certificate first: a key alone is given a new certificate.
        for path in [certificate.clone(), certificate.with_extension("key")] {
            if path.exists() {
                fs::rename(&path, kept.join(name_of(&path)))
                    .with_context(|| format!("move {}", path.display()))?;
            }
        }
        println!("{} is made anew at the next start", stem(&certificate));
    }
    println!("what was there is kept in {}", kept.display());
    Ok(())
}

fn certificates(instance: &Instance) -> Result<Vec<PathBuf>> {
    let dir = instance.tls();
    let entries = fs::read_dir(&dir).with_context(|| format!("list {}", dir.display()))?;
    let mut found = Vec::new();
    for entry in entries {
        let path = entry
            .with_context(|| format!("list {}", dir.display()))?
            .path();
        if path.extension().is_some_and(|extension| extension == "crt") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn read(path: &Path) -> Result<Facts> {
    let pem = fs::read(path).with_context(|| format!("read {}", path.display()))?;
    let der = CertificateDer::from_pem_slice(&pem)
        .map_err(|error| anyhow::anyhow!("{} holds no certificate: {error}", path.display()))?;
    Facts::read(&der).map_err(|why| anyhow::anyhow!("{} is damaged: {why}", path.display()))
}

fn status(facts: &Facts, now: i64) -> &'static str {
    match facts.not_after - now {
        left if left < 0 => "EXPIRED",
        left if left < SOON && !facts.is_ca => "WARNING",
        _ => "OK",
    }
}

fn name_of(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

fn stem(path: &Path) -> String {
    path.file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}
