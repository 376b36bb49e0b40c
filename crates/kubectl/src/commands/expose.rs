//! `expose`: a Service for what runs already.
//!
//! Follows staging/src/k8s.io/kubectl/pkg/cmd/expose/expose.go.

use super::create::generated;
use crate::change::Write;
use crate::deriving::DeriveArgs;
use crate::error::{Result, said};
use crate::overriding::OverrideArgs;
use crate::pods::selector;
use crate::select::fetch_all;
use crate::shell::Shell;
use meta::{Value, value};

/// The arguments of `expose`.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    derive: DeriveArgs,
    /// The port that the service should serve on.
    #[arg(long, default_value = "")]
    port: String,
    /// Name or number for the port on the container that the service should direct traffic to.
    #[arg(long, default_value = "")]
    target_port: String,
    /// The network protocol for the service to be created.
    #[arg(long, default_value = "")]
    protocol: String,
    /// Type for this service: ClusterIP, NodePort, LoadBalancer, or ExternalName.
    #[arg(long = "type", default_value = "")]
    kind: String,
    /// A label selector to use for this service.
    #[arg(long, default_value = "")]
    selector: String,
    /// Labels to apply to the service created by this call.
    #[arg(short, long, default_value = "")]
    labels: String,
    /// ClusterIP to be assigned to the service.
    #[arg(long, default_value = "")]
    cluster_ip: String,
    /// Additional external IP address to accept for the service.
    #[arg(long, default_value = "")]
    external_ip: String,
    /// If non-empty, set the session affinity for the service to this.
    #[arg(long, default_value = "")]
    session_affinity: String,
    /// IP to assign to the LoadBalancer.
    #[arg(long, default_value = "")]
    load_balancer_ip: String,
    #[command(flatten)]
    overrides: OverrideArgs,
    /// Name of the manager used to track field ownership.
    #[arg(long, default_value = "kubectl-expose")]
    field_manager: String,
}

/// Runs it.
pub async fn run(shell: &Shell, args: Args) -> Result {
    let choice = args.derive.choice();
    crate::marking::needs_names(&choice)?;
    let dry_run = args.derive.dry_run.get()?;
    let write = Write::by(&args.field_manager, dry_run);
    let mut reporter = args.derive.print.reporter(dry_run)?;
    for info in fetch_all(shell, &choice).await? {
        let kinds = [
            "Pod",
            "Service",
            "Deployment",
            "ReplicaSet",
            "ReplicationController",
        ];
        if !kinds.contains(&info.resource.kind.as_str()) {
            return said(format!("cannot expose a {}", info.resource.kind));
        }
        let mut service = service(&args, &info.name, &info.object)?;
        service = args.overrides.apply(&service)?;
        let made = generated(shell, args.derive.noted(service)).await?;
        let object = write.create(shell, &made).await?;
        reporter.report(&object, "exposed")?;
    }
    Ok(())
}

fn service(args: &Args, name: &str, object: &Value) -> Result<Value> {
    let name = args.derive.name_beside(name);
    let selector = match (args.selector.as_str(), object.str_at(&["kind"])) {
        ("", "Pod") => match object.at(&["metadata", "labels"]) {
            Some(labels) => labels.clone(),
            None => return said("couldn't retrieve selectors via --selector flag or introspection: the pod has no labels and cannot be exposed"),
        },
        ("", _) if !object.items_at(&["spec", "selector", "matchExpressions"]).is_empty() => {
            return said(format!(
                "couldn't retrieve selectors via --selector flag or introspection: couldn't convert expressions - \"{}\" to map-based selector format",
                expressions(object.items_at(&["spec", "selector", "matchExpressions"]))
            ));
        }
        ("", _) => pairs(&selector(object).or_else(|_| {
            said("couldn't retrieve selectors via --selector flag or introspection: invalid deployment: no selectors, therefore cannot be exposed")
        })?)?,
        (text, _) => pairs(text)?,
    };
    let ports = ports(args, object)?;
    let mut service = value!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": (name)},
        "spec": {"ports": (ports), "selector": (selector)}, "status": {"loadBalancer": {}}
    });
    let labels = match args.labels.as_str() {
        "" => object.at(&["metadata", "labels"]).cloned(),
        text => Some(pairs(text)?),
    };
    if let Some(labels) = labels {
        service.set_at(&["metadata", "labels"], labels);
    }
    let spec = [
        ("type", &args.kind),
        ("clusterIP", &args.cluster_ip),
        ("sessionAffinity", &args.session_affinity),
        ("loadBalancerIP", &args.load_balancer_ip),
    ];
    for (field, text) in spec.into_iter().filter(|(_, text)| !text.is_empty()) {
        service.set_at(&["spec", field], text.as_str());
    }
    if !args.external_ip.is_empty() {
        service.set_at(&["spec", "externalIPs"], vec![args.external_ip.as_str()]);
    }
    Ok(service)
}

