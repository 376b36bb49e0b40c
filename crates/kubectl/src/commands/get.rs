//! `get`: one or many resources, once or as they change.
//!
//! Follows staging/src/k8s.io/kubectl/pkg/cmd/get/get.go.

use crate::api::{TABLE, query};
use crate::discovery::Resource;
use crate::error::{Error, Result, said};
use crate::io;
use crate::print::{self, Form, PrintArgs, Reporter, TableOptions, TablePrinter};
use crate::select::{Choice, FileArgs, Wanted, from_files, wanted, whole};
use crate::shell::Shell;
use crate::sorting::Sorter;
use futures::StreamExt as _;
use meta::Value;
use std::sync::Arc;

/// The arguments of `get`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Types and names: `pods`, `pod web`, `pod/web svc/web`, `po,svc`.
    resources: Vec<String>,
    #[command(flatten)]
    files: FileArgs,
    #[command(flatten)]
    print: PrintArgs,
    /// List the requested objects across all namespaces.
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// Selector (label query) to filter on.
    #[arg(short = 'l', long, default_value = "")]
    selector: String,
    /// Selector (field query) to filter on.
    #[arg(long, default_value = "")]
    field_selector: String,
    /// After listing the requested objects, watch for changes.
    #[arg(short, long)]
    watch: bool,
    /// Watch for changes to the requested objects, without listing first.
    #[arg(long)]
    watch_only: bool,
    /// Output watch event objects when --watch or --watch-only is used.
    #[arg(long)]
    output_watch_events: bool,
    /// Return large lists in chunks rather than all at once.
    #[arg(long, default_value_t = 500)]
    chunk_size: u32,
    /// If non-empty, sort list types using this field specification, a JSONPath expression.
    #[arg(long, default_value = "")]
    sort_by: String,
    /// When printing, show all labels as the last column.
    #[arg(long)]
    show_labels: bool,
    /// Labels that are going to be presented as columns.
    #[arg(short = 'L', long, value_delimiter = ',')]
    label_columns: Vec<String>,
    /// List the resource type for the requested objects.
    #[arg(long)]
    show_kind: bool,
    /// Don't print headers.
    #[arg(long)]
    no_headers: bool,
    /// Treat "resource not found" as a successful retrieval.
    #[arg(long)]
    ignore_not_found: bool,
    /// If specified, gets the subresource of the requested object.
    #[arg(long, default_value = "")]
    subresource: String,
    /// Raw URI to request from the server.
    #[arg(long)]
    raw: Option<String>,
    /// Have the server return the appropriate table output.
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    server_print: bool,
}

/// Runs it.
pub async fn run(shell: &Shell, args: Args) -> Result {
    if let Some(path) = &args.raw {
        if !args.resources.is_empty() {
            return said("arguments may not be passed when --raw is specified");
        }
        io::bytes(&shell.api().await?.raw(path).await?);
        return Ok(());
    }
    if args.resources.is_empty() && args.files.is_empty() {
        io::warn(
            "You must specify the type of resource to get. Use \"kubectl api-resources\" for a complete list of supported resources.\n",
        );
        return said(
            "error: Required resource not specified.\nUse \"kubectl explain <resource>\" for a detailed description of that resource (e.g. kubectl explain pods).\nSee 'kubectl get -h' for help and examples",
        );
    }
    let form = args.print.form()?;
    let wanted = resolve(shell, &args).await?;
    let get = Get {
        shell,
        namespace: shell.namespace()?.0,
        wide: matches!(form, Form::Human { wide: true }),
        args: &args,
    };
    match (&form, args.watch || args.watch_only) {
        (Form::Human { .. }, false) => get.table(wanted).await,
        (Form::Human { .. }, true) => get.watch_table(wanted).await,
        (_, false) => get.objects(wanted).await,
        (_, true) => get.watch_objects(wanted).await,
    }
}

/// What is wanted, each with the namespace it is wanted in where a file names one.
type Wants = Vec<(Wanted, Option<String>)>;

async fn resolve(shell: &Shell, args: &Args) -> Result<Wants> {
    if !args.files.is_empty() {
        let infos = from_files(shell, &args.files).await?;
        let wants = infos.into_iter().map(|info| {
            let wanted = Wanted::Names(info.resource, vec![info.name]);
            (wanted, Some(info.namespace))
        });
        return Ok(wants.collect());
    }
    let choice = Choice {
        arguments: &args.resources,
        labels: &args.selector,
        fields: &args.field_selector,
        ..Choice::default()
    };
    let wants = wanted(shell, &choice).await?;
    Ok(wants.into_iter().map(|wanted| (wanted, None)).collect())
}

