//! Programs from Debian that the example and the tests are made of.

use anyhow::{Context as _, Result, bail};
use std::path::Path;
use std::process::Command;

/// A file and the package that brings it.
pub type Needed = (&'static str, &'static str);

/// What the example's images are made from.
pub const EXAMPLE: &[Needed] = &[
    ("/bin/busybox", "busybox-static"),
    ("/usr/sbin/nginx", "nginx-light"),
];

/// What the tests talk to, or make images from.
pub const TESTS: &[Needed] = &[
    ("/bin/busybox", "busybox-static"),
    ("/usr/bin/curl", "curl"),
    ("/usr/bin/dig", "dnsutils"),
    ("/usr/bin/docker-registry", "docker-registry"),
    ("/usr/bin/etcd", "etcd-server"),
    ("/usr/bin/openssl", "openssl"),
    ("/usr/bin/python3", "python3"),
    ("/usr/bin/skopeo", "skopeo"),
    ("/usr/bin/socat", "socat"),
    ("/usr/sbin/ip", "iproute2"),
    ("/usr/sbin/nft", "nftables"),
    ("/usr/sbin/nginx", "nginx-light"),
    ("/usr/share/doc/ca-certificates", "ca-certificates"),
    ("/usr/share/doc/libfaketime", "libfaketime"),
    ("/usr/share/doc/python3-venv", "python3-venv"),
];

/// Makes sure that files are there; installs their packages when that is possible.
pub fn ensure(needed: &[Needed]) -> Result<()> {
    let missing: Vec<&str> = needed
        .iter()
        .filter(|(path, _)| !Path::new(path).exists())
        .map(|(_, p)| *p)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let list = missing.join(" ");
    eprintln!("installing {list}");
    let update = Command::new("apt-get").arg("update").arg("-qq").status();
    if !update.is_ok_and(|status| status.success()) {
        bail!("these packages are needed: {list}\nhint: apt-get install {list}");
    }
    let status = Command::new("apt-get")
        .env("DEBIAN_FRONTEND", "noninteractive")
        .args(["install", "-y", "-qq", "--no-install-recommends"])
        .args(&missing)
        .status()
        .context("run apt-get")?;
    match status.success() {
        true => Ok(()),
        false => bail!("apt-get could not install {list}"),
    }
}

/// Where kubectl is; Debian's is installed when there is none.
pub fn kubectl() -> Result<()> {
    let works = || {
        Command::new("kubectl")
            .args(["version", "--client"])
            .output()
            .is_ok_and(|o| o.status.success())
    };
    if works() {
        return Ok(());
    }
    ensure(&[("/usr/bin/kubectl", "kubernetes-client")])?;
    match works() {
        true => Ok(()),
        false => bail!("kubectl does not run"),
    }
}
