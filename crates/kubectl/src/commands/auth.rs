//! `auth`: who am I, and may I.

mod reconcile;

use crate::error::{Error, Result, said};
use crate::io;
use crate::print::{DryRun, PrintArgs};
use crate::shell::Shell;
use crate::words::columns;
use clap::Subcommand;
use meta::{Value, value};

/// The arguments of `auth`.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(subcommand)]
    command: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Check whether an action is allowed.
    CanI {
        /// A verb, then a type, a type/name or a URL, then a name.
        words: Vec<String>,
        /// If true, check the specified action in all namespaces.
        #[arg(short = 'A', long)]
        all_namespaces: bool,
        /// If true, suppress output and just return the exit code.
        #[arg(short, long)]
        quiet: bool,
        /// SubResource such as pod/log or deployment/scale.
        #[arg(long, default_value = "")]
        subresource: String,
        /// If true, prints all allowed actions.
        #[arg(long)]
        list: bool,
        /// If true, prints allowed actions without headers.
        #[arg(long)]
        no_headers: bool,
    },
    /// Reconciles rules for RBAC role, role binding, cluster role, and cluster role binding objects.
    Reconcile(reconcile::Args),
    /// Experimental: Check self subject attributes.
    Whoami {
        #[command(flatten)]
        print: PrintArgs,
    },
}

/// Runs it.
pub async fn run(shell: &Shell, args: Args) -> Result {
    match args.command {
        What::Reconcile(args) => reconcile::run(shell, &args).await,
        What::Whoami { print } => whoami(shell, &print).await,
        What::CanI {
            list: true,
            no_headers,
            ..
        } => list(shell, no_headers).await,
        What::CanI {
            words,
            all_namespaces,
            quiet,
            subresource,
            ..
        } => can_i(shell, &words, all_namespaces, quiet, &subresource).await,
    }
}

async fn can_i(shell: &Shell, words: &[String], all: bool, quiet: bool, below: &str) -> Result {
    let (verb, what, name) = match words {
        [verb, what] => (verb, what, ""),
        [verb, what, name] => (verb, what, name.as_str()),
        _ => {
            return said(
                "you must specify two arguments: verb resource or verb resource/resourceName.\nSee 'kubectl auth can-i -h' for help and examples.",
            );
        }
    };
    let mut spec = value!({});
    if what.starts_with('/') {
        spec.set_at(&["nonResourceAttributes", "path"], what.as_str());
        spec.set_at(&["nonResourceAttributes", "verb"], verb.as_str());
    } else {
        let (what, named) = what.split_once('/').unwrap_or((what, name));
        let (namespace, _) = shell.namespace()?;
        let found = shell.resource(what).await;
        let (group, resource, namespaced) = match &found {
            _ if what == "*" => ("*".to_string(), "*".to_string(), true),
            Ok(found) => (found.group.clone(), found.name.clone(), found.namespaced),
            Err(_) => {
                io::warn(format!(
                    "Warning: the server doesn't have a resource type '{what}'\n"
                ));
                (String::new(), what.to_string(), true)
            }
        };
        if !namespaced {
            io::warn(match found.as_ref().map(|f| f.group.as_str()) {
                Ok("") | Err(_) => {
                    format!("Warning: resource '{resource}' is not namespace scoped\n")
                }
                Ok(group) => format!(
                    "Warning: resource '{resource}' is not namespace scoped in group '{group}'\n"
                ),
            });
        }
        let fields = [
            ("namespace", if all { String::new() } else { namespace }),
            ("verb", verb.clone()),
            ("group", group),
            ("resource", resource),
            ("subresource", below.to_string()),
            ("name", named.to_string()),
        ];
        for (field, text) in fields.into_iter().filter(|(_, text)| !text.is_empty()) {
            spec.set_at(&["resourceAttributes", field], text);
        }
    }
    let review = value!({"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": (spec)});
    let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    let answer = shell.api().await?.post(path, &review).await?;
    let allowed = answer.is_true_at(&["status", "allowed"]);
    if !quiet {
        let reason = match answer.str_at(&["status", "reason"]) {
            "" => String::new(),
            _ if allowed => String::new(),
            reason => format!(" - {reason}"),
        };
        io::line(format!("{}{reason}", if allowed { "yes" } else { "no" }));
    }
    if allowed { Ok(()) } else { Err(Error::Exit(1)) }
}

