//! The annotation that keeps what was applied last.

use crate::api::MERGE_PATCH;
use crate::change::{Write, WriteArgs};
use crate::editing::{APPLIED_HEAD, Session};
use crate::error::{Result, said};
use crate::io;
use crate::print::{DryRun, DryRunArgs, PrintArgs};
use crate::select::{Choice, FileArgs, fetch_all, from_files};
use crate::shell::Shell;
use meta::Value;

/// The annotation's name.
pub const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// The arguments of `apply view-last-applied`.
#[derive(clap::Args, Debug)]
pub struct ViewArgs {
    resources: Vec<String>,
    #[command(flatten)]
    files: FileArgs,
    /// Selector (label query) to filter on.
    #[arg(short = 'l', long, default_value = "")]
    selector: String,
    /// Select all resources in the namespace of the specified resource types.
    #[arg(long)]
    all: bool,
    /// Output format: yaml or json.
    #[arg(short, long, default_value = "yaml")]
    output: String,
}

/// The arguments of `apply set-last-applied`.
#[derive(clap::Args, Debug)]
pub struct SetArgs {
    #[command(flatten)]
    files: FileArgs,
    #[command(flatten)]
    print: PrintArgs,
    #[command(flatten)]
    dry_run: DryRunArgs,
    /// Will create 'last-applied-configuration' annotations if current objects doesn't have one.
    #[arg(long)]
    create_annotation: bool,
}

/// The arguments of `apply edit-last-applied`.
#[derive(clap::Args, Debug)]
pub struct EditArgs {
    /// Types and names.
    resources: Vec<String>,
    #[command(flatten)]
    files: FileArgs,
    #[command(flatten)]
    print: PrintArgs,
    #[command(flatten)]
    write: WriteArgs,
    /// End lines as Windows does.
    #[arg(long)]
    windows_line_endings: bool,
}

/// What was applied last, if anything.
pub fn of(live: &Value) -> Option<Value> {
    let text = live.str_at(&["metadata", "annotations", LAST_APPLIED]);
    codec::json::parse_value(text.as_bytes()).ok()
}

/// The object with itself as what was applied last. It is noted with its annotations, be there
/// none.
pub fn with_last_applied(object: &Value) -> Value {
    let mut bare = object.clone();
    let annotations = bare.make_object().object("metadata").object("annotations");
    annotations.remove(LAST_APPLIED);
    noted(bare)
}

/// The same for what was generated: upstream holds it as a struct, which leaves out what is empty.
pub fn with_generated(object: &Value) -> Value {
    let mut bare = object.clone();
    bare.remove_at(&["metadata", "annotations", LAST_APPLIED]);
    noted(bare)
}

fn noted(bare: Value) -> Value {
    let mut text = crate::print::compact(&bare);
    text.push('\n');
    let mut whole = bare;
    whole.set_at(&["metadata", "annotations", LAST_APPLIED], text);
    whole
}

/// Runs `view-last-applied`.
pub async fn view(shell: &Shell, args: &ViewArgs) -> Result {
    let choice = Choice {
        arguments: &args.resources,
        files: Some(&args.files),
        labels: &args.selector,
        all: args.all,
        ..Choice::default()
    };
    for info in fetch_all(shell, &choice).await? {
        let Some(last) = of(&info.object) else {
            return said(format!(
                "no last-applied-configuration annotation found on resource: {}",
                info.name
            ));
        };
        let text = info
            .object
            .str_at(&["metadata", "annotations", LAST_APPLIED]);
        match args.output.as_str() {
            "yaml" => io::out(&codec::yaml::write(&last)),
            "json" => io::out(&indented(text)),
            other => {
                return said(format!(
                    "Unexpected -o output mode: {other}, the flag 'output' must be one of yaml|json"
                ));
            }
        }
    }
    Ok(())
}

