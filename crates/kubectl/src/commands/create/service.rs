//! `create service clusterip|externalname|loadbalancer|nodeport`.

use super::Common;
use crate::error::{Result, said};
use clap::Subcommand;
use meta::{Value, value};

/// The arguments.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    #[command(subcommand)]
    kind: Kind,
}

#[derive(Debug, Subcommand)]
enum Kind {
    /// Create a ClusterIP service.
    Clusterip {
        #[command(flatten)]
        ports: Ports,
        /// Assign your own ClusterIP or set to 'None' for a 'headless' service.
        #[arg(long, default_value = "")]
        clusterip: String,
    },
    /// Create an ExternalName service.
    Externalname {
        #[command(flatten)]
        ports: Ports,
        /// External name of service.
        #[arg(long)]
        external_name: String,
    },
    /// Create a LoadBalancer service.
    Loadbalancer {
        #[command(flatten)]
        ports: Ports,
    },
    /// Create a NodePort service.
    Nodeport {
        #[command(flatten)]
        ports: Ports,
        /// Port used to expose the service on each node in a cluster.
        #[arg(long, default_value_t = 0)]
        node_port: i64,
    },
}

#[derive(clap::Args, Debug)]
struct Ports {
    name: String,
    /// Port pairs can be specified as '<port>:<targetPort>'.
    #[arg(long, value_delimiter = ',')]
    tcp: Vec<String>,
    #[command(flatten)]
    common: Common,
}

impl Args {
    pub(super) fn object(self) -> Result<(Common, Value)> {
        let (kind, ports, extra) = match self.kind {
            Kind::Clusterip { ports, clusterip } => {
                ("ClusterIP", ports, ("clusterIP", Value::from(clusterip)))
            }
            Kind::Externalname {
                ports,
                external_name,
            } => (
                "ExternalName",
                ports,
                ("externalName", external_name.into()),
            ),
            Kind::Loadbalancer { ports } => ("LoadBalancer", ports, ("", Value::Null)),
            Kind::Nodeport { ports, node_port } => {
                ("NodePort", ports, ("nodePort", node_port.into()))
            }
        };
        let headless = extra.1.as_str() == Some("None");
        if ports.tcp.is_empty() && kind != "ExternalName" && !headless {
            return said("at least one tcp port specifier must be provided");
        }
        let name = ports.name.as_str();
        let mut service = value!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": (name), "labels": {"app": (name)}, "creationTimestamp": null},
            "spec": {"selector": {"app": (name)}, "type": (kind)}, "status": {"loadBalancer": {}}
        });
        let mut list = Vec::new();
        for text in &ports.tcp {
            let mut port = port(text)?;
            if extra.0 == "nodePort" && !extra.1.is_empty() {
                port.set_at(&["nodePort"], extra.1.clone());
            }
            list.push(port);
        }
        if !list.is_empty() {
            service.set_at(&["spec", "ports"], list);
        }
        if ["clusterIP", "externalName"].contains(&extra.0) && !extra.1.is_empty() {
            service.set_at(&["spec", extra.0], extra.1);
        }
        Ok((ports.common, service))
    }
}

fn port(text: &str) -> Result<Value> {
    let (port, target) = text.split_once(':').unwrap_or((text, text));
    let number = |text: &str| {
        text.parse::<i64>()
            .ok()
            .filter(|n| (0..=65535).contains(n))
            .map_or_else(
                || said(format!("invalid port {}", crate::words::quote(text))),
                Ok,
            )
    };
    let target = match target.parse::<i64>() {
        Ok(_) => Value::from(number(target)?),
        Err(_) => Value::from(target),
    };
    Ok(value!({
        "name": (text.replace(':', "-")), "port": (number(port)?), "protocol": "TCP", "targetPort": (target)
    }))
}