struct Get<'a> {
    shell: &'a Shell,
    args: &'a Args,
    namespace: String,
    wide: bool,
}

impl Get<'_> {
    fn namespace<'n>(&'n self, own: &'n Option<String>) -> &'n str {
        match own {
            Some(own) => own,
            None if self.args.all_namespaces => "",
            None => &self.namespace,
        }
    }

    fn options(&self, resource: &Resource, with_kind: bool) -> TableOptions {
        TableOptions {
            wide: self.wide,
            no_headers: self.args.no_headers,
            with_namespace: self.args.all_namespaces && resource.namespaced,
            prefix: (with_kind || self.args.show_kind).then(|| resource.prefix()),
            show_labels: self.args.show_labels,
            label_columns: self.args.label_columns.clone(),
            first: self.args.output_watch_events.then_some("EVENT"),
        }
    }

    async fn table(&self, wants: Wants) -> Result {
        let kinds = distinct(&wants);
        let by_category = self
            .args
            .resources
            .first()
            .is_some_and(|word| word == "all");
        let with_kind = kinds > 1 || by_category;
        let (mut errors, mut shown) = (Vec::new(), 0);
        let mut printer = TablePrinter::default();
        let mut last: Option<Arc<Resource>> = None;
        let mut namespaced = false;
        for (wanted, own) in &wants {
            let (resource, tables) = self
                .tables(wanted, self.namespace(own), &mut errors)
                .await?;
            namespaced |= resource.namespaced;
            let tables = self.sorted(tables)?;
            for table in tables {
                if table.items_at(&["rows"]).is_empty() {
                    continue;
                }
                if last.as_ref().is_some_and(|last| *last != resource) {
                    printer.restart();
                    if !self.args.no_headers {
                        io::line("");
                    }
                }
                printer.print(&table, &self.options(&resource, with_kind), None);
                last = Some(resource.clone());
                shown += 1;
            }
        }
        if shown == 0 && errors.is_empty() && !self.args.ignore_not_found {
            io::warn(match self.args.all_namespaces || !namespaced {
                true => "No resources found".to_string(),
                false => format!("No resources found in {} namespace.", self.namespace),
            });
        }
        Error::collect(errors)
    }

    /// The tables of one resource: the pages of a list as one, or one for each name.
    async fn tables(
        &self,
        wanted: &Wanted,
        namespace: &str,
        errors: &mut Vec<Error>,
    ) -> Result<(Arc<Resource>, Vec<Value>)> {
        match wanted {
            Wanted::Names(resource, names) => {
                let found = self
                    .named(resource, namespace, names, TABLE, errors)
                    .await?;
                let mut whole: Option<Value> = None;
                for table in found {
                    match whole.as_mut().and_then(|w| w.get_mut("rows")) {
                        Some(rows) => rows
                            .make_array()
                            .extend_from_slice(table.items_at(&["rows"])),
                        None => whole = Some(table),
                    }
                }
                Ok((resource.clone(), whole.into_iter().collect()))
            }
            Wanted::All(resource) => {
                let pages = self.pages(resource, namespace, TABLE).await;
                let pages = pages.unwrap_or_else(|error| {
                    errors.push(error);
                    Vec::new()
                });
                Ok((
                    resource.clone(),
                    joined(pages, "rows").into_iter().collect(),
                ))
            }
        }
    }

    fn sorted(&self, mut tables: Vec<Value>) -> Result<Vec<Value>> {
        if !self.args.sort_by.is_empty() {
            let sorter = Sorter::new(&self.args.sort_by)?;
            for table in &mut tables {
                if let Some(rows) = table.get_mut("rows").and_then(Value::as_array_mut) {
                    sorter.sort(rows, &["object"])?;
                }
            }
        }
        Ok(tables)
    }

    async fn named(
        &self,
        resource: &Resource,
        namespace: &str,
        names: &[String],
        accept: &str,
        errors: &mut Vec<Error>,
    ) -> Result<Vec<Value>> {
        if namespace.is_empty() && resource.namespaced {
            return said("a resource cannot be retrieved by name across all namespaces");
        }
        let api = self.shell.api().await?;
        let mut out = Vec::new();
        for name in names {
            let mut path = resource.object(namespace, name);
            if !self.args.subresource.is_empty() {
                path = format!("{path}/{}", self.args.subresource);
            }
            match api.get_as(&self.with_object(path, accept), accept).await {
                Ok(object) if accept == TABLE => out.push(as_table(object)),
                Ok(object) => out.push(object),
                Err(error) if error.is_not_found() && self.args.ignore_not_found => {}
                Err(error) => errors.push(error),
            }
        }
        Ok(out)
    }

    /// Sorting a table looks into the objects themselves.
    fn with_object(&self, path: String, accept: &str) -> String {
        match accept == TABLE && !self.args.sort_by.is_empty() {
            true => query(&path, &[("includeObject", "Object")]),
            false => path,
        }
    }

    fn list_path(&self, resource: &Resource, namespace: &str, more: &[(&str, &str)]) -> String {
        let path = query(
            &resource.collection(namespace),
            &[
                ("labelSelector", &self.args.selector),
                ("fieldSelector", &self.args.field_selector),
            ],
        );
        query(&path, more)
    }

    async fn pages(
        &self,
        resource: &Resource,
        namespace: &str,
        accept: &str,
    ) -> Result<Vec<Value>> {
        let api = self.shell.api().await?;
        let limit = match self.args.chunk_size {
            0 => String::new(),
            size => size.to_string(),
        };
        let (mut pages, mut token) = (Vec::new(), String::new());
        loop {
            let page = [("limit", limit.as_str()), ("continue", token.as_str())];
            let path = self.list_path(resource, namespace, &page);
            let page = api.get_as(&self.with_object(path, accept), accept).await?;
            token = page.str_at(&["metadata", "continue"]).to_string();
            pages.push(page);
            if token.is_empty() {
                return Ok(pages);
            }
        }
    }

    async fn objects(&self, wants: Wants) -> Result {
        let mut reporter = self.reporter()?;
        let (mut errors, mut items) = (Vec::new(), Vec::new());
        let single = match wants.as_slice() {
            [(Wanted::Names(_, names), _)] => names.len() == 1,
            _ => false,
        };
        for (wanted, own) in &wants {
            let namespace = self.namespace(own);
            match wanted {
                Wanted::Names(resource, names) => {
                    let json = "application/json";
                    items.extend(
                        self.named(resource, namespace, names, json, &mut errors)
                            .await?,
                    );
                }
                Wanted::All(resource) => match self
                    .pages(resource, namespace, "application/json")
                    .await
                {
                    Ok(pages) => {
                        for page in pages {
                            let head = (page.str_at(&["apiVersion"]), page.str_at(&["kind"]));
                            items.extend(page.items_at(&["items"]).iter().map(|i| whole(i, head)));
                        }
                    }
                    Err(error) => errors.push(error),
                },
            }
        }
        if !self.args.sort_by.is_empty() {
            Sorter::new(&self.args.sort_by)?.sort(&mut items, &[])?;
        }
        let nothing =
            items.is_empty() && (single || self.args.ignore_not_found || !errors.is_empty());
        if !nothing {
            match (single, items.pop()) {
                (true, Some(object)) => reporter.print(&object)?,
                (_, last) => {
                    items.extend(last);
                    reporter.print(&print::list(items))?;
                }
            }
        }
        Error::collect(errors)
    }

    fn reporter(&self) -> Result<Reporter> {
        let mut reporter = self.args.print.reporter(print::DryRun::None)?;
        reporter.no_headers = self.args.no_headers;
        Ok(reporter)
    }

    /// The one resource of a watch, the selector that narrows it to a name, and its namespace.
    fn watched(&self, wants: &Wants) -> Result<(Arc<Resource>, String, String)> {
        match wants.as_slice() {
            [(Wanted::All(resource), own)] => Ok((
                resource.clone(),
                self.args.field_selector.clone(),
                self.namespace(own).to_string(),
            )),
            [(Wanted::Names(resource, names), own)] if names.len() == 1 => Ok((
                resource.clone(),
                format!("metadata.name={}", names[0]),
                self.namespace(own).to_string(),
            )),
            _ => said(
                "watch is only supported on individual resources and resource collections - more than 1 resource was found",
            ),
        }
    }

    async fn watch_table(&self, wants: Wants) -> Result {
        let (resource, fields, namespace) = self.watched(&wants)?;
        let api = self.shell.api().await?;
        let selectors = [
            ("labelSelector", self.args.selector.as_str()),
            ("fieldSelector", fields.as_str()),
        ];
        let list = query(&resource.collection(&namespace), &selectors);
        let table = api.get_as(&list, TABLE).await?;
        self.must_exist(&wants, &table, "rows").await?;
        let options = self.options(&resource, false);
        let mut printer = TablePrinter::default();
        let version = table.str_at(&["metadata", "resourceVersion"]).to_string();
        if !self.args.watch_only && !table.items_at(&["rows"]).is_empty() {
            let event = self.args.output_watch_events.then_some("ADDED");
            for table in self.sorted(vec![table])? {
                printer.print(&table, &options, event);
            }
        }
        let more = [("watch", "true"), ("resourceVersion", version.as_str())];
        let mut events = api.watch(&query(&list, &more), TABLE).await?;
        while let Some(event) = events.next().await {
            let event = event?;
            let kind = event.str_at(&["type"]);
            let table = event.get("object").unwrap_or(&Value::Null);
            match kind {
                "ERROR" => return Err(Error::refused(table.clone())),
                "BOOKMARK" => {}
                _ => printer.print(
                    table,
                    &options,
                    self.args.output_watch_events.then_some(kind),
                ),
            }
        }
        Ok(())
    }

    async fn must_exist(&self, wants: &Wants, list: &Value, items: &str) -> Result {
        let [(Wanted::Names(resource, names), own)] = wants.as_slice() else {
            return Ok(());
        };
        if list.items_at(&[items]).is_empty() {
            let path = resource.object(self.namespace(own), &names[0]);
            self.shell.api().await?.get(&path).await?;
        }
        Ok(())
    }

    async fn watch_objects(&self, wants: Wants) -> Result {
        let (resource, fields, namespace) = self.watched(&wants)?;
        let api = self.shell.api().await?;
        let mut reporter = self.reporter()?;
        let selectors = [
            ("labelSelector", self.args.selector.as_str()),
            ("fieldSelector", fields.as_str()),
        ];
        let path = query(&resource.collection(&namespace), &selectors);
        let list = api.get(&path).await?;
        self.must_exist(&wants, &list, "items").await?;
        let wrap = |kind: &str, object: Value| match self.args.output_watch_events {
            false => object,
            true => {
                let mut event = Value::object();
                event.set_at(&["type"], kind);
                event.set_at(&["object"], object);
                event
            }
        };
        if !self.args.watch_only {
            let head = (list.str_at(&["apiVersion"]), list.str_at(&["kind"]));
            for item in list.items_at(&["items"]) {
                reporter.print(&wrap("ADDED", whole(item, head)))?;
            }
        }
        let version = list.str_at(&["metadata", "resourceVersion"]);
        let more = [("watch", "true"), ("resourceVersion", version)];
        let mut events = api.watch(&query(&path, &more), "application/json").await?;
        while let Some(event) = events.next().await {
            let event = event?;
            let object = event.get("object").cloned().unwrap_or_default();
            match event.str_at(&["type"]) {
                "ERROR" => return Err(Error::refused(object)),
                "BOOKMARK" => {}
                kind => reporter.print(&wrap(kind, object))?,
            }
        }
        Ok(())
    }
}