async fn list(shell: &Shell, no_headers: bool) -> Result {
    let (namespace, _) = shell.namespace()?;
    let review = value!({
        "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview", "spec": {"namespace": (namespace)}
    });
    let path = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews";
    let answer = shell.api().await?.post(path, &review).await?;
    let mut rows = Vec::new();
    if !no_headers {
        let heads = ["Resources", "Non-Resource URLs", "Resource Names", "Verbs"];
        rows.push(heads.map(str::to_string).to_vec());
    }
    let list = |rule: &Value, field: &str| {
        let all: Vec<&str> = rule
            .items_at(&[field])
            .iter()
            .filter_map(Value::as_str)
            .collect();
        format!("[{}]", all.join(" "))
    };
    let mut found = Vec::new();
    for rule in answer.items_at(&["status", "resourceRules"]) {
        for resource in rule
            .items_at(&["resources"])
            .iter()
            .filter_map(Value::as_str)
        {
            for group in rule
                .items_at(&["apiGroups"])
                .iter()
                .filter_map(Value::as_str)
            {
                let title = if group.is_empty() {
                    resource.to_string()
                } else {
                    format!("{resource}.{group}")
                };
                let (names, verbs) = (list(rule, "resourceNames"), list(rule, "verbs"));
                let key = format!("{verbs},[{group}],[{resource}],{names},[]");
                found.push((key, vec![title, "[]".into(), names, verbs]));
            }
        }
    }
    for rule in answer.items_at(&["status", "nonResourceRules"]) {
        for url in rule
            .items_at(&["nonResourceURLs"])
            .iter()
            .filter_map(Value::as_str)
        {
            let verbs = list(rule, "verbs");
            let key = format!("{verbs},[],[],[],[{url}]");
            let row = vec![String::new(), format!("[{url}]"), "[]".into(), verbs];
            found.push((key, row));
        }
    }
    // Upstream sorts rules by what Go prints of them, verbs first.
    found.sort();
    rows.extend(found.into_iter().map(|(_, row)| row));
    io::out(&columns(&rows));
    Ok(())
}

async fn whoami(shell: &Shell, print: &PrintArgs) -> Result {
    let review = value!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
    let path = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
    let answer = shell.api().await?.post(path, &review).await;
    let disabled = "the selfsubjectreviews API is not enabled in the cluster";
    let answer = match answer {
        Err(error) if error.is_not_found() => return said(disabled),
        Err(error) if error.reason() == "Forbidden" => {
            return said(format!(
                "{disabled} or you do not have permission to call it"
            ));
        }
        other => other?,
    };
    let mut reporter = print.reporter(DryRun::None)?;
    if !reporter.is_human() {
        return reporter.print(&answer);
    }
    let info = answer
        .at(&["status", "userInfo"])
        .cloned()
        .unwrap_or_default();
    let mut rows = vec![vec!["ATTRIBUTE".to_string(), "VALUE".to_string()]];
    let list = |items: &[Value]| {
        let all: Vec<&str> = items.iter().filter_map(Value::as_str).collect();
        format!("[{}]", all.join(" "))
    };
    for (title, field) in [("Username", "username"), ("UID", "uid")] {
        if !info.str_at(&[field]).is_empty() {
            rows.push(vec![title.into(), info.str_at(&[field]).into()]);
        }
    }
    if !info.items_at(&["groups"]).is_empty() {
        rows.push(vec!["Groups".into(), list(info.items_at(&["groups"]))]);
    }
    for (key, values) in info
        .get("extra")
        .and_then(Value::as_object)
        .into_iter()
        .flat_map(meta::Map::iter)
    {
        rows.push(vec![
            format!("Extra: {key}"),
            list(values.as_array().unwrap_or_default()),
        ]);
    }
    io::out(&columns(&rows));
    Ok(())
}