/// Expressions as Go prints such structs.
fn expressions(all: &[Value]) -> String {
    let each = all.iter().map(|one| {
        let values = one.items_at(&["values"]).iter().filter_map(Value::as_str);
        format!(
            "{{Key:{} Operator:{} Values:[{}]}}",
            one.str_at(&["key"]),
            one.str_at(&["operator"]),
            values.collect::<Vec<_>>().join(" ")
        )
    });
    format!("[{}]", each.collect::<Vec<_>>().join(" "))
}

fn pairs(text: &str) -> Result<Value> {
    let mut out = value!({});
    for pair in text.split(',').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some((key, value)) => out.set_at(&[key], value),
            None => return said(format!("unexpected label spec: {pair}")),
        }
    }
    Ok(out)
}

fn ports(args: &Args, object: &Value) -> Result<Vec<Value>> {
    let declared = declared(object);
    let wanted: Vec<(i64, String)> = match args.port.as_str() {
        "" => declared.clone(),
        text => {
            let mut out = Vec::new();
            for word in text.split(',') {
                match word.parse() {
                    Ok(port) => out.push((port, protocol_of(args, &declared, port))),
                    Err(_) => return said(format!("invalid port {word}")),
                }
            }
            out
        }
    };
    if wanted.is_empty() {
        return said("couldn't find port via --port flag or introspection");
    }
    let many = wanted.len() > 1;
    let made = wanted.into_iter().enumerate().map(|(i, (port, protocol))| {
        let target = match args.target_port.as_str() {
            "" => Value::from(port),
            text => text
                .parse::<i64>()
                .map_or_else(|_| Value::from(text), Value::from),
        };
        let mut made = value!({"port": (port), "protocol": (protocol), "targetPort": (target)});
        if many {
            made.set_at(&["name"], format!("port-{}", i + 1));
        }
        made
    });
    Ok(made.collect())
}

/// The protocol that is asked for, or that of the port where it is declared.
fn protocol_of(args: &Args, declared: &[(i64, String)], port: i64) -> String {
    let known = declared.iter().find(|(known, _)| *known == port);
    match (args.protocol.as_str(), known) {
        ("", Some((_, protocol))) => protocol.clone(),
        ("", None) => "TCP".into(),
        (asked, _) => asked.into(),
    }
}

fn declared(object: &Value) -> Vec<(i64, String)> {
    let list: &[&str] = match object.str_at(&["kind"]) {
        "Pod" => &["spec", "containers"],
        "Service" => &["spec", "ports"],
        _ => &["spec", "template", "spec", "containers"],
    };
    let protocol = |p: &Value| match p.str_at(&["protocol"]) {
        "" => "TCP".to_string(),
        named => named.to_string(),
    };
    let items = object.items_at(list);
    if object.str_at(&["kind"]) == "Service" {
        return items
            .iter()
            .filter_map(|p| Some((p.i64_at(&["port"])?, protocol(p))))
            .collect();
    }
    items
        .iter()
        .flat_map(|c| c.items_at(&["ports"]))
        .filter_map(|p| Some((p.i64_at(&["containerPort"])?, protocol(p))))
        .collect()
}
