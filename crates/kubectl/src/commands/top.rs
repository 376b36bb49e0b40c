//! `top`: what nodes and pods use, as the metrics API says.
//!
//! Follows staging/src/k8s.io/kubectl/pkg/cmd/top and pkg/metricsutil.

mod node;
mod pod;
mod usage;

use crate::error::{Result, said};
use crate::shell::Shell;
use clap::Subcommand;
use meta::Value;

/// The arguments of `top`.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(subcommand)]
    command: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Display resource (CPU/memory) usage of nodes.
    #[command(aliases = ["nodes", "no"])]
    Node(node::Args),
    /// Display resource (CPU/memory) usage of pods.
    #[command(aliases = ["pods", "po"])]
    Pod(pod::Args),
}

/// Runs it.
pub async fn run(shell: &Shell, args: Args) -> Result {
    match args.command {
        What::Node(args) => node::run(shell, &args).await,
        What::Pod(args) => pod::run(shell, &args).await,
    }
}

/// The options of both.
#[derive(clap::Args, Clone, Debug)]
struct Common {
    /// Selector (label query) to filter on.
    #[arg(short = 'l', long, default_value = "")]
    selector: String,
    /// If non-empty, sort by this: cpu or memory.
    #[arg(long, default_value = "")]
    sort_by: String,
    /// If present, print output without headers.
    #[arg(long)]
    no_headers: bool,
    /// Ask for protocol buffers; JSON says the same and is what is asked for.
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    use_protocol_buffers: bool,
    /// Print resources related to swap memory.
    #[arg(long)]
    show_swap: bool,
}

impl Common {
    fn check(&self) -> Result {
        if !["", "cpu", "memory"].contains(&self.sort_by.as_str()) {
            return said("--sort-by accepts only cpu or memory");
        }
        if !self.selector.is_empty() {
            meta::LabelSelector::parse(&self.selector).or_else(said)?;
        }
        Ok(())
    }

    /// The resources that are shown.
    fn resources(&self) -> &'static [&'static str] {
        match self.show_swap {
            true => &["cpu", "memory", "swap"],
            false => &["cpu", "memory"],
        }
    }
}

/// Where the metrics API is served: the first version of it that we know.
async fn root(shell: &Shell) -> Result<String> {
    let known = ["metrics.k8s.io/v1", "metrics.k8s.io/v1beta1"];
    let served = &shell.discovery().await?.group_versions;
    match served
        .iter()
        .find(|version| known.contains(&version.as_str()))
    {
        Some(version) => Ok(format!("/apis/{version}")),
        None => said("Metrics API not available"),
    }
}

/// The items of a list, or the one object that was asked for by name.
fn items(answer: Value, by_name: bool) -> Vec<Value> {
    match by_name {
        true => vec![answer],
        false => answer.items_at(&["items"]).to_vec(),
    }
}
