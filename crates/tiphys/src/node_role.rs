//! What is said of the server's own node that a kubelet may not say of itself:
//! its role, which `kubectl get nodes` shows, and how it was started. k3s sets
//! the same under its own name.

use crate::config::Config;
use client::{Client, Patch};
use serde_json::{Value, json};
use std::net::Ipv4Addr;
use std::time::Duration;
use stdx::Clock;
use typed::api::core::v1::Node;

const ROLE: &str = "node-role.kubernetes.io/control-plane";
/// How long to wait for a node that is not registered yet.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// How long to wait when that fails otherwise.
const TRY_AGAIN: Duration = Duration::from_secs(5);
/// Options whose values are nobody's business.
const SECRETS: [&str; 2] = ["--token", "--datastore-endpoint"];
const HIDDEN: &str = "********";

/// The marks of a node: its name, and what is merged into its metadata.
pub struct Marks {
    node: String,
    metadata: Value,
}

/// What is said of the node of this server.
pub fn marks(config: &Config, node_ip: Ipv4Addr) -> Marks {
    let arguments = json!(hide_secrets(std::env::args().skip(1)));
    Marks {
        node: config.node_name.clone(),
        metadata: json!({
            "labels": {ROLE: "true"},
            "annotations": {
                "tiphys.io/hostname": config.node_name,
                "tiphys.io/internal-ip": node_ip.to_string(),
                "tiphys.io/node-args": arguments.to_string(),
            },
        }),
    }
}

/// Sets the marks as soon as there is a node to bear them.
pub async fn mark(client: Client, marks: Marks, clock: Clock) {
    let nodes = client.api::<Node>();
    let patch = Patch::Merge(json!({"metadata": marks.metadata}));
    loop {
        match nodes.patch(&marks.node, &patch).await {
            Ok(_) => return,
            Err(error) if error.is_not_found() => clock.sleep(LOOK_AGAIN).await,
            Err(error) => {
                let error = error.message();
                tracing::warn!(node = marks.node, error, "the node's role is not set");
                clock.sleep(TRY_AGAIN).await;
            }
        }
    }
}

/// The arguments, without what those who may read nodes may not know.
fn hide_secrets(arguments: impl Iterator<Item = String>) -> Vec<String> {
    let mut follows_secret = false;
    let hide = |argument: String| {
        let is_value = std::mem::take(&mut follows_secret);
        match argument.split_once('=') {
            _ if is_value => HIDDEN.to_owned(),
            Some((option, _)) if SECRETS.contains(&option) => format!("{option}={HIDDEN}"),
            _ => {
                follows_secret = SECRETS.contains(&argument.as_str());
                argument
            }
        }
    };
    arguments.map(hide).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden() {
        let given = "server --token abc --token=def --node-name token -v 4";
        let hidden = hide_secrets(given.split(' ').map(String::from)).join(" ");
        let expected = "server --token ******** --token=******** --node-name token -v 4";
        assert_eq!(hidden, expected);
    }
}
