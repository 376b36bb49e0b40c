//! The pod that `run` makes, and the service beside it.

use super::Args;
use crate::error::{Result, said};
use codec::patch;
use meta::{Value, value};

pub(super) fn pod(args: &Args) -> Result<Value> {
    let name = args.names.first().map_or("", String::as_str);
    let spec = value!({
        "containers": [(container(args)?)], "dnsPolicy": "ClusterFirst",
        "restartPolicy": (restart_policy(&args.restart)?)
    });
    let mut pod = value!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": (name), "creationTimestamp": null, "labels": (labels(args)?)},
        "spec": (spec),
        "status": {}
    });
    let (annotations, removed) = crate::words::changes("annotations", &args.annotations)?;
    if let [key, ..] = removed.as_slice() {
        return said(format!("invalid annotations format: {key}-"));
    }
    for (key, text) in annotations {
        pod.set_at(&["metadata", "annotations", &key], text);
    }
    overridden(pod, args)
}

/// A service for the pod's port.
pub(super) fn service(args: &Args) -> Result<Value> {
    let name = args.names.first().map_or("", String::as_str);
    let port = port(args)?;
    let mut service = value!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": (name), "creationTimestamp": null},
        "spec": {"ports": [{"port": (port), "protocol": "TCP", "targetPort": (port)}], "selector": (labels(args)?)},
        "status": {"loadBalancer": {}}
    });
    if !args.labels.is_empty() {
        service.set_at(&["metadata", "labels"], labels(args)?);
    }
    Ok(service)
}

fn container(args: &Args) -> Result<Value> {
    let name = args.names.first().map_or("", String::as_str);
    let mut container = value!({"image": (args.image.as_deref().unwrap_or_default()), "name": (name), "resources": {}});
    let given: Vec<String> = args
        .names
        .iter()
        .skip(1)
        .chain(&args.words)
        .cloned()
        .collect();
    if !given.is_empty() {
        let field = if args.command { "command" } else { "args" };
        container.set_at(&[field], given);
    }
    if !args.port.is_empty() {
        let port = port(args)?;
        container.set_at(&["ports"], vec![value!({"containerPort": (port)})]);
    }
    let env = environment(&args.env)?;
    if !env.is_empty() {
        container.set_at(&["env"], env);
    }
    if !args.image_pull_policy.is_empty() {
        container.set_at(&["imagePullPolicy"], pull_policy(&args.image_pull_policy)?);
    }
    if args.stdin {
        container.set_at(&["stdin"], true);
    }
    if args.stdin && !args.leave_stdin_open {
        container.set_at(&["stdinOnce"], true);
    }
    if args.tty {
        container.set_at(&["tty"], true);
    }
    if args.privileged {
        container.set_at(&["securityContext", "privileged"], true);
    }
    Ok(container)
}

fn port(args: &Args) -> Result<i64> {
    let port = args.port.parse();
    port.or_else(|_| said("--port must be a number"))
}

fn restart_policy(text: &str) -> Result<&str> {
    match text {
        "Always" | "Never" | "OnFailure" => Ok(text),
        other => said(format!(
            "invalid restart policy: {other}, valid values are: Always, OnFailure, Never"
        )),
    }
}

fn pull_policy(text: &str) -> Result<&str> {
    match text {
        "Always" | "IfNotPresent" | "Never" => Ok(text),
        other => said(format!(
            "invalid image pull policy: {other}, valid values are: Always, IfNotPresent, Never"
        )),
    }
}

fn environment(pairs: &[String]) -> Result<Vec<Value>> {
    let pair = |pair: &String| match pair.split_once('=') {
        Some((name, value)) if meta::names::env_var_name(name).is_empty() => {
            Ok(value!({"name": (name), "value": (value)}))
        }
        _ => said(format!("invalid env: {pair}")),
    };
    pairs.iter().map(pair).collect()
}

fn labels(args: &Args) -> Result<Value> {
    let name = args.names.first().map_or("", String::as_str);
    if args.labels.is_empty() {
        return Ok(value!({"run": (name)}));
    }
    let mut labels = Value::object();
    for pair in args.labels.split(',') {
        match pair.split('=').collect::<Vec<_>>().as_slice() {
            ["", _] => return said("unexpected empty label key"),
            [key, value] => labels.set_at(&[key], *value),
            _ => return said(format!("unexpected label spec: {pair}")),
        }
    }
    Ok(labels)
}

/// The pod with what the user says in JSON.
fn overridden(mut pod: Value, args: &Args) -> Result<Value> {
    if args.overrides.is_empty() {
        return Ok(pod);
    }
    let overrides = codec::yaml::parse(&args.overrides)
        .or_else(|error| said(format!("invalid overrides: {error}")))?;
    let applied = match args.override_type.as_str() {
        "merge" | "" => {
            patch::merge::apply(&mut pod, overrides);
            Ok(())
        }
        "json" => patch::json::apply(&mut pod, &overrides),
        "strategic" => match api::schema::of("v1", "Pod") {
            Some(schema) => patch::strategic::apply(&mut pod, overrides, schema),
            None => return said("there is no schema of pods"),
        },
        other => return said(format!("invalid override type: {other}")),
    };
    applied.or_else(|error| said(format!("invalid overrides: {error}")))?;
    Ok(pod)
}
