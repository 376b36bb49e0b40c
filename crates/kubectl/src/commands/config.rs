//! `config`: reads and changes kubeconfig files.
//!
//! Follows staging/src/k8s.io/kubectl/pkg/cmd/config.

mod entries;

use crate::config::Kubeconfig;
use crate::error::{Result, said};
use crate::io;
use crate::print::{DryRun, PrintArgs};
use crate::shell::Shell;
use crate::words::{columns, quote};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Subcommand;
use meta::{Map, Value};

/// The arguments of `config`.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(subcommand)]
    command: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Display the current-context.
    CurrentContext,
    /// Delete the specified cluster from the kubeconfig.
    DeleteCluster { name: String },
    /// Delete the specified context from the kubeconfig.
    DeleteContext { name: String },
    /// Delete the specified user from the kubeconfig.
    DeleteUser { name: String },
    /// Display clusters defined in the kubeconfig.
    GetClusters,
    /// Describe one or many contexts.
    GetContexts {
        /// The contexts; all by default.
        names: Vec<String>,
        /// Don't print headers.
        #[arg(long)]
        no_headers: bool,
        /// Output format: name.
        #[arg(short, long, default_value = "")]
        output: String,
    },
    /// Display users defined in the kubeconfig.
    GetUsers,
    /// Rename a context from the kubeconfig file.
    RenameContext { old: String, new: String },
    /// Set an individual value in a kubeconfig file.
    Set {
        path: String,
        value: String,
        /// When writing a []byte value, write it directly without base64 decoding.
        #[arg(long)]
        set_raw_bytes: bool,
    },
    /// Set a cluster entry in kubeconfig; the global options say what.
    SetCluster(entries::ClusterArgs),
    /// Set a context entry in kubeconfig; the global options say what.
    SetContext {
        name: Option<String>,
        /// Modify the current context.
        #[arg(long)]
        current: bool,
    },
    /// Set a user entry in kubeconfig; the global options say what.
    SetCredentials(entries::CredentialsArgs),
    /// Unset an individual value in a kubeconfig file.
    Unset { path: String },
    /// Set the current-context in a kubeconfig file.
    #[command(alias = "use")]
    UseContext { name: String },
    /// Display merged kubeconfig settings or a specified kubeconfig file.
    View {
        #[command(flatten)]
        print: PrintArgs,
        /// Merge the full hierarchy of kubeconfig files.
        #[arg(long, default_value_t = true, action = clap::ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
        merge: bool,
        /// Remove all information not used by current-context from the output.
        #[arg(long)]
        minify: bool,
        /// Display raw byte data and sensitive data.
        #[arg(long)]
        raw: bool,
        /// Flatten the resulting kubeconfig file into self-contained output.
        #[arg(long)]
        flatten: bool,
    },
}

/// Runs it.
pub async fn run(shell: &Shell, args: Args) -> Result {
    let globals = &shell.globals;
    let mut config = Kubeconfig::load_to_write(globals.kubeconfig.as_deref())?;
    match args.command {
        What::CurrentContext => match config.current_context() {
            "" => return said("current-context is not set"),
            name => io::line(name),
        },
        What::GetClusters => names(&config, "clusters"),
        What::GetUsers => names(&config, "users"),
        What::GetContexts {
            names,
            no_headers,
            output,
        } => {
            return contexts(&config, &names, no_headers, &output);
        }
        What::View {
            print,
            merge,
            minify,
            raw,
            flatten,
        } => {
            if !merge && globals.kubeconfig.is_none() {
                return said("if merge==false a precise file must be specified");
            }
            return view(shell, &config, &print, minify, raw, flatten);
        }
        What::UseContext { name } => {
            if config.entry("contexts", &name).is_none() {
                return said(format!("no context exists with the name: {}", quote(&name)));
            }
            set_current(&mut config, &name)?;
            io::line(format!("Switched to context {}.", quote(&name)));
        }
        What::DeleteCluster { name } => delete(&mut config, "clusters", &name)?,
        What::DeleteContext { name } => {
            if config.current_context() == name {
                io::warn(
                    "warning: this removed your active context, use \"kubectl config use-context\" to select a different one",
                );
            }
            delete(&mut config, "contexts", &name)?;
        }
        What::DeleteUser { name } => delete(&mut config, "users", &name)?,
        What::RenameContext { old, new } => rename(&mut config, &old, &new)?,
        What::SetCluster(args) => entries::set_cluster(&mut config, globals, &args)?,
        What::SetContext { name, current } => {
            let name = match (name, current) {
                (Some(name), false) => name,
                (None, true) => config.current_context().to_string(),
                _ => return said("you must specify a non-empty context name or --current"),
            };
            let changes = [
                ("cluster", text(&globals.cluster)),
                ("namespace", text(&globals.namespace)),
                ("user", text(&globals.user)),
            ];
            let known = config.entry("contexts", &name).is_some();
            edit(&mut config, "contexts", &name, &changes)?;
            let done = if known { "modified" } else { "created" };
            io::line(format!("Context {} {done}.", quote(&name)));
        }
        What::SetCredentials(args) => entries::set_credentials(&mut config, globals, &args)?,
        What::Set {
            path,
            value,
            set_raw_bytes,
        } => {
            let is_bytes = path.ends_with("-data");
            let value = match is_bytes && set_raw_bytes {
                true => STANDARD.encode(value),
                false if is_bytes && STANDARD.decode(&value).is_err() => {
                    return said(format!(
                        "error decoding base64 of {}; use --set-raw-bytes for the bytes themselves",
                        quote(&path)
                    ));
                }
                false => value,
            };
            set(&mut config, &path, Some(value))?;
            io::line(format!("Property {} set.", quote(&path)));
        }
        What::Unset { path } => {
            set(&mut config, &path, None)?;
            io::line(format!("Property {} unset.", quote(&path)));
        }
    }
    Ok(())
}