fn distinct(wants: &Wants) -> usize {
    let mut seen: Vec<&Arc<Resource>> = Vec::new();
    for (wanted, _) in wants {
        let (Wanted::Names(resource, _) | Wanted::All(resource)) = wanted;
        if !seen.contains(&resource) {
            seen.push(resource);
        }
    }
    seen.len()
}

/// What the server makes no table of is shown with its name and age.
fn as_table(object: Value) -> Value {
    if object.str_at(&["kind"]) == "Table" {
        return object;
    }
    let name = object.str_at(&["metadata", "name"]).to_string();
    let age = crate::words::age_of(object.str_at(&["metadata", "creationTimestamp"]));
    meta::value!({
        "kind": "Table",
        "columnDefinitions": [
            {"name": "Name", "type": "string", "format": "name", "priority": 0},
            {"name": "Age", "type": "string", "priority": 0}
        ],
        "rows": [{"cells": [(name), (age)], "object": (object)}]
    })
}

/// Pages as one list.
fn joined(pages: Vec<Value>, field: &str) -> Option<Value> {
    let mut pages = pages.into_iter();
    let mut first = pages.next()?;
    for page in pages {
        let all = first.make_object().entry(field).make_array();
        all.extend_from_slice(page.items_at(&[field]));
    }
    Some(first)
}
