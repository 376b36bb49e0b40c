//! Options in the words of upstream's components (`--kube-apiserver-arg
//! name=value` and its siblings, as k3s takes them): those that something here
//! does are put in the place of our own, all others are refused by name.

use crate::cli::ServerArgs;
use anyhow::{Context as _, Result, bail};

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
const KUBE_PROXY: [(&str, Set); 1] = [("cluster-cidr", set_cluster_cidr)];
const KUBELET: [(&str, Set); 7] = [
    ("cluster-dns", |args, value| {
        args.cluster_dns = Some(value.parse()?);
        Ok(())
    }),
    ("cluster-domain", |args, value| {
        args.cluster_domain = value.into();
        Ok(())
    }),
    ("hostname-override", |args, value| {
        args.node_name = Some(value.into());
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
    Ok(args)
}

fn set(args: &mut ServerArgs, option: &str, text: &str, known: &[(&str, Set)]) -> Result<()> {
    let Some((name, value)) = text.trim_start_matches("--").split_once('=') else {
        bail!("--{option}: {text:?} is not of the form name=value");
    };
    // Every component has it.
    if name == "v" {
        args.v = value
            .parse()
            .with_context(|| format!("--{option}: {text:?}"))?;
        return Ok(());
    }
    match known.iter().find(|(known, _)| *known == name) {
        Some((_, set)) => set(args, value).with_context(|| format!("--{option}: {text:?}")),
        None => {
            let names: Vec<&str> = known.iter().map(|(name, _)| *name).chain(["v"]).collect();
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
        ]);
        let args = args.expect("options");
        assert_eq!(args.service_node_port_range, "20000-20100");
        assert_eq!((args.kubelet_port, args.v), (10999, 4));
        assert_eq!(args.node_label, ["a=1", "b=2"]);
    }

    #[test]
    fn unknown_options_are_refused_by_name() {
        for (argument, complaint) in [
            (
                "--kube-scheduler-arg=profiling=true",
                "--kube-scheduler-arg: \"profiling\" is not supported; supported are v",
            ),
            (
                "--kubelet-arg=x",
                "--kubelet-arg: \"x\" is not of the form name=value",
            ),
            ("--kubelet-arg=port=x", "--kubelet-arg: \"port=x\""),
        ] {
            let error = translated(&[argument]).expect_err(argument).to_string();
            assert_eq!(error, complaint);
        }
    }
}
