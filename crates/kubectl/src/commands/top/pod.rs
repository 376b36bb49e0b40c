//! `top pod`.

use super::usage::{amount, of_pod, shown, table, title};
use super::{Common, items, root};
use crate::api::query;
use crate::error::{Result, said};
use crate::io;
use crate::shell::Shell;
use meta::Value;
use meta::quantity::Quantity;
use std::cmp::Reverse;

/// The arguments of `top pod`.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// The pod; all pods by default.
    name: Option<String>,
    #[command(flatten)]
    common: Common,
    /// Selector (field query) to filter on.
    #[arg(long, default_value = "")]
    field_selector: String,
    /// If present, print usage of containers within a pod.
    #[arg(long)]
    containers: bool,
    /// List the requested objects across all namespaces.
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// Print the sum of the resource usage.
    #[arg(long)]
    sum: bool,
}

/// How long metrics of a new pod may be missing.
const DELAY_SECONDS: i64 = 120;

/// Runs it.
pub(super) async fn run(shell: &Shell, args: &Args) -> Result {
    args.common.check()?;
    let selects = !args.common.selector.is_empty() || !args.field_selector.is_empty();
    if args.name.is_some() && selects {
        return said("only one of NAME or selector can be provided");
    }
    let root = root(shell).await?;
    let mut metrics = read(shell, args, &root).await?;
    if metrics.is_empty() {
        return nothing(shell, args).await;
    }
    sort(&mut metrics, args);
    io::out(&table(&rows(args, &mut metrics)));
    Ok(())
}

fn key(pod: &Value) -> (&str, &str) {
    (
        pod.str_at(&["metadata", "namespace"]),
        pod.str_at(&["metadata", "name"]),
    )
}

async fn read(shell: &Shell, args: &Args, root: &str) -> Result<Vec<Value>> {
    let namespace = shell.namespace()?.0;
    let all = match args.all_namespaces {
        true => format!("{root}/pods"),
        false => format!("{root}/namespaces/{namespace}/pods"),
    };
    let path = match &args.name {
        Some(name) => format!("{all}/{name}"),
        None => query(
            &all,
            &[
                ("labelSelector", &args.common.selector),
                ("fieldSelector", &args.field_selector),
            ],
        ),
    };
    let answer = shell.api().await?.get(&path).await?;
    Ok(items(answer, args.name.is_some()))
}

/// Says why nothing is shown: there is nothing, or it has not been measured.
async fn nothing(shell: &Shell, args: &Args) -> Result {
    let now = stdx::Clock::system().wall().as_second();
    let pods = read(shell, args, "/api/v1").await?;
    for pod in &pods {
        let created = meta::time::parse(pod.str_at(&["metadata", "creationTimestamp"]));
        let age = created.map_or(0, |then| now - then.as_second());
        if age > DELAY_SECONDS {
            let (namespace, name) = key(pod);
            return said(format!(
                "Metrics not available for pod {namespace}/{name}, age: {}",
                crate::words::age(age)
            ));
        }
    }
    if !pods.is_empty() {
        return said("metrics not available yet");
    }
    io::warn(match args.all_namespaces {
        true => "No resources found".to_string(),
        false => format!("No resources found in {} namespace.", shell.namespace()?.0),
    });
    Ok(())
}

fn sort(metrics: &mut [Value], args: &Args) {
    let by = args.common.sort_by.as_str();
    match (by, args.all_namespaces) {
        ("", true) => metrics.sort_by(|a, b| key(a).cmp(&key(b))),
        ("", false) => metrics.sort_by(|a, b| key(a).1.cmp(key(b).1)),
        _ => metrics.sort_by_key(|pod| Reverse(of_pod(pod, by))),
    }
}

