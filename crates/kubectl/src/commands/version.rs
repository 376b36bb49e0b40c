//! `version`: of this program and of the server.

use crate::api::Api;
use crate::error::{Result, said};
use crate::shell::Shell;
use crate::{io, print};
use meta::value;

const CLIENT: &str = "v1.37.0+tiphys";
const KUSTOMIZE: &str = "v5.6.0";

/// The arguments of `version`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// If true, shows client version only (no server required).
    #[arg(long)]
    client: bool,
    /// One of 'yaml' or 'json'.
    #[arg(short, long, default_value = "")]
    output: String,
}

/// Runs it.
pub async fn run(shell: &Shell, args: Args) -> Result {
    let mut tree = value!({
        "clientVersion": {"major": "1", "minor": "37", "platform": "linux/amd64"}
    });
    tree.set_at(&["clientVersion", "gitVersion"], CLIENT);
    tree.set_at(
        &["clientVersion", "platform"],
        format!("linux/{}", go_arch()),
    );
    tree.set_at(&["kustomizeVersion"], KUSTOMIZE);
    let mut failure = Ok(());
    if !args.client {
        match async { shell.api().await?.get("/version").await }.await {
            Ok(server) => tree.set_at(&["serverVersion"], server),
            Err(error) => failure = Err(error),
        }
    }
    match args.output.as_str() {
        "" => {
            io::line(format!("Client Version: {CLIENT}"));
            io::line(format!("Kustomize Version: {KUSTOMIZE}"));
            let server = tree.str_at(&["serverVersion", "gitVersion"]);
            if !server.is_empty() {
                io::line(format!("Server Version: {server}"));
            }
        }
        "json" => io::line(indented(&tree)),
        "yaml" => io::out(&codec::yaml::write(&tree)),
        other => return said(format!("--output must be 'yaml' or 'json', not {other}")),
    }
    failure
}

/// What `--match-server-version` asks for.
pub async fn must_match(api: &Api) -> Result {
    let server = api.get("/version").await?;
    match server.str_at(&["gitVersion"]) {
        CLIENT => Ok(()),
        other => said(format!(
            "server version ({other}) differs from client version ({CLIENT})"
        )),
    }
}

/// `version` indents by two.
fn indented(tree: &meta::Value) -> String {
    let text = print::json(tree);
    let lines = text.lines().map(|line| {
        let depth = line.len() - line.trim_start().len();
        format!("{}{}", " ".repeat(depth / 2), line.trim_start())
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn go_arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
