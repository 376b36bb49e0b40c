//! What an object looks like on standard output: the forms of `-o`.
//!
//! Follows staging/src/k8s.io/cli-runtime/pkg/genericclioptions/print_flags.go and pkg/printers.

mod table;

pub use table::{TableOptions, TablePrinter};

use crate::custom_columns::CustomColumns;
use crate::discovery::{group_of, kind_prefix};
use crate::error::{Error, Result, said};
use crate::template::Template;
use crate::{io, jsonpath, kyaml};
use clap::Args;
use meta::Value;

/// The names of all forms.
pub(crate) const FORMATS: &str = "custom-columns,custom-columns-file,go-template,go-template-file,json,jsonpath,jsonpath-as-json,jsonpath-file,kyaml,name,template,templatefile,wide,yaml";

/// The options of output.
#[derive(Args, Clone, Debug, Default)]
pub struct PrintArgs {
    /// Output format: json, yaml, kyaml, name, wide, go-template, go-template-file, jsonpath,
    /// jsonpath-as-json, jsonpath-file, custom-columns, custom-columns-file.
    #[arg(short, long)]
    pub output: Option<String>,
    /// Template string or path to template file to use when -o=go-template, -o=go-template-file.
    #[arg(long)]
    pub template: Option<String>,
    /// If true, ignore any errors in templates when a field or map key is missing.
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub allow_missing_template_keys: bool,
    /// If true, keep the managedFields when printing objects in JSON or YAML format.
    #[arg(long)]
    pub show_managed_fields: bool,
}

/// A form of output.
#[derive(Debug)]
pub enum Form {
    /// For people: a table, or what was done.
    Human {
        /// With the columns of low priority.
        wide: bool,
    },
    /// `pod/web`
    Name,
    /// Indented JSON.
    Json,
    /// YAML documents.
    Yaml,
    /// KYAML documents.
    Kyaml,
    /// A JSONPath template.
    JsonPath(jsonpath::Printer),
    /// A Go template.
    Template(Template),
    /// Columns of the user's own.
    Columns(CustomColumns),
}

impl PrintArgs {
    /// Reads the options.
    pub fn form(&self) -> Result<Form> {
        let text = self.output.as_deref().unwrap_or_default();
        let (name, inline) = match text.split_once('=') {
            Some((name, inline)) => (name, Some(inline.to_string())),
            None => (text, None),
        };
        let argument = inline.clone().or_else(|| self.template.clone());
        if let Some(form) = simple(name).filter(|_| inline.is_none()) {
            if name.is_empty() && self.template.is_some() {
                return self.templated("go-template", argument.unwrap_or_default());
            }
            return Ok(form);
        }
        match argument.filter(|text| !text.is_empty()) {
            Some(argument) => self.templated(name, argument),
            None if name.starts_with("custom-columns") => {
                said("custom-columns format specified but no custom columns given")
            }
            None if ["go-template", "template", "jsonpath", "jsonpath-as-json"].contains(&name)
                || name.ends_with("-file") =>
            {
                said("template format specified but no template given")
            }
            None => unknown(text),
        }
    }

    fn templated(&self, name: &str, argument: String) -> Result<Form> {
        let text = match name.ends_with("file") {
            true => io::read(&argument)?,
            false => argument,
        };
        let lenient = self.allow_missing_template_keys;
        let path = |text: &str| {
            jsonpath::Printer::new(text, lenient).or_else(|error| said(error.to_string()))
        };
        match name {
            "jsonpath" | "jsonpath-file" => Ok(Form::JsonPath(path(&text)?)),
            "jsonpath-as-json" => Ok(Form::JsonPath(path(&text)?.as_json())),
            "custom-columns" => CustomColumns::from_spec(&text)
                .map(Form::Columns)
                .or_else(|error| said(error.to_string())),
            "custom-columns-file" => CustomColumns::from_template(&text)
                .map(Form::Columns)
                .or_else(|error| said(error.to_string())),
            "go-template" | "template" | "go-template-file" | "templatefile" => {
                Template::parse(&text)
                    .map(Form::Template)
                    .or_else(|error| said(error.to_string()))
            }
            _ => unknown(self.output.as_deref().unwrap_or_default()),
        }
    }

