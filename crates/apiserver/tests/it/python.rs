//! The official Python client works.

use crate::cluster::Cluster;
use std::path::PathBuf;
use std::process::Command;

/// A Python that has the client, made once for this user; none, with a word
/// why, where it cannot be made.
fn python() -> Option<PathBuf> {
    let home = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")))?;
    let venv = home.join("tiphys/venv");
    let python = venv.join("bin/python");
    let has_client = |python: &PathBuf| {
        let import = Command::new(python)
            .args(["-c", "import kubernetes"])
            .output();
        import.is_ok_and(|o| o.status.success())
    };
    if !has_client(&python) {
        let made = Command::new("python3")
            .args(["-m", "venv"])
            .arg(&venv)
            .output();
        let filled = Command::new(venv.join("bin/pip"))
            .args(["install", "--quiet", "kubernetes"])
            .output();
        for step in [made, filled] {
            match step {
                Ok(output) if output.status.success() => {}
                Ok(output) => {
                    let why = String::from_utf8_lossy(&output.stderr).into_owned();
                    eprintln!("skipped: the Python client cannot be installed: {why}");
                    return None;
                }
                Err(error) => {
                    eprintln!("skipped: the Python client cannot be installed: {error}");
                    return None;
                }
            }
        }
    }
    Some(python)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_client_works() {
    let Some(python) = python() else { return };
    let cluster = Cluster::start().await;
    let script = format!("{}/tests/it/client.py", env!("CARGO_MANIFEST_DIR"));
    let said = cluster
        .run(
            &python.display().to_string(),
            &["-W", "ignore", &script],
            None,
        )
        .await;
    let said = said.unwrap_or_else(|e| panic!("{e}"));
    assert!(said.ends_with("dynamically ok\n"), "{said}");
}
