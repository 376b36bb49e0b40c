//! An object in the user's editor, again and again until it is accepted or given up.
//!
//! Follows staging/src/k8s.io/kubectl/pkg/cmd/util/editor (editoptions.go, editor.go).

use crate::error::{Error, Result, said};
use crate::io;
use crate::print::{json, without_managed_fields};
use meta::Value;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// How an object is laid before the user.
pub struct Session<'a> {
    /// What the comment at the top says.
    pub head: &'a str,
    /// JSON, which has no comments, in place of YAML.
    pub as_json: bool,
    /// Lines end as Windows ends them.
    pub windows: bool,
}

/// The comment over an object of the cluster.
pub const OBJECT_HEAD: &str = "# Please edit the object below. Lines beginning with a '#' will be ignored,\n# and an empty file will abort the edit. If an error occurs while saving this file will be\n# reopened with the relevant failures.\n#\n";
/// The comment over what was applied last.
pub const APPLIED_HEAD: &str = "# Please edit the 'last-applied-configuration' annotations below.\n# Lines beginning with a '#' will be ignored, and an empty file will abort the edit.\n#\n";

impl Session<'_> {
    /// Lets the user edit an object, hands over what it became, and says what came of that;
    /// nothing when the user changed nothing. What the server refuses is edited again.
    pub async fn edit<T>(
        &self,
        title: &str,
        before: &Value,
        mut accept: impl AsyncFnMut(&Value, &Value) -> Result<Option<T>>,
    ) -> Result<Option<T>> {
        let before = without_managed_fields(before);
        let path = file(self.as_json);
        let (mut shown, mut failed) = (self.text(&before), String::new());
        loop {
            let head = if self.as_json { "" } else { self.head };
            self.save(&path, &format!("{head}{failed}{shown}"))?;
            launch(&path)?;
            let edited = without_comments(&io::read(&path.to_string_lossy())?);
            if edited == shown || edited.trim().is_empty() {
                return given_up(&path, &failed, edited.trim().is_empty());
            }
            let problem = match codec::yaml::parse(&edited) {
                Err(error) => format!("The edited file had a syntax error: {error}"),
                Ok(after) => match accept(&before, &after).await {
                    Err(error @ Error::Refused(_)) => error.to_string(),
                    done => {
                        // The file is of no more use to anybody.
                        let _ = std::fs::remove_file(&path);
                        return done;
                    }
                },
            };
            io::warn(format!("error: {title} was not valid:\n * {problem}"));
            failed = problem.lines().map(|line| format!("# {line}\n")).collect();
            shown = edited;
        }
    }

    fn text(&self, object: &Value) -> String {
        match self.as_json {
            true => json(object) + "\n",
            false => codec::yaml::write(object),
        }
    }

    fn save(&self, path: &Path, text: &str) -> Result {
        use std::io::Write as _;
        let text = match self.windows {
            true => text.replace('\n', "\r\n"),
            false => text.to_string(),
        };
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let written = options
            .open(path)
            .and_then(|mut file| file.write_all(text.as_bytes()));
        written.or_else(|error| said(io::file_words("open", &path.to_string_lossy(), &error)))
    }
}

/// Ends a session in which nothing was changed. A file that was refused before stays, and its
/// place is told.
fn given_up<T>(path: &Path, failed: &str, empty: bool) -> Result<Option<T>> {
    if !failed.is_empty() {
        io::warn(format!(
            "A copy of your changes has been stored to \"{}\"",
            path.display()
        ));
        return said("Edit cancelled, no valid changes were saved.");
    }
    let _ = std::fs::remove_file(path);
    io::warn(match empty {
        true => "Edit cancelled, saved file was empty.",
        false => "Edit cancelled, no changes made.",
    });
    Ok(None)
}

fn without_comments(text: &str) -> String {
    let text = text.replace("\r\n", "\n");
    let lines = text.split_inclusive('\n');
    lines.filter(|line| !line.starts_with('#')).collect()
}

fn file(as_json: bool) -> PathBuf {
    let end = if as_json { "json" } else { "yaml" };
    std::env::temp_dir().join(format!("kubectl-edit-{}.{end}", std::process::id()))
}

fn launch(path: &Path) -> Result {
    let named = ["KUBE_EDITOR", "EDITOR"]
        .iter()
        .filter_map(|name| std::env::var(name).ok())
        .find(|text| !text.is_empty());
    let editor = named.unwrap_or_else(|| "vi".into());
    match command(&editor, path).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => said(format!(
            "there was a problem with the editor {editor:?}: {status}"
        )),
        Err(error) => said(format!("unable to launch the editor {editor:?}: {error}")),
    }
}

/// The editor's command; a shell reads one that has quotes.
fn command(editor: &str, path: &Path) -> std::process::Command {
    if editor.contains(['"', '\'', '\\']) {
        let mut command = std::process::Command::new("/bin/sh");
        command.arg("-c");
        command.arg(format!("{editor} {}", path.display()));
        return command;
    }
    let mut words = editor.split_whitespace();
    let mut command = std::process::Command::new(words.next().unwrap_or("vi"));
    command.args(words).arg(path);
    command
}