    /// A printer for the results of a command that writes.
    pub fn reporter(&self, dry_run: DryRun) -> Result<Reporter> {
        Ok(Reporter {
            form: self.form()?,
            dry_run,
            keep_managed_fields: self.show_managed_fields,
            printed: 0,
            no_headers: false,
        })
    }
}

fn simple(name: &str) -> Option<Form> {
    Some(match name {
        "" => Form::Human { wide: false },
        "wide" => Form::Human { wide: true },
        "name" => Form::Name,
        "json" => Form::Json,
        "yaml" => Form::Yaml,
        "kyaml" => Form::Kyaml,
        _ => return None,
    })
}

fn unknown<T>(text: &str) -> Result<T> {
    said(format!(
        "unable to match a printer suitable for the output format {}, allowed formats are: {FORMATS}",
        crate::words::quote(text)
    ))
}

/// Whether a change is made, or only tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DryRun {
    /// It is made.
    #[default]
    None,
    /// Only here.
    Client,
    /// By the server, which forgets it.
    Server,
}

impl DryRun {
    /// The parameter of requests.
    pub fn parameter(self) -> &'static str {
        if self == DryRun::Server { "All" } else { "" }
    }

    /// What is said behind what was done.
    pub fn suffix(self) -> &'static str {
        match self {
            DryRun::None => "",
            DryRun::Client => " (dry run)",
            DryRun::Server => " (server dry run)",
        }
    }
}

/// The option of trying only.
#[derive(Args, Clone, Debug, Default)]
pub struct DryRunArgs {
    /// Must be "none", "server", or "client".
    #[arg(long, default_value = "none", num_args = 0..=1, require_equals = true, default_missing_value = "unchanged")]
    pub dry_run: String,
}

impl DryRunArgs {
    /// Reads the option.
    pub fn get(&self) -> Result<DryRun> {
        match self.dry_run.as_str() {
            "none" | "" | "false" => Ok(DryRun::None),
            "server" => Ok(DryRun::Server),
            "client" => Ok(DryRun::Client),
            "unchanged" | "true" => {
                io::warn("W: --dry-run is deprecated and can be replaced with --dry-run=client");
                Ok(DryRun::Client)
            }
            other => said(format!(
                "Invalid dry-run value ({other}). Must be \"none\", \"server\", or \"client\"."
            )),
        }
    }
}

/// Prints objects one after the other.
pub struct Reporter {
    /// In which form.
    pub form: Form,
    dry_run: DryRun,
    keep_managed_fields: bool,
    printed: usize,
    /// Columns without a line of headers.
    pub no_headers: bool,
}

impl Reporter {
    /// In a form, without managed fields.
    pub fn new(form: Form, dry_run: DryRun) -> Self {
        Reporter {
            form,
            dry_run,
            keep_managed_fields: false,
            printed: 0,
            no_headers: false,
        }
    }

    /// Whether people are spoken to rather than programs.
    pub fn is_human(&self) -> bool {
        matches!(self.form, Form::Human { .. })
    }

    /// Says what was done with an object, or prints it in the form that is asked for.
    pub fn report(&mut self, object: &Value, done: &str) -> Result {
        if self.is_human() {
            io::line(format!("{} {done}{}", title(object), self.dry_run.suffix()));
            return Ok(());
        }
        self.print(object)
    }

    /// Prints an object in a form for programs.
    pub fn print(&mut self, object: &Value) -> Result {
        io::out(&self.render(object)?);
        Ok(())
    }

    /// What printing an object would write.
    pub fn render(&mut self, object: &Value) -> Result<String> {
        let object = match self.keep_managed_fields {
            true => object.clone(),
            false => without_managed_fields(object),
        };
        let text = self.text(&object)?;
        self.printed += 1;
        Ok(text)
    }

