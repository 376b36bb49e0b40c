//! The plain text of upstream's first renderer, from an OpenAPI v2 document. Follows
//! staging/src/k8s.io/kubectl/pkg/explain (model_printer.go, fields_printer.go, typename.go).

use super::Question;
use super::document::{Document, additional, items, reference};
use super::wrap::flow;
use crate::error::{Result, said};
use meta::Value;

const WIDTH: usize = 80;

/// What a schema is to the printers: each has its own way through a document.
enum Shape<'a> {
    Reference(&'a Value),
    Kind(&'a Value),
    Map(Option<&'a Value>),
    Array(&'a Value),
    Primitive(&'a str),
    Arbitrary,
}

/// Explains a field of a kind, given as group, version and kind.
pub(crate) fn explain(
    document: &Document,
    kind: &Value,
    question: &Question<'_>,
) -> Result<String> {
    let Some(schema) = document.of_kind(&["definitions"], kind).next() else {
        let version = api_version(kind);
        let name = kind.str_at(&["kind"]);
        return said(format!(
            "couldn't find resource for \"{version}, Kind={name}\""
        ));
    };
    let printer = Printer {
        document,
        question,
        kind,
    };
    let found = printer.field_at(schema, question.fields)?;
    Ok(printer.model(found))
}

fn api_version(kind: &Value) -> String {
    match (kind.str_at(&["group"]), kind.str_at(&["version"])) {
        ("", version) => version.to_string(),
        (group, version) => format!("{group}/{version}"),
    }
}

struct Printer<'a> {
    document: &'a Document,
    question: &'a Question<'a>,
    kind: &'a Value,
}

impl<'a> Printer<'a> {
    fn shape(&self, schema: &'a Value) -> Shape<'a> {
        if !reference(schema).is_empty() {
            return Shape::Reference(self.document.resolved(schema));
        }
        let has_fields = schema.get("properties").is_some();
        match schema.str_at(&["type"]) {
            "" | "object" if has_fields => Shape::Kind(schema),
            "" => Shape::Arbitrary,
            "object" => Shape::Map(additional(schema)),
            "array" => items(schema).map_or(Shape::Arbitrary, Shape::Array),
            primitive => Shape::Primitive(primitive),
        }
    }

    /// The schema of the field at a path. References, lists and maps are passed through.
    fn field_at(&self, schema: &'a Value, fields: &[String]) -> Result<&'a Value> {
        let Some((field, rest)) = fields.split_first() else {
            return Ok(schema);
        };
        match self.shape(schema) {
            Shape::Reference(below) | Shape::Array(below) | Shape::Map(Some(below)) => {
                self.field_at(below, fields)
            }
            Shape::Kind(kind) => match kind.at(&["properties", field]) {
                Some(below) => self.field_at(below, rest),
                None => said(format!("field \"{field}\" does not exist")),
            },
            Shape::Map(None) | Shape::Primitive(_) | Shape::Arbitrary => Ok(schema),
        }
    }

    /// The type, `Object` for whatever has fields; nothing for what may be anything.
    fn type_of(&self, schema: &'a Value) -> String {
        match self.shape(schema) {
            Shape::Reference(below) => self.type_of(below),
            Shape::Kind(_) => "Object".into(),
            Shape::Map(below) => {
                let below = below.map(|below| self.type_of(below)).unwrap_or_default();
                format!("map[string]{below}")
            }
            Shape::Array(below) => format!("[]{}", self.type_of(below)),
            Shape::Primitive(name) => name.to_string(),
            Shape::Arbitrary => String::new(),
        }
    }

    /// Everything about a schema, through whatever it stands for.
    fn model(&self, schema: &'a Value) -> String {
        let kind = self.kind;
        let mut out = format!(
            "KIND:     {}\nVERSION:  {}\n\n",
            kind.str_at(&["kind"]),
            api_version(kind)
        );
        let name = self.question.fields.last().map_or("", String::as_str);
        let (mut here, mut descriptions, mut type_name) = (schema, Vec::new(), String::new());
        loop {
            descriptions.push(here.str_at(&["description"]));
            let shape = self.shape(here);
            if type_name.is_empty() && !matches!(shape, Shape::Reference(_)) {
                type_name = self.type_of(here);
            }
            match shape {
                Shape::Reference(below) | Shape::Array(below) | Shape::Map(Some(below)) => {
                    here = below;
                }
                Shape::Kind(fields) => {
                    if !name.is_empty() {
                        out.push_str(&format!("RESOURCE: {name} <{type_name}>\n\n"));
                    }
                    out.push_str(&described(&descriptions));
                    out.push_str("\nFIELDS:\n");
                    match self.question.recursive {
                        true => self.deep(fields, 1, &mut Vec::new(), &mut out),
                        false => self.fields(fields, &mut out),
                    }
                    return out;
                }
                Shape::Primitive(_) => {
                    out.push_str(&format!("FIELD:    {name} <{type_name}>\n\n"));
                    out.push_str(&described(&descriptions));
                    return out;
                }
                Shape::Map(None) | Shape::Arbitrary => {
                    out.push_str(&described(&descriptions));
                    return out;
                }
            }
        }
    }

    fn fields(&self, kind: &'a Value, out: &mut String) {
        for (name, schema) in properties(kind) {
            let required = kind.items_at(&["required"]).contains(&Value::from(name));
            let required = if required { " -required-" } else { "" };
            out.push_str(&format!(
                "   {name}\t<{}>{required}\n",
                self.type_of(schema)
            ));
            write_flowed(schema.str_at(&["description"]), out);
            out.push('\n');
        }
    }

    /// Fields below fields; a schema is not entered again below itself.
    fn deep(&self, schema: &'a Value, level: usize, within: &mut Vec<&'a str>, out: &mut String) {
        match self.shape(schema) {
            Shape::Reference(below) => {
                let name = reference(schema);
                if !within.contains(&name) {
                    within.push(name);
                    self.deep(below, level, within, out);
                    within.pop();
                }
            }
            Shape::Array(below) | Shape::Map(Some(below)) => self.deep(below, level, within, out),
            Shape::Kind(kind) => {
                for (name, below) in properties(kind) {
                    let margin = " ".repeat(level * 3);
                    out.push_str(&format!("{margin}{name}\t<{}>\n", self.type_of(below)));
                    if self.question.depth == 0 || level < self.question.depth {
                        self.deep(below, level + 1, within, out);
                    }
                }
            }
            Shape::Map(None) | Shape::Primitive(_) | Shape::Arbitrary => {}
        }
    }
}

fn properties(kind: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let all = kind.get("properties").and_then(Value::as_object);
    let all = all.into_iter().flat_map(meta::Map::iter);
    all.map(|(name, schema)| (name.as_str(), schema))
}

fn described(descriptions: &[&str]) -> String {
    let mut out = "DESCRIPTION:\n".to_string();
    for (i, text) in descriptions.iter().enumerate() {
        if !text.is_empty() {
            if i > 0 {
                out.push('\n');
            }
            write_flowed(text, &mut out);
        }
    }
    if descriptions.iter().all(|text| text.is_empty()) {
        write_flowed("<empty>", &mut out);
    }
    out
}

fn write_flowed(text: &str, out: &mut String) {
    const MARGIN: usize = 5;
    // Fields stand behind three spaces and their descriptions behind two more.
    for line in flow(text, WIDTH - MARGIN) {
        if !line.is_empty() {
            out.extend(std::iter::repeat_n(' ', MARGIN));
            out.push_str(&line);
        }
        out.push('\n');
    }
}