/// JSON as it was written, with an indent of two; the order of its fields stays.
fn indented(text: &str) -> String {
    let (mut out, mut depth) = (String::new(), 0usize);
    let mut letters = text.trim_start().chars().peekable();
    let (mut quoted, mut escaped) = (false, false);
    let line = |out: &mut String, depth: usize| {
        out.push('\n');
        out.extend(std::iter::repeat_n("  ", depth));
    };
    while let Some(letter) = letters.next() {
        if quoted {
            quoted = letter != '"' || escaped;
            escaped = letter == '\\' && !escaped;
            out.push(letter);
            continue;
        }
        match letter {
            '"' => {
                quoted = true;
                out.push(letter);
            }
            '{' | '[' => {
                out.push(letter);
                // What is empty stays on its line.
                if let Some(end) = letters.next_if(|next| ['}', ']'].contains(next)) {
                    out.push(end);
                    continue;
                }
                depth += 1;
                line(&mut out, depth);
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                line(&mut out, depth);
                out.push(letter);
            }
            ',' => {
                out.push(letter);
                line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            letter if letter.is_whitespace() && depth > 0 => {}
            letter => out.push(letter),
        }
    }
    out
}

/// Runs `edit-last-applied`.
pub async fn edit(shell: &Shell, args: &EditArgs) -> Result {
    let choice = Choice {
        arguments: &args.resources,
        files: Some(&args.files),
        ..Choice::default()
    };
    let session = Session {
        head: APPLIED_HEAD,
        as_json: args.print.output.as_deref() == Some("json"),
        windows: args.windows_line_endings,
    };
    let write = Write::new(&args.write, "kubectl-client-side-apply", DryRun::None)?;
    let mut reporter = PrintArgs::default().reporter(DryRun::None)?;
    let mut found = false;
    for info in fetch_all(shell, &choice).await? {
        let Some(last) = of(&info.object) else {
            continue;
        };
        found = true;
        let title = info.title();
        let edited = session.edit(&title, &last, async |_, after| {
            let patch = remembered(after);
            write
                .patch(shell, &info, MERGE_PATCH, &patch)
                .await
                .map(Some)
        });
        if let Some(object) = edited.await? {
            reporter.report(&object, "edited")?;
        }
    }
    match found {
        true => Ok(()),
        false => said(
            "no last-applied-configuration annotation found on resources, to create the annotation, use command `kubectl apply set-last-applied --create-annotation`",
        ),
    }
}

/// The patch that makes an object what was applied last.
fn remembered(object: &Value) -> Value {
    let whole = with_last_applied(object);
    let text = whole.str_at(&["metadata", "annotations", LAST_APPLIED]);
    let mut patch = Value::object();
    patch.set_at(&["metadata", "annotations", LAST_APPLIED], text);
    patch
}

/// Runs `set-last-applied`.
pub async fn set(shell: &Shell, args: &SetArgs) -> Result {
    let dry_run = args.dry_run.get()?;
    let write = Write::by("kubectl-last-applied", dry_run);
    let mut reporter = args.print.reporter(dry_run)?;
    for info in from_files(shell, &args.files).await? {
        let live = info.fetch(shell).await?;
        if of(&live).is_none() && !args.create_annotation {
            return said(format!(
                "no last-applied-configuration annotation found on resource: {}, to create the annotation, run the command with --create-annotation",
                info.name
            ));
        }
        let patch = remembered(&info.object);
        if !write.is_local() {
            write.patch(shell, &info, MERGE_PATCH, &patch).await?;
        }
        reporter.report(&live, "configured")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_laid_out_in_the_order_in_which_it_was_written() {
        let text = "{\"b\":[1,{\"c\":\"x:,{\\\"}\"}],\"a\":{}}\n";
        let laid_out = "{\n  \"b\": [\n    1,\n    {\n      \"c\": \"x:,{\\\"}\"\n    }\n  ],\n  \"a\": {}\n}\n";
        assert_eq!(indented(text), laid_out);
    }
}
