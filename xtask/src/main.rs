//! The project's own tools: `cargo xtask up|down|test|bench|codegen`.

mod bench;
mod codegen;
mod debian;
mod test;
#[cfg(test)]
mod tidy;
mod up;

use anyhow::Result;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: &str = "usage: cargo xtask COMMAND

  up                 build, start a cluster, run the example, show it
  down               end that cluster and remove what it left
  test [FILTER]      all tests
  bench [--only NAME] [--kubeconfig FILE] …
                     measure, and keep SPECIFICATION.md
  codegen [--check]  make crates/api/src/generated from spec/";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match run(&root(), &args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(root: &Path, args: &[String]) -> Result<()> {
    let rest = args.get(1..).unwrap_or_default();
    match args.first().map(String::as_str) {
        Some("bench") => bench::run(root, rest),
        Some("codegen") => codegen::run(root, rest.iter().any(|a| a == "--check")),
        Some("down") => up::down(root),
        Some("test") => test::run(root, rest),
        Some("up") => up::up(root),
        _ => anyhow::bail!("{USAGE}"),
    }
}

/// The root of the workspace: of the checkout from which cargo runs this, which
/// need not be the one that it was built in.
fn root() -> PathBuf {
    let here = std::env::var_os("CARGO_MANIFEST_DIR");
    let here = here.map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    here.parent().unwrap_or(Path::new(".")).to_path_buf()
}
