//! `tiphys install` and `tiphys uninstall`: the binary in its place, a unit for
//! systemd, and kubectl under its own name.

use crate::roles::reset;
use anyhow::{Context as _, Result, bail};
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

const BINARY: &str = "usr/local/bin/tiphys";
const KUBECTL: &str = "usr/local/bin/kubectl";
const UNIT: &str = "etc/systemd/system/tiphys.service";
const ENVIRONMENT: &str = "etc/tiphys/tiphys.env";

/// Puts the running binary and a unit below `root`, and starts the unit if
/// systemd runs the machine.
pub fn install(root: &Path, enable: bool, arguments: &[String]) -> Result<()> {
    let binary = place(root, BINARY);
    let own = std::env::current_exe().context("find the running binary")?;
    if fs::canonicalize(&own).ok() != fs::canonicalize(&binary).ok() {
        make_parent(&binary)?;
        let new = binary.with_extension("new");
        fs::copy(&own, &new).with_context(|| format!("write {}", new.display()))?;
        fs::set_permissions(&new, fs::Permissions::from_mode(0o755))
            .with_context(|| format!("write {}", new.display()))?;
        fs::rename(&new, &binary).with_context(|| format!("write {}", binary.display()))?;
        println!("wrote {}", binary.display());
    }
    let kubectl = place(root, KUBECTL);
    if fs::symlink_metadata(&kubectl).is_err() {
        symlink("tiphys", &kubectl).with_context(|| format!("write {}", kubectl.display()))?;
        println!("wrote {}", kubectl.display());
    }
    let unit = place(root, UNIT);
    make_parent(&unit)?;
    fs::write(&unit, unit_text(arguments)).with_context(|| format!("write {}", unit.display()))?;
    println!("wrote {}", unit.display());
    if !enable || root != Path::new("/") {
        return Ok(());
    }
    if !runs_systemd() {
        println!(
            "systemd does not run this machine: start `tiphys server` as you start other services"
        );
        return Ok(());
    }
    systemctl(&["daemon-reload"])?;
    systemctl(&["enable", "--now", "tiphys.service"])
}

/// Takes away what [`install`] put there, the cluster and its data.
pub fn uninstall(root: &Path, data: &Path) -> Result<()> {
    let unit = place(root, UNIT);
    let is_here = root == Path::new("/");
    if is_here && runs_systemd() && unit.exists() {
        systemctl(&["disable", "--now", "tiphys.service"])?;
    }
    if is_here {
        reset::run(data, true)?;
    }
    let kubectl = place(root, KUBECTL);
    if fs::read_link(&kubectl).is_ok_and(|target| target == Path::new("tiphys")) {
        remove(&kubectl)?;
    }
    remove(&unit)?;
    remove(&place(root, BINARY))?;
    if is_here && runs_systemd() {
        systemctl(&["daemon-reload"])?;
    }
    Ok(())
}

/// Pods outlive the server: only its own process is the unit's to end.
fn unit_text(arguments: &[String]) -> String {
    let quoted: String = arguments.iter().map(|a| format!(" {}", quote(a))).collect();
    format!(
        "[Unit]
Description=Tiphys: Kubernetes in one binary
Wants=network-online.target
After=network-online.target

[Service]
Type=notify
EnvironmentFile=-/{ENVIRONMENT}
ExecStart=/{BINARY} server{quoted}
KillMode=process
Delegate=yes
LimitNOFILE=1048576
LimitNPROC=infinity
LimitCORE=infinity
TasksMax=infinity
TimeoutStartSec=0
Restart=always
RestartSec=5s

[Install]
WantedBy=multi-user.target
"
    )
}

/// As systemd reads arguments: in quotes, with `%` and `$` doubled.
fn quote(argument: &str) -> String {
    let escaped = argument
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('%', "%%")
        .replace('$', "$$");
    format!("\"{escaped}\"")
}

fn runs_systemd() -> bool {
    Path::new("/run/systemd/system").is_dir()
}

fn systemctl(arguments: &[&str]) -> Result<()> {
    let status = Command::new("systemctl")
        .args(arguments)
        .status()
        .context("run systemctl")?;
    match status.success() {
        true => Ok(()),
        false => bail!("systemctl {} failed", arguments.join(" ")),
    }
}

fn place(root: &Path, name: &str) -> PathBuf {
    root.join(name)
}

fn make_parent(path: &Path) -> Result<()> {
    let parent = path.parent().unwrap_or(path);
    fs::create_dir_all(parent).with_context(|| format!("make {}", parent.display()))
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Ok(()) => {
            println!("removed {}", path.display());
            Ok(())
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error).with_context(|| format!("remove {}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_installed_can_be_uninstalled() {
        let root = tempfile::tempdir().expect("a directory");
        let arguments = ["--tls-san".to_string(), "50% \"x\" $y".to_string()];
        install(root.path(), false, &arguments).expect("an installation");
        let unit = fs::read_to_string(root.path().join(UNIT)).expect("a unit");
        assert!(
            unit.contains(r#"tiphys server "--tls-san" "50%% \"x\" $$y""#),
            "{unit}"
        );
        let link = fs::read_link(root.path().join(KUBECTL)).expect("a link");
        assert_eq!(link, Path::new("tiphys"));
        uninstall(root.path(), Path::new("/nowhere")).expect("no installation");
        for left in [BINARY, KUBECTL, UNIT] {
            assert!(
                fs::symlink_metadata(root.path().join(left)).is_err(),
                "{left}"
            );
        }
    }
}
