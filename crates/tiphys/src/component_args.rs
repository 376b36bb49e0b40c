//! Options in the words of upstream's components (`--kube-apiserver-arg
//! name=value` and its siblings, as k3s takes them): those that something here
//! does are put in the place of our own, all others are refused by name.

use crate::kubelet_options;
use crate::server_args::ServerArgs;
use anyhow::{Context as _, Result, bail};
use meta::Quantity;
use std::net::{IpAddr, SocketAddr};

/// Options that every component has.
const EVERYWHERE: [&str; 2] = ["v", "vmodule"];
/// The port of the proxy's health where none is named, upstream's.
const PROXY_HEALTHZ: u16 = 10256;

/// Sets an option from its text.
type Set = fn(&mut ServerArgs, &str) -> Result<()>;

const KUBE_APISERVER: [(&str, Set); 5] = [
    ("advertise-address", |args, value| {
        args.advertise_address = Some(value.parse()?);
        Ok(())
    }),
    ("bind-address", |args, value| {
        args.bind_address = value.parse()?;
        Ok(())
    }),
    ("secure-port", |args, value| {
        args.https_listen_port = value.parse()?;
        Ok(())
    }),
    ("service-cluster-ip-range", |args, value| {
        args.service_cidr = value.into();
        Ok(())
    }),
    ("service-node-port-range", |args, value| {
        args.service_node_port_range = value.into();
        Ok(())
    }),
];
const KUBE_CONTROLLER_MANAGER: [(&str, Set); 2] = [
    ("cluster-cidr", set_cluster_cidr),
    ("service-cluster-ip-range", |args, value| {
        args.service_cidr = value.into();
        Ok(())
    }),
];
const KUBE_PROXY: [(&str, Set); 2] = [
    ("cluster-cidr", set_cluster_cidr),
    ("healthz-bind-address", set_proxy_healthz),
];
const KUBELET: [(&str, Set); 11] = [
    ("cluster-dns", |args, value| {
        args.cluster_dns = Some(value.parse()?);
        Ok(())
    }),
    ("cluster-domain", |args, value| {
        args.cluster_domain = value.into();
        Ok(())
    }),
    ("container-log-max-files", |args, value| {
        let files: u32 = value.parse()?;
        if files < 2 {
            bail!("must be at least 2");
        }
        args.node_limits.container_log_max_files = Some(files);
        Ok(())
    }),
    ("container-log-max-size", |args, value| {
        let bytes = value.parse::<Quantity>()?.value();
        let bytes = u64::try_from(bytes).ok().filter(|bytes| *bytes > 0);
        args.node_limits.container_log_max_size = Some(bytes.context("must be positive")?);
        Ok(())
    }),
    ("hostname-override", |args, value| {
        args.node_name = Some(value.into());
        Ok(())
    }),
    ("max-pods", |args, value| {
        args.node_limits.max_pods = Some(value.parse()?);
        Ok(())
    }),
    ("node-ip", |args, value| {
        args.node_ip = Some(value.parse()?);
        Ok(())
    }),
    ("node-labels", |args, value| {
        args.node_label.extend(value.split(',').map(String::from));
        Ok(())
    }),
    ("pod-max-pids", |args, value| {
        // Upstream's -1 is no limit, which is the default.
        let limit: i64 = value.parse()?;
        args.node_limits.pod_max_pids = Some(limit).filter(|limit| *limit > 0);
        Ok(())
    }),
    ("port", |args, value| {
        args.kubelet_port = value.parse()?;
        Ok(())
    }),
    ("resolv-conf", |args, value| {
        args.resolv_conf = value.into();
        Ok(())
    }),
];

fn set_cluster_cidr(args: &mut ServerArgs, value: &str) -> Result<()> {
    args.cluster_cidr = value.into();
    Ok(())
}

/// An address, with or without a port; nothing means nowhere.
fn set_proxy_healthz(args: &mut ServerArgs, value: &str) -> Result<()> {
    args.proxy_healthz = match value.parse::<IpAddr>() {
        Ok(address) => Some(SocketAddr::from((address, PROXY_HEALTHZ))),
        Err(_) if value.is_empty() => None,
        Err(_) => Some(value.parse()?),
    };
    Ok(())
}