fn rows(args: &Args, metrics: &mut [Value]) -> Vec<Vec<String>> {
    let resources = args.common.resources();
    let mut rows = Vec::new();
    let mut width = resources.len() + 1;
    if !args.common.no_headers {
        let mut head = Vec::new();
        head.extend(args.all_namespaces.then(|| "NAMESPACE".to_string()));
        head.extend(args.containers.then(|| "POD".to_string()));
        head.push("NAME".into());
        head.extend(resources.iter().map(|resource| title(resource).to_string()));
        width = head.len();
        rows.push(head);
    }
    for pod in metrics.iter_mut() {
        match args.containers {
            true => rows.extend(of_containers(args, pod)),
            false => {
                let amounts = resources.iter().map(|resource| of_pod(pod, resource));
                rows.push(row(args, key(pod).0, &[key(pod).1], amounts.collect()));
            }
        }
    }
    if args.sum {
        rows.extend(sum(args, metrics, width));
    }
    rows
}

fn row(args: &Args, namespace: &str, names: &[&str], amounts: Vec<Quantity>) -> Vec<String> {
    let mut cells = Vec::new();
    cells.extend(args.all_namespaces.then(|| namespace.to_string()));
    cells.extend(names.iter().map(ToString::to_string));
    let amounts = args.common.resources().iter().zip(amounts);
    cells.extend(amounts.map(|(resource, amount)| shown(resource, amount)));
    cells
}

fn of_containers(args: &Args, pod: &Value) -> Vec<Vec<String>> {
    let by = args.common.sort_by.as_str();
    let mut containers: Vec<&Value> = pod.items_at(&["containers"]).iter().collect();
    match by {
        "" => containers.sort_by(|a, b| a.str_at(&["name"]).cmp(b.str_at(&["name"]))),
        by => containers.sort_by_key(|container| Reverse(amount(container.get("usage"), by))),
    }
    let (namespace, name) = key(pod);
    let rows = containers.into_iter().map(|container| {
        let resources = args.common.resources().iter();
        let amounts = resources.map(|resource| amount(container.get("usage"), resource));
        row(
            args,
            namespace,
            &[name, container.str_at(&["name"])],
            amounts.collect(),
        )
    });
    rows.collect()
}

/// A line, and below it how much all pods use together.
fn sum(args: &Args, metrics: &[Value], width: usize) -> Vec<Vec<String>> {
    let mut line = vec![String::new(); width.saturating_sub(2)];
    line.extend(["________".to_string(), "________".to_string()]);
    let mut total = vec![String::new(); width.saturating_sub(2)];
    for resource in args.common.resources() {
        let pods = metrics.iter().map(|pod| of_pod(pod, resource));
        let amount = pods.fold(Quantity::from_units(0), |sum, more| sum + more);
        total.push(shown(resource, amount));
    }
    vec![line, total]
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::FromArgMatches as _;
    use meta::value;

    fn args(words: &str) -> Args {
        let command = <Args as clap::Args>::augment_args(clap::Command::new("pod"));
        let given = std::iter::once("pod").chain(words.split_whitespace());
        Args::from_arg_matches(&command.get_matches_from(given)).expect("arguments")
    }

    #[test]
    fn pods_are_shown_with_their_containers_and_their_sum() {
        let mut metrics = [value!({
            "metadata": {"name": "web", "namespace": "default"},
            "containers": [
                {"name": "side", "usage": {"cpu": "1500u", "memory": "1Mi"}},
                {"name": "main", "usage": {"cpu": "250m", "memory": "2048Ki"}}
            ]
        })];
        assert_eq!(
            table(&rows(&args("--sum"), &mut metrics)),
            "NAME   CPU(cores)   MEMORY(bytes)   \nweb    252m         3Mi             \n       ________     ________        \n       252m         3Mi             \n"
        );
        assert_eq!(
            table(&rows(
                &args("--containers --no-headers --sort-by=cpu"),
                &mut metrics
            )),
            "web   main   250m   2Mi   \nweb   side   2m     1Mi   \n"
        );
    }
}
