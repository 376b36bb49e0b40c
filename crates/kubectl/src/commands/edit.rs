//! `edit`: an object in an editor.
//!
//! Follows staging/src/k8s.io/kubectl/pkg/cmd/util/editor/editoptions.go, with the patch made from
//! what was read and what was written.

use crate::api::MERGE_PATCH;
use crate::change::{Write, merge_patch};
use crate::error::{Error, Result, said};
use crate::io;
use crate::print::{DryRun, PrintArgs, json, without_managed_fields};
use crate::select::{Choice, FileArgs, Info, fetch_all};
use crate::shell::Shell;
use meta::Value;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// The arguments of `edit`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Types and names.
    resources: Vec<String>,
    #[command(flatten)]
    files: FileArgs,
    #[command(flatten)]
    print: PrintArgs,
    /// If specified, edit will operate on the subresource of the requested object.
    #[arg(long, default_value = "")]
    subresource: String,
    /// Name of the manager used to track field ownership.
    #[arg(long, default_value = "kubectl-edit")]
    field_manager: String,
}

const HEAD: &str = "# Please edit the object below. Lines beginning with a '#' will be ignored,\n# and an empty file will abort the edit. If an error occurs while saving this file will be\n# reopened with the relevant failures.\n#\n";

/// Runs it.
pub async fn run(shell: &Shell, args: Args) -> Result {
    let choice = Choice {
        arguments: &args.resources,
        files: Some(&args.files),
        ..Choice::default()
    };
    crate::marking::needs_names(&choice)?;
    let as_json = args.print.output.as_deref() == Some("json");
    let write = Write::by(&args.field_manager, DryRun::None);
    let infos = fetch_all(shell, &choice).await?;
    if infos.is_empty() {
        return said("edit cancelled, no objects found");
    }
    let mut reporter = PrintArgs::default().reporter(DryRun::None)?;
    for info in infos {
        match one(shell, &info, &args.subresource, &write, as_json).await? {
            Some(object) => reporter.report(&object, "edited")?,
            None => io::warn("Edit cancelled, no changes made."),
        }
    }
    Ok(())
}

async fn one(
    shell: &Shell,
    info: &Info,
    subresource: &str,
    write: &Write,
    as_json: bool,
) -> Result<Option<Value>> {
    let before = without_managed_fields(&info.object);
    let text = match as_json {
        true => json(&before) + "\n",
        false => format!("{HEAD}{}", codec::yaml::write(&before)),
    };
    let path = file(as_json);
    let (mut shown, mut failed) = (text, String::new());
    loop {
        save(&path, &format!("{failed}{shown}"))?;
        edit(&path)?;
        let edited = io::read(&path.to_string_lossy())?;
        let bare: String = edited
            .split_inclusive('\n')
            .filter(|l| !l.starts_with('#'))
            .collect();
        let given: String = shown
            .split_inclusive('\n')
            .filter(|l| !l.starts_with('#'))
            .collect();
        if bare.trim().is_empty() || bare == given {
            // The file is of no more use to anybody.
            let _ = std::fs::remove_file(&path);
            return match failed.is_empty() {
                true => Ok(None),
                false => said("Edit cancelled, no valid changes were saved."),
            };
        }
        let problem = match codec::yaml::parse(&bare) {
            Err(error) => error.to_string(),
            Ok(after) => match merge_patch(&before, &after) {
                None => {
                    let _ = std::fs::remove_file(&path);
                    return Ok(None);
                }
                Some(patch) => match send(shell, info, subresource, write, &patch).await {
                    Ok(object) => {
                        let _ = std::fs::remove_file(&path);
                        return Ok(Some(object));
                    }
                    Err(error @ Error::Refused(_)) => error.to_string(),
                    Err(other) => return Err(other),
                },
            },
        };
        io::warn(format!(
            "error: {} was not valid:\n * {problem}",
            info.title()
        ));
        failed = problem.lines().map(|line| format!("# {line}\n")).collect();
        shown = bare;
    }
}

async fn send(
    shell: &Shell,
    info: &Info,
    subresource: &str,
    write: &Write,
    patch: &Value,
) -> Result<Value> {
    let mut info = info.clone();
    if !subresource.is_empty() {
        info.name = format!("{}/{subresource}", info.name);
    }
    write.patch(shell, &info, MERGE_PATCH, patch).await
}

fn file(as_json: bool) -> PathBuf {
    let end = if as_json { "json" } else { "yaml" };
    std::env::temp_dir().join(format!("kubectl-edit-{}.{end}", std::process::id()))
}

fn save(path: &Path, text: &str) -> Result {
    use std::io::Write as _;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let written = options
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()));
    written.or_else(|error| said(io::file_words("open", &path.to_string_lossy(), &error)))
}

fn edit(path: &Path) -> Result {
    let named = ["KUBE_EDITOR", "EDITOR"]
        .iter()
        .filter_map(|name| std::env::var(name).ok())
        .find(|text| !text.is_empty());
    let editor = named.unwrap_or_else(|| "vi".into());
    let mut command = match editor.contains(['"', '\'', '\\']) {
        true => {
            let mut command = std::process::Command::new("/bin/sh");
            command
                .arg("-c")
                .arg(format!("{editor} {}", path.display()));
            command
        }
        false => {
            let mut words = editor.split_whitespace();
            let mut command = std::process::Command::new(words.next().unwrap_or("vi"));
            command.args(words).arg(path);
            command
        }
    };
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => said(format!(
            "there was a problem with the editor {editor:?}: {status}"
        )),
        Err(error) => said(format!("unable to launch the editor {editor:?}: {error}")),
    }
}