fn text(flag: &Option<String>) -> Option<Value> {
    flag.as_deref().map(Value::from)
}

fn names(config: &Kubeconfig, list: &str) {
    io::line("NAME");
    config.names(list).iter().for_each(io::line);
}

fn contexts(config: &Kubeconfig, wanted: &[String], no_headers: bool, output: &str) -> Result {
    let all = match wanted.is_empty() {
        true => config.names("contexts"),
        false => wanted.to_vec(),
    };
    let mut rows = Vec::new();
    if !no_headers {
        rows.push(
            ["CURRENT", "NAME", "CLUSTER", "AUTHINFO", "NAMESPACE"]
                .map(str::to_string)
                .to_vec(),
        );
    }
    for name in all {
        let Some((body, _)) = config.entry("contexts", &name) else {
            return said(format!("context {name} not found"));
        };
        if output == "name" {
            io::line(&name);
            continue;
        }
        let mark = if config.current_context() == name {
            "*"
        } else {
            ""
        };
        let field = |key: &str| body.str_at(&[key]).to_string();
        rows.push(vec![
            mark.into(),
            name.clone(),
            field("cluster"),
            field("user"),
            field("namespace"),
        ]);
    }
    if output != "name" {
        io::out(&columns(&rows));
    }
    Ok(())
}

fn view(
    shell: &Shell,
    config: &Kubeconfig,
    print: &PrintArgs,
    minify: bool,
    raw: bool,
    flatten: bool,
) -> Result {
    let mut tree = config.merged();
    if minify {
        let asked = shell
            .globals
            .context
            .as_deref()
            .unwrap_or(config.current_context());
        let context = crate::config::context(config, &shell.globals)?;
        tree.set_at(&["current-context"], asked);
        for (list, name) in [
            ("contexts", asked),
            ("clusters", context.str_at(&["cluster"])),
            ("users", context.str_at(&["user"])),
        ] {
            if let Some(entries) = tree.get_mut(list).and_then(Value::as_array_mut) {
                entries.retain(|entry| entry.str_at(&["name"]) == name);
            }
        }
    }
    if flatten {
        inline(config, &mut tree)?;
    }
    if !raw && !flatten {
        conceal(&mut tree);
    }
    let mut reporter = print.reporter(DryRun::None)?;
    if reporter.is_human() {
        io::out(&codec::yaml::write(&tree));
        return Ok(());
    }
    reporter.print(&tree)
}

/// Secrets are not for every eye.
fn conceal(tree: &mut Value) {
    let hide = |body: &mut Value, key: &str, word: &str| {
        if body.get(key).is_some_and(|v| !v.is_empty()) {
            body.set_at(&[key], word);
        }
    };
    for (list, inner) in [("clusters", "cluster"), ("users", "user")] {
        let entries = tree.get_mut(list).and_then(Value::as_array_mut);
        for body in entries
            .into_iter()
            .flatten()
            .filter_map(|e| e.get_mut(inner))
        {
            hide(body, "certificate-authority-data", "DATA+OMITTED");
            hide(body, "client-certificate-data", "DATA+OMITTED");
            hide(body, "client-key-data", "DATA+OMITTED");
            hide(body, "token", "REDACTED");
            hide(body, "password", "REDACTED");
        }
    }
}

