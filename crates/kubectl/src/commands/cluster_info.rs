//! `cluster-info`: where the control plane is, and a dump of what goes on.
//!
//! Follows staging/src/k8s.io/kubectl/pkg/cmd/clusterinfo/clusterinfo.go.

mod dump;

use crate::error::Result;
use crate::io;
use crate::shell::Shell;
use clap::Subcommand;
use meta::Value;

/// The arguments of `cluster-info`.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Dump relevant information for debugging and diagnosis.
    Dump(dump::Args),
}

/// Runs it.
pub async fn run(shell: &Shell, args: Args) -> Result {
    if let Some(What::Dump(args)) = args.what {
        return dump::run(shell, &args).await;
    }
    let namespace = match shell.globals.namespace.as_deref() {
        None | Some("") => "kube-system",
        Some(named) => named,
    };
    let api = shell.api().await?;
    let services = crate::api::query(
        &format!("/api/v1/namespaces/{namespace}/services"),
        &[("labelSelector", "kubernetes.io/cluster-service=true")],
    );
    let list = api.get(&services).await?;
    let server = &api.connection.http.server;
    io::line(format!("Kubernetes control plane is running at {server}"));
    for service in list.items_at(&["items"]) {
        let name = service.str_at(&["metadata", "name"]);
        let title = match service.str_at(&["metadata", "labels", "kubernetes.io/name"]) {
            "" => name,
            title => title,
        };
        io::line(format!("{title} is running at {}", link(server, service)));
    }
    io::line("\nTo further debug and diagnose cluster problems, use 'kubectl cluster-info dump'.");
    Ok(())
}

/// The balancer's addresses of a Service, or its proxy.
fn link(server: &str, service: &Value) -> String {
    let ports = service.items_at(&["spec", "ports"]);
    let balancers = service.items_at(&["status", "loadBalancer", "ingress"]);
    if let Some(balancer) = balancers.first() {
        let host = match balancer.str_at(&["ip"]) {
            "" => balancer.str_at(&["hostname"]),
            ip => ip,
        };
        let ports = ports.iter().filter_map(|port| port.i64_at(&["port"]));
        return ports.map(|port| format!("http://{host}:{port} ")).collect();
    }
    let mut name = service.str_at(&["metadata", "name"]).to_string();
    if let Some(port) = ports.first() {
        let port_name = port.str_at(&["name"]);
        let is_secure = port_name == "https" || port.i64_at(&["port"]) == Some(443);
        name = match (is_secure, port_name) {
            (true, port) => format!("https:{name}:{port}"),
            (false, "") => name,
            (false, port) => format!("{name}:{port}"),
        };
    }
    let namespace = service.str_at(&["metadata", "namespace"]);
    format!("{server}/api/v1/namespaces/{namespace}/services/{name}/proxy")
}
