//! `kustomize`: builds the objects of a folder and prints them.
//!
//! Follows sigs.k8s.io/kustomize/kustomize/v5/commands/build.

use crate::error::{Result, said};
use crate::shell::Shell;
use crate::{io, kustomize};
use meta::Value;
use std::path::Path;

/// The arguments of `kustomize`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The folder; the current one by default.
    #[arg(default_value = ".")]
    folder: String,
    /// Write the objects to this file, or each to a file of its own below this folder.
    #[arg(short, long, default_value = "")]
    output: String,
    /// LoadRestrictionsNone lets kustomizations name files from outside their folder.
    #[arg(long, default_value = "LoadRestrictionsRootOnly")]
    load_restrictor: String,
    #[command(flatten)]
    functions: FunctionArgs,
}

/// Options of functions, plugins and charts, none of which is run.
#[derive(clap::Args, Debug)]
struct FunctionArgs {
    /// Use the uid and gid of the caller in functions; refused.
    #[arg(long)]
    as_current_user: bool,
    /// Enable kustomize plugins; refused.
    #[arg(long)]
    enable_alpha_plugins: bool,
    /// Enable use of the Helm chart inflator generator; refused.
    #[arg(long)]
    enable_helm: bool,
    /// Environment variables of functions; refused.
    #[arg(short, long)]
    env: Vec<String>,
    /// Versions of the API that charts are told of; refused.
    #[arg(long)]
    helm_api_versions: Vec<String>,
    /// The Helm command; refused.
    #[arg(long, default_value = "helm")]
    helm_command: String,
    /// Print what the inflator of charts does; refused.
    #[arg(long)]
    helm_debug: bool,
    /// The version of the cluster that charts are told of; refused.
    #[arg(long, default_value = "")]
    helm_kube_version: String,
    /// What functions mount; refused.
    #[arg(long)]
    mount: Vec<String>,
    /// Give functions the network; refused.
    #[arg(long)]
    network: bool,
    /// The network of functions; refused.
    #[arg(long, default_value = "bridge")]
    network_name: String,
}

impl FunctionArgs {
    /// The options that were given, and that ask for what is not done.
    fn refuse(&self) -> Result {
        let given = [
            ("--as-current-user", self.as_current_user),
            ("--enable-alpha-plugins", self.enable_alpha_plugins),
            ("--enable-helm", self.enable_helm),
            ("--env", !self.env.is_empty()),
            ("--helm-api-versions", !self.helm_api_versions.is_empty()),
            ("--helm-command", self.helm_command != "helm"),
            ("--helm-debug", self.helm_debug),
            ("--helm-kube-version", !self.helm_kube_version.is_empty()),
            ("--mount", !self.mount.is_empty()),
            ("--network", self.network),
            ("--network-name", self.network_name != "bridge"),
        ];
        match given.iter().find(|(_, is_given)| *is_given) {
            None => Ok(()),
            Some((flag, _)) => said(format!(
                "{flag} is not supported: charts, plugins and functions are not run"
            )),
        }
    }
}

/// Runs it.
pub async fn run(_: &Shell, args: Args) -> Result {
    args.functions.refuse()?;
    let anywhere = match args.load_restrictor.as_str() {
        "LoadRestrictionsRootOnly" => false,
        "LoadRestrictionsNone" => true,
        other => {
            return said(format!(
                "illegal flag value --load-restrictor {other}; legal values: [LoadRestrictionsRootOnly LoadRestrictionsNone]"
            ));
        }
    };
    let objects = built(&args.folder, anywhere)?;
    match args.output.as_str() {
        "" => io::out(&documents(&objects)),
        place if Path::new(place).is_dir() => {
            for object in &objects {
                save(
                    &Path::new(place).join(file_name(object)),
                    &codec::yaml::write(object),
                )?;
            }
        }
        file => save(Path::new(file), &documents(&objects))?,
    }
    Ok(())
}

fn documents(objects: &[Value]) -> String {
    let documents: Vec<String> = objects.iter().map(codec::yaml::write).collect();
    documents.join("---\n")
}

/// `apps_v1_deployment_web.yaml`
fn file_name(object: &Value) -> String {
    let version = object.str_at(&["apiVersion"]).replace('/', "_");
    let kind = object.str_at(&["kind"]);
    let name = object.str_at(&["metadata", "name"]);
    format!("{version}_{kind}_{name}.yaml").to_lowercase()
}

fn save(path: &Path, text: &str) -> Result {
    std::fs::write(path, text)
        .or_else(|error| said(io::file_words("open", &path.to_string_lossy(), &error)))
}

/// The objects of a kustomization.
pub fn build(folder: &str) -> Result<Vec<Value>> {
    built(folder, false)
}

fn built(folder: &str, anywhere: bool) -> Result<Vec<Value>> {
    if let Err(error) = std::fs::metadata(folder) {
        let why = io::file_words("lstat", folder, &error);
        return said(format!(
            "must build at directory: not a valid directory: evalsymlink failure on '{folder}' : {why}"
        ));
    }
    let built = kustomize::build(&kustomize::Disk { anywhere }, Path::new(folder));
    let built = built.or_else(|error| said(client::chain(&error)))?;
    for warning in &built.warnings {
        io::warn(format!("# Warning: {warning}"));
    }
    Ok(built.objects)
}