/// Puts the content of files where their names were.
fn inline(config: &Kubeconfig, tree: &mut Value) -> Result {
    const FILES: [&str; 3] = ["certificate-authority", "client-certificate", "client-key"];
    for (list, inner) in [("clusters", "cluster"), ("users", "user")] {
        let entries = tree.get_mut(list).and_then(Value::as_array_mut);
        for entry in entries.into_iter().flatten() {
            let name = entry.str_at(&["name"]).to_string();
            let folder = config
                .entry(list, &name)
                .map(|(_, folder)| folder.to_path_buf());
            let Some(body) = entry.get_mut(inner) else {
                continue;
            };
            for key in FILES {
                let file = body.str_at(&[key]).to_string();
                if file.is_empty() {
                    continue;
                }
                let path = folder.clone().unwrap_or_default().join(&file);
                let bytes = io::read_bytes(&path.to_string_lossy())?;
                body.remove_at(&[key]);
                body.set_at(&[&format!("{key}-data")], STANDARD.encode(bytes));
            }
        }
    }
    Ok(())
}

fn set_current(config: &mut Kubeconfig, name: &str) -> Result {
    let holder = config
        .files
        .iter()
        .position(|(_, tree)| !tree.str_at(&["current-context"]).is_empty());
    let Some((path, tree)) = config.files.get_mut(holder.unwrap_or(0)) else {
        return said("no kubeconfig file to write to");
    };
    tree.set_at(&["current-context"], name);
    let path = path.clone();
    config.save(&path)
}

fn delete(config: &mut Kubeconfig, list: &str, name: &str) -> Result {
    let what = crate::config::singular(list);
    match config.remove(list, name) {
        Some(path) => {
            config.save(&path)?;
            let path = path.display();
            io::line(format!("deleted {what} {name} from {path}"));
            Ok(())
        }
        None => {
            let first = config
                .files
                .first()
                .map(|(path, _)| path.display().to_string());
            said(format!(
                "cannot delete {what} {name}, not in {}",
                first.unwrap_or_default()
            ))
        }
    }
}

fn rename(config: &mut Kubeconfig, old: &str, new: &str) -> Result {
    let Some((body, _)) = config.entry("contexts", old) else {
        return said(format!(
            "cannot rename the context {}, it's not in the kubeconfig",
            quote(old)
        ));
    };
    if config.entry("contexts", new).is_some() {
        return said(format!(
            "cannot rename the context {}, the context {} already exists",
            quote(old),
            quote(new)
        ));
    }
    let body = body.clone();
    let was_current = config.current_context() == old;
    let removed = config.remove("contexts", old);
    let (path, place) = config.edit("contexts", new)?;
    *place = body;
    config.save(&path)?;
    if let Some(other) = removed.filter(|other| *other != path) {
        config.save(&other)?;
    }
    if was_current {
        set_current(config, new)?;
    }
    io::line(format!("Context {} renamed to {}.", quote(old), quote(new)));
    Ok(())
}

fn edit(
    config: &mut Kubeconfig,
    list: &'static str,
    name: &str,
    changes: &[(&str, Option<Value>)],
) -> Result {
    let (path, body) = config.edit(list, name)?;
    let body: &mut Map = body.make_object();
    for (key, value) in changes {
        if let Some(value) = value {
            body.insert(*key, value.clone());
        }
    }
    if list == "contexts" {
        for key in ["cluster", "user"] {
            if !body.contains_key(key) {
                body.insert(key, "");
            }
        }
    }
    config.save(&path)
}

/// `current-context`, or `users.admin.token`.
fn set(config: &mut Kubeconfig, path: &str, value: Option<String>) -> Result {
    let parts: Vec<&str> = path.split('.').collect();
    match (parts.as_slice(), value) {
        (["current-context"], value) => set_current(config, &value.unwrap_or_default()),
        ([list @ ("clusters" | "contexts" | "users"), rest @ ..], value) if rest.len() >= 2 => {
            let list = match *list {
                "clusters" => "clusters",
                "contexts" => "contexts",
                _ => "users",
            };
            let Some((field, name)) = rest.split_last() else {
                return said("no property given");
            };
            let (file, body) = config.edit(list, &name.join("."))?;
            match value {
                Some(value) => {
                    body.make_object().insert(*field, value);
                }
                None => {
                    body.remove_at(&[field]);
                }
            }
            config.save(&file)
        }
        ([list @ ("clusters" | "contexts" | "users"), name], None) => {
            match config.remove(list, name) {
                Some(file) => config.save(&file),
                None => said(format!("current map key `{name}` is invalid")),
            }
        }
        _ => said(format!("unknown property {path}")),
    }
}
