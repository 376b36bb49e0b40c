//! The binary under test: `TIPHYS_BIN`, or a debug build of the workspace.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

/// Where the binary is; builds it once when nobody says.
///
/// # Panics
/// When it cannot be built.
pub fn tiphys() -> PathBuf {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| match std::env::var_os("TIPHYS_BIN") {
        Some(path) => path.into(),
        None => build(),
    })
    .clone()
}

fn build() -> PathBuf {
    let root = crate::workspace();
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .current_dir(&root)
        .args(["build", "--quiet", "--package", "tiphys"])
        .status();
    assert!(
        status.is_ok_and(|status| status.success()),
        "the binary could not be built"
    );
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or(root.join("target"), PathBuf::from);
    target.join("debug/tiphys")
}
