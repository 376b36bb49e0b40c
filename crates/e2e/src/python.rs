//! A Python with the packages that tests of clients and operators use.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// What the tests import, and the package that has it.
const PACKAGES: [&str; 2] = ["kubernetes", "kopf"];

/// A Python that has the packages; a virtual environment is made for it when
/// nobody names one (`TIPHYS_PYTHON`) and the machine's own has them not.
pub fn python() -> Option<PathBuf> {
    static FOUND: OnceLock<Option<PathBuf>> = OnceLock::new();
    FOUND
        .get_or_init(|| {
            let named = std::env::var_os("TIPHYS_PYTHON").map(PathBuf::from);
            named
                .into_iter()
                .chain(["python3".into()])
                .find(|python| has_packages(python))
                .or_else(install)
        })
        .clone()
}

fn has_packages(python: &Path) -> bool {
    let imports = format!("import {}", PACKAGES.join(", "));
    let output = Command::new(python).args(["-c", &imports]).output();
    output.is_ok_and(|output| output.status.success())
}

fn install() -> Option<PathBuf> {
    let folder = crate::workspace().join("target/python-client");
    let python = folder.join("bin/python");
    if has_packages(&python) {
        return Some(python);
    }
    let run = |program: &str, arguments: &[&str]| {
        let mut limited = Command::new("timeout");
        let status = limited.arg("120").arg(program).args(arguments).status();
        status.is_ok_and(|status| status.success())
    };
    let is_made = run("python3", &["-m", "venv", &folder.to_string_lossy()]);
    let mut install = vec!["-m", "pip", "install", "--quiet"];
    install.extend(PACKAGES);
    let is_installed = is_made && run(&python.to_string_lossy(), &install);
    (is_installed && has_packages(&python)).then_some(python)
}
