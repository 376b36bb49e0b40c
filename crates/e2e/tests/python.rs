//! The official Python client, from its own environment.

use e2e::{Outcome, Scope, suite};
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::sync::OnceLock;

fn main() -> ExitCode {
    suite(
        &[
            ("the_official_client_works", the_official_client_works),
            ("the_official_client_streams", the_official_client_streams),
        ],
        &[],
    )
}

fn the_official_client_works(t: &Scope) {
    run(t, "basics.py");
}

fn the_official_client_streams(t: &Scope) {
    run(t, "streams.py");
}

fn run(t: &Scope, script: &str) {
    let Some(python) = python() else {
        eprintln!("skipped: there is no Python client and it cannot be installed");
        return;
    };
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/python")
        .join(script);
    let outcome = Outcome::of(
        Command::new(python)
            .arg(script)
            .arg(&t.namespace)
            .env("KUBECONFIG", t.cluster.kubeconfig())
            .env("NO_PROXY", "127.0.0.1"),
    );
    assert!(
        outcome.stdout.ends_with("all is well\n"),
        "{}",
        outcome.text()
    );
}

/// A Python that has the client; a virtual environment is made for it when
/// nobody names one.
fn python() -> Option<PathBuf> {
    static FOUND: OnceLock<Option<PathBuf>> = OnceLock::new();
    FOUND
        .get_or_init(|| {
            let named = std::env::var_os("TIPHYS_PYTHON").map(PathBuf::from);
            named
                .into_iter()
                .chain(["python3".into()])
                .find(|python| knows_client(python))
                .or_else(install)
        })
        .clone()
}

fn knows_client(python: &PathBuf) -> bool {
    let output = Command::new(python)
        .args(["-c", "import kubernetes"])
        .output();
    output.is_ok_and(|output| output.status.success())
}

fn install() -> Option<PathBuf> {
    let folder = e2e::workspace().join("target/python-client");
    let python = folder.join("bin/python");
    if knows_client(&python) {
        return Some(python);
    }
    let run = |program: &str, arguments: &[&str]| {
        let mut limited = Command::new("timeout");
        let status = limited.arg("120").arg(program).args(arguments).status();
        status.is_ok_and(|status| status.success())
    };
    let is_made = run("python3", &["-m", "venv", &folder.to_string_lossy()]);
    let install = ["-m", "pip", "install", "--quiet", "kubernetes"];
    (is_made && run(&python.to_string_lossy(), &install) && knows_client(&python)).then_some(python)
}