/// The same options in our words.
pub fn translate(mut args: ServerArgs) -> Result<ServerArgs> {
    let given = |list: &mut Vec<String>| std::mem::take(list);
    let lists: [(&str, Vec<String>, &[(&str, Set)]); 5] = [
        (
            "kube-apiserver-arg",
            given(&mut args.kube_apiserver_arg),
            &KUBE_APISERVER,
        ),
        (
            "kube-controller-manager-arg",
            given(&mut args.kube_controller_manager_arg),
            &KUBE_CONTROLLER_MANAGER,
        ),
        (
            "kube-proxy-arg",
            given(&mut args.kube_proxy_arg),
            &KUBE_PROXY,
        ),
        (
            "kube-scheduler-arg",
            given(&mut args.kube_scheduler_arg),
            &[],
        ),
        ("kubelet-arg", given(&mut args.kubelet_arg), &KUBELET),
    ];
    for (option, values, known) in lists {
        for text in values {
            set(&mut args, option, &text, known)?;
        }
    }
    args.kubelet.check()?;
    Ok(args)
}

fn set(args: &mut ServerArgs, option: &str, text: &str, known: &[(&str, Set)]) -> Result<()> {
    let Some((name, value)) = text.trim_start_matches("--").split_once('=') else {
        bail!("--{option}: {text:?} is not of the form name=value");
    };
    let own = kubelet_options::OPTIONS.iter();
    let own = own.filter(|_| option == "kubelet-arg");
    if let Some((_, set)) = own.clone().find(|(known, _)| *known == name) {
        return set(&mut args.kubelet, value).with_context(|| format!("--{option}: {text:?}"));
    }
    // Every component has these two.
    if name == "v" {
        args.log.v = value
            .parse()
            .with_context(|| format!("--{option}: {text:?}"))?;
        return Ok(());
    }
    if name == "vmodule" {
        for module in value.split(',') {
            let module = module.parse();
            let module = module.with_context(|| format!("--{option}: {text:?}"))?;
            args.log.vmodule.push(module);
        }
        return Ok(());
    }
    match known.iter().find(|(known, _)| *known == name) {
        Some((_, set)) => set(args, value).with_context(|| format!("--{option}: {text:?}")),
        None => {
            let more = own.map(|(name, _)| *name);
            let known = known.iter().map(|(name, _)| *name).chain(more);
            let names: Vec<&str> = known.chain(EVERYWHERE).collect();
            bail!(
                "--{option}: {name:?} is not supported; supported are {}",
                names.join(", ")
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command};
    use clap::Parser as _;

    fn translated(arguments: &[&str]) -> Result<ServerArgs> {
        let all = ["tiphys", "server"].iter().chain(arguments);
        match Cli::try_parse_from(all)?.command {
            Command::Server(args) => translate(*args),
            other => bail!("{other:?}"),
        }
    }

    #[test]
    fn known_options_take_effect() {
        let args = translated(&[
            "--kube-apiserver-arg=service-node-port-range=20000-20100",
            "--kubelet-arg=port=10999",
            "--kubelet-arg=node-labels=a=1,b=2",
            "--kubelet-arg=v=4",
            "--kubelet-arg=container-log-max-size=20Mi",
            "--kubelet-arg=pod-max-pids=-1",
            "--kubelet-arg=max-pods=20",
            "--kubelet-arg=max-parallel-image-pulls=2",
            "--kube-proxy-arg=healthz-bind-address=127.0.0.1",
        ]);
        let args = args.expect("options");
        assert_eq!(args.service_node_port_range, "20000-20100");
        assert_eq!((args.kubelet_port, args.log.v), (10999, 4));
        assert_eq!(args.kubelet.parallel_pulls().expect("a number"), Some(2));
        let healthz = args.proxy_healthz.map(|address| address.to_string());
        assert_eq!(healthz.as_deref(), Some("127.0.0.1:10256"));
        assert_eq!(args.node_label, ["a=1", "b=2"]);
        let limits = args.node_limits;
        assert_eq!(limits.container_log_max_size, Some(20 << 20));
        assert_eq!((limits.pod_max_pids, limits.max_pods), (None, Some(20)));
    }

    #[test]
    fn unknown_options_are_refused_by_name() {
        for (argument, complaint) in [
            (
                "--kube-scheduler-arg=profiling=true",
                "--kube-scheduler-arg: \"profiling\" is not supported; supported are v, vmodule",
            ),
            (
                "--kubelet-arg=x",
                "--kubelet-arg: \"x\" is not of the form name=value",
            ),
            ("--kubelet-arg=port=x", "--kubelet-arg: \"port=x\""),
            (
                "--kubelet-arg=container-log-max-files=1",
                "--kubelet-arg: \"container-log-max-files=1\"",
            ),
            (
                "--kubelet-arg=image-gc-high-threshold=x",
                "--kubelet-arg: \"image-gc-high-threshold=x\"",
            ),
            ("--kubelet-arg=max-parallel-image-pulls=0", "--kubelet-arg"),
        ] {
            let error = translated(&[argument]).expect_err(argument).to_string();
            assert_eq!(error, complaint);
        }
    }
}
