//! The official Python client, from its own environment.

use e2e::{Outcome, Scope, python, suite};
use std::path::PathBuf;
use std::process::{Command, ExitCode};

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
