//! `cluster-info`: where the control plane is.

use crate::error::{Result, said};
use crate::io;
use crate::shell::Shell;

/// The arguments of `cluster-info`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// `dump` is not supported.
    what: Option<String>,
}

/// Runs it.
pub async fn run(shell: &Shell, args: Args) -> Result {
    if let Some(what) = &args.what {
        return said(format!("cluster-info {what} is not supported"));
    }
    let api = shell.api().await?;
    let server = &api.connection.http.server;
    let services = crate::api::query(
        "/api/v1/namespaces/kube-system/services",
        &[("labelSelector", "kubernetes.io/cluster-service=true")],
    );
    let list = api.get(&services).await?;
    io::line(format!("Kubernetes control plane is running at {server}"));
    for service in list.items_at(&["items"]) {
        let name = service.str_at(&["metadata", "name"]);
        let title = match service.str_at(&["metadata", "labels", "kubernetes.io/name"]) {
            "" => name,
            title => title,
        };
        let port = service.items_at(&["spec", "ports"]).first();
        let port = port.map_or("", |port| port.str_at(&["name"]));
        let port = if port.is_empty() {
            String::new()
        } else {
            format!(":{port}")
        };
        io::line(format!(
            "{title} is running at {server}/api/v1/namespaces/kube-system/services/{name}{port}/proxy"
        ));
    }
    io::line("\nTo further debug and diagnose cluster problems, use 'kubectl cluster-info dump'.");
    Ok(())
}
