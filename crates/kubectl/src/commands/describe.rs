//! `describe`: what there is to say of objects and of those that belong to them.
//!
//! Follows staging/src/k8s.io/kubectl/pkg/cmd/describe/describe.go.

use crate::describe::{self, Settings, Source};
use crate::error::{Error, Result, said};
use crate::io;
use crate::select::{Choice, FileArgs, Info, Wanted, fetch, list, wanted};
use crate::shell::Shell;
use meta::{GroupVersionResource, Value};

/// The arguments of `describe`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Types and names, or types and beginnings of names.
    resources: Vec<String>,
    #[command(flatten)]
    files: FileArgs,
    /// Selector (label query) to filter on.
    #[arg(short = 'l', long, default_value = "")]
    selector: String,
    /// If present, list the requested objects across all namespaces.
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// If true, display events related to the described object.
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    show_events: bool,
    /// Return large lists in chunks rather than all at once.
    #[arg(long, default_value_t = 500)]
    chunk_size: u32,
}

/// Runs it.
pub async fn run(shell: &Shell, args: Args) -> Result {
    if args.resources.is_empty() && args.files.is_empty() {
        return said(
            "You must specify the type of resource to describe. Use \"kubectl api-resources\" for a complete list of supported resources.\n",
        );
    }
    let choice = Choice {
        arguments: &args.resources,
        files: Some(&args.files),
        labels: &args.selector,
        all_namespaces: args.all_namespaces,
        ..Choice::default()
    };
    let (mut infos, mut errors) = fetch(shell, &choice).await?;
    let mut is_begun = false;
    if infos.is_empty() && errors.iter().all(Error::is_not_found) && args.files.is_empty() {
        infos = by_prefix(shell, &choice).await?;
        if !infos.is_empty() {
            errors.clear();
            is_begun = true;
        }
    }
    if infos.is_empty() && errors.is_empty() {
        match args.all_namespaces {
            true => io::warn("No resources found"),
            false => io::warn(format!(
                "No resources found in {} namespace.",
                shell.namespace()?.0
            )),
        }
    }
    let source = ApiSource { shell };
    let settings = Settings {
        show_events: args.show_events,
    };
    for (i, info) in infos.iter().enumerate() {
        match describe::describe(&source, &info.object, settings).await {
            // What was found by the beginning of its name is followed by an empty line.
            Ok(text) if is_begun => io::line(text),
            Ok(text) if i > 0 => io::out(&format!("\n\n{text}")),
            Ok(text) => io::out(&text),
            Err(error) => errors.push(Error::Said(error.to_string())),
        }
    }
    Error::collect(errors)
}

/// What a name is the beginning of, where nothing is called so.
async fn by_prefix(shell: &Shell, choice: &Choice<'_>) -> Result<Vec<Info>> {
    let (namespace, _) = shell.namespace()?;
    let mut out = Vec::new();
    for wanted in wanted(shell, choice).await? {
        let Wanted::Names(resource, names) = wanted else {
            continue;
        };
        if !resource.can("list") {
            continue;
        }
        let all = list(shell, &resource, &namespace, &Choice::default()).await?;
        for name in &names {
            out.extend(
                all.iter()
                    .filter(|info| info.name.starts_with(name.as_str()))
                    .cloned(),
            );
        }
    }
    Ok(out)
}

struct ApiSource<'a> {
    shell: &'a Shell,
}

fn collection(resource: &GroupVersionResource, namespace: &str) -> String {
    let root = match resource.group.as_str() {
        "" => format!("/api/{}", resource.version),
        group => format!("/apis/{group}/{}", resource.version),
    };
    match namespace {
        "" => format!("{root}/{}", resource.resource),
        namespace => format!("{root}/namespaces/{namespace}/{}", resource.resource),
    }
}

fn failed(error: Error) -> describe::Error {
    describe::Error::Other(error.to_string())
}

#[async_trait::async_trait]
impl Source for ApiSource<'_> {
    async fn get(
        &self,
        resource: &GroupVersionResource,
        namespace: &str,
        name: &str,
    ) -> std::result::Result<Value, describe::Error> {
        let api = self.shell.api().await.map_err(failed)?;
        let path = format!("{}/{name}", collection(resource, namespace));
        api.get(&path).await.map_err(failed)
    }

    async fn list(
        &self,
        resource: &GroupVersionResource,
        namespace: &str,
        labels: &str,
        fields: &str,
    ) -> std::result::Result<Vec<Value>, describe::Error> {
        let api = self.shell.api().await.map_err(failed)?;
        let selectors = [("labelSelector", labels), ("fieldSelector", fields)];
        let path = crate::api::query(&collection(resource, namespace), &selectors);
        let list = api.get(&path).await.map_err(failed)?;
        let head = (list.str_at(&["apiVersion"]), list.str_at(&["kind"]));
        let items = list.items_at(&["items"]).iter();
        Ok(items.map(|item| crate::select::whole(item, head)).collect())
    }

    fn now(&self) -> jiff::Timestamp {
        stdx::Clock::system().wall()
    }
}
