//! `explain`: the documentation of a kind and its fields.
//!
//! Follows staging/src/k8s.io/kubectl/pkg/cmd/explain/explain.go.

use crate::discovery::Resource;
use crate::error::{Error, Result, said};
use crate::explain::{Document, Question, explain_v2, explain_v3};
use crate::io;
use crate::shell::Shell;
use meta::{Value, value};
use std::sync::Arc;

/// The arguments of `explain`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// A type and a path of fields: `pods.spec.containers`.
    #[arg(value_name = "TYPE")]
    what: Vec<String>,
    /// Use the given group and version of the API.
    #[arg(long, default_value = "")]
    api_version: String,
    /// Print the fields of fields too; --max-depth says how deep.
    #[arg(short = 'R', long)]
    recursive: bool,
    /// How deep --recursive goes; 0 means to the end.
    #[arg(long, default_value_t = 0)]
    max_depth: i64,
    /// Format in which to render the schema: plaintext, plaintext-openapiv2.
    #[arg(short, long, default_value = "plaintext")]
    output: String,
}

impl Args {
    fn depth(&self) -> Result<usize> {
        match usize::try_from(self.max_depth) {
            Err(_) => said("--max-depth must be non-negative"),
            Ok(depth) if depth > 0 && !self.recursive => said("--max-depth requires --recursive"),
            Ok(depth) => Ok(depth),
        }
    }
}

/// Runs it.
pub async fn run(shell: &Shell, args: Args) -> Result {
    let what = match args.what.as_slice() {
        [] => {
            return said(
                "You must specify the type of resource to explain. Use \"kubectl api-resources\" for a complete list of supported resources.\n",
            );
        }
        [what] => what,
        _ => return said("We accept only this format: explain RESOURCE\n"),
    };
    let depth = args.depth()?;
    let (resource, fields) = parse(shell, what, args.api_version.is_empty()).await?;
    let (group, version) = match args.api_version.as_str() {
        "" => (resource.group.as_str(), resource.version.as_str()),
        text => text.split_once('/').unwrap_or(("", text)),
    };
    let question = Question {
        group,
        version,
        resource: &resource.name,
        fields: &fields,
        recursive: args.recursive,
        depth,
    };
    match args.output.as_str() {
        "plaintext-openapiv2" => by_v2(shell, &resource, &question).await,
        "plaintext" => by_v3(shell, &question).await,
        other => said(format!("unrecognized format: {other}")),
    }
}

/// The resource and the fields that `deployments.apps.spec` means.
async fn parse(
    shell: &Shell,
    what: &str,
    with_group: bool,
) -> Result<(Arc<Resource>, Vec<String>)> {
    let what = what.strip_suffix('.').unwrap_or(what);
    let mut words = what.split('.');
    let first = words.next().unwrap_or_default();
    if what.contains(['[', ']', '*', '@', '{', '}']) || first.is_empty() {
        return said("invalid jsonpath syntax, first node must be field node");
    }
    let found = shell.discovery().await?.named(first);
    let Some(best) = found.first() else {
        io::warn(format!(
            "the server doesn't have a resource type \"{first}\""
        ));
        return Err(Error::Exit(1));
    };
    let split = |path: &str| {
        let fields = path.split('.').filter(|field| !field.is_empty());
        fields.map(str::to_string).collect::<Vec<_>>()
    };
    let in_group = found.iter().filter(|_| with_group).find_map(|resource| {
        let path = what.strip_prefix(&resource.group_resource())?;
        Some((resource.clone(), split(path)))
    });
    Ok(in_group.unwrap_or_else(|| (best.clone(), words.map(str::to_string).collect())))
}

async fn by_v3(shell: &Shell, question: &Question<'_>) -> Result {
    let api = shell.api().await?;
    let paths = api.get("/openapi/v3").await?;
    let name = match question.group {
        "" => format!("api/{}", question.version),
        group => format!("apis/{group}/{}", question.version),
    };
    let Some(place) = paths.at(&["paths", &name, "serverRelativeURL"]) else {
        return said(format!(
            "couldn't find resource for \"{}\"",
            question.words()
        ));
    };
    let document = Document(api.get(place.as_str().unwrap_or_default()).await?);
    let (head, body) = explain_v3(&document, question);
    io::out(&head);
    io::out(&body?);
    Ok(())
}

async fn by_v2(shell: &Shell, resource: &Resource, question: &Question<'_>) -> Result {
    let document = Document(shell.api().await?.get("/openapi/v2").await?);
    let kind: Value = value!({
        "group": (question.group), "version": (question.version), "kind": (resource.kind.as_str())
    });
    io::out(&explain_v2(&document, &kind, question)?);
    Ok(())
}