    fn text(&self, object: &Value) -> Result<String> {
        let words = |error: &dyn std::fmt::Display| Error::Said(error.to_string());
        Ok(match &self.form {
            Form::Human { .. } | Form::Name => match object.get("items") {
                Some(_) => object
                    .items_at(&["items"])
                    .iter()
                    .map(|i| title(i) + "\n")
                    .collect(),
                None => title(object) + "\n",
            },
            Form::Json => json(object) + "\n",
            Form::Yaml if self.printed > 0 => format!("---\n{}", codec::yaml::write(object)),
            Form::Yaml => codec::yaml::write(object),
            Form::Kyaml => kyaml::document(object),
            Form::JsonPath(printer) => printer.print(object).map_err(|e| words(&e))?,
            Form::Template(template) => {
                let (text, done) = template.print(object);
                if let Err(error) = done {
                    io::out(&text);
                    return Err(words(&error));
                }
                text
            }
            Form::Columns(columns) => {
                let items = match object.get("items") {
                    Some(_) => object.items_at(&["items"]),
                    None => std::slice::from_ref(object),
                };
                columns
                    .print(items, self.printed == 0 && !self.no_headers)
                    .map_err(|e| words(&e))?
            }
        })
    }
}

/// `deployment.apps/web`
pub fn title(object: &Value) -> String {
    let prefix = kind_prefix(
        object.str_at(&["kind"]),
        group_of(object.str_at(&["apiVersion"])),
    );
    let name = object.str_at(&["metadata", "name"]);
    let name = if name.is_empty() {
        object.str_at(&["metadata", "generateName"])
    } else {
        name
    };
    format!("{prefix}/{name}")
}

/// The object without the records of who wrote which field.
pub fn without_managed_fields(object: &Value) -> Value {
    let mut object = object.clone();
    object.remove_at(&["metadata", "managedFields"]);
    if let Some(items) = object.get_mut("items").and_then(Value::as_array_mut) {
        for item in items {
            item.remove_at(&["metadata", "managedFields"]);
        }
    }
    object
}

/// Objects as one `List`.
pub fn list(items: Vec<Value>) -> Value {
    let mut list =
        meta::value!({"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": ""}});
    list.set_at(&["items"], Value::Array(items));
    list
}

/// JSON with an indent of four, escaped as Go escapes it.
pub fn json(value: &Value) -> String {
    let mut out = String::new();
    write_json(value, 0, &mut out);
    out
}

/// JSON on one line, escaped as Go escapes it.
pub fn compact(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(compact).collect();
            format!("[{}]", items.join(","))
        }
        Value::Object(map) => {
            let entries = map
                .iter()
                .map(|(key, item)| format!("{}:{}", escaped(&Value::from(key)), compact(item)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(","))
        }
        scalar => escaped(scalar),
    }
}

fn write_json(value: &Value, depth: usize, out: &mut String) {
    let newline = |depth: usize, out: &mut String| {
        out.push('\n');
        out.extend(std::iter::repeat_n(' ', depth * 4));
    };
    match value {
        Value::Array(items) if !items.is_empty() => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                newline(depth + 1, out);
                write_json(item, depth + 1, out);
            }
            newline(depth, out);
            out.push(']');
        }
        Value::Object(map) if !map.is_empty() => {
            out.push('{');
            for (i, (key, item)) in map.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                newline(depth + 1, out);
                out.push_str(&escaped(&Value::from(key)));
                out.push_str(": ");
                write_json(item, depth + 1, out);
            }
            newline(depth, out);
            out.push('}');
        }
        scalar => out.push_str(&escaped(scalar)),
    }
}

fn escaped(scalar: &Value) -> String {
    let text = scalar.to_json();
    match scalar {
        Value::String(_) => text
            .replace('<', "\\u003c")
            .replace('>', "\\u003e")
            .replace('&', "\\u0026")
            .replace('\u{2028}', "\\u2028")
            .replace('\u{2029}', "\\u2029"),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use meta::value;

    #[test]
    fn json_is_indented_and_escaped_as_go_does() {
        assert_eq!(
            json(&value!({"a": [1, "<x>"], "b": {}, "c": []})),
            "{\n    \"a\": [\n        1,\n        \"\\u003cx\\u003e\"\n    ],\n    \"b\": {},\n    \"c\": []\n}"
        );
    }

    #[test]
    fn unknown_forms_are_named() {
        let form = |text: &str| {
            let args = PrintArgs {
                output: Some(text.into()),
                ..PrintArgs::default()
            };
            args.form().map(|_| ()).map_err(|error| error.to_string())
        };
        assert!(form("wide").is_ok());
        assert!(form("xyz").is_err_and(|e| e.starts_with("unable to match a printer")));
        assert!(form("json=a").is_err());
    }
}
