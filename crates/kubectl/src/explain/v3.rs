//! The plain text of upstream's default renderer, from an OpenAPI v3 document. Follows
//! staging/src/k8s.io/kubectl/pkg/explain/v2/templates/plaintext.tmpl, quirks included.

use super::Question;
use super::document::{Document, KINDS, additional, items, reference};
use super::wrap::{indent, wrap};
use crate::error::{Result, said};
use meta::Value;

/// The head, which is printed even when the field is then not found, and what follows.
pub(crate) fn explain(document: &Document, question: &Question<'_>) -> (String, Result<String>) {
    let Some(kind) = kind(document, question) else {
        let text = format!("GVR ({}) not found in OpenAPI schema", question.words());
        return (String::new(), said(text));
    };
    let group = kind.str_at(&["group"]);
    let mut head = String::new();
    if !group.is_empty() {
        head = format!("GROUP:      {group}\n");
    }
    let (name, version) = (kind.str_at(&["kind"]), kind.str_at(&["version"]));
    head.push_str(&format!("KIND:       {name}\nVERSION:    {version}\n\n"));
    let mut schemas = document
        .of_kind(&["components", "schemas"], kind)
        .peekable();
    if schemas.peek().is_none() {
        let words = format!("map[group:{group} kind:{name} version:{version}]");
        return (
            head,
            said(format!("GVK {words} not found in OpenAPI schema")),
        );
    }
    let body = schemas.next().map(|schema| {
        let text = Renderer { document, question }.output(schema, question.fields, &[]);
        match (text.is_empty(), question.fields.last()) {
            (true, Some(field)) => said(format!("field \"{field}\" does not exist")),
            _ => Ok(text + "\n"),
        }
    });
    (head, body.unwrap_or_else(|| Ok(String::new())))
}

/// The group, version and kind of the operations below the resource's paths.
fn kind<'a>(document: &'a Document, question: &Question<'_>) -> Option<&'a Value> {
    let Question {
        group,
        version,
        resource,
        ..
    } = question;
    let root = match *group {
        "" => format!("/api/{version}"),
        group => format!("/apis/{group}/{version}"),
    };
    let mut found = None;
    for path in [
        format!("{root}/{resource}"),
        format!("{root}/{resource}/{{name}}"),
        format!("{root}/namespaces/{{namespace}}/{resource}"),
        format!("{root}/namespaces/{{namespace}}/{resource}/{{name}}"),
    ] {
        let Some(operations) = document.0.at(&["paths", &path]) else {
            continue;
        };
        let kinds = ["get", "post", "put", "patch", "delete"]
            .iter()
            .find_map(|method| operations.at(&[method, KINDS]));
        found = kinds.or(found);
    }
    found
}

struct Renderer<'a> {
    document: &'a Document,
    question: &'a Question<'a>,
}

impl<'a> Renderer<'a> {
    /// What is said of the field at a path below a schema; nothing when there is none.
    fn output(&self, schema: &'a Value, fields: &[String], seen: &[&str]) -> String {
        let name = reference(schema);
        let resolved = self.document.resolved(schema);
        let Some((field, rest)) = fields.split_first() else {
            return self.whole(resolved);
        };
        if !name.is_empty() && seen.contains(&name) {
            return String::new();
        }
        let further = [seen, &[name]].concat();
        if let Some(below) = resolved.at(&["properties", field]) {
            let mut out = String::new();
            if rest.is_empty() {
                out = format!("FIELD: {field} <{}>\n", self.type_of(below));
                out.push_str(&long_enum(below));
                out.push_str("\n\n");
            }
            return out + &self.output(below, rest, &[]);
        }
        if let Some(below) = items(resolved).or_else(|| additional(resolved)) {
            return self.output(below, fields, &further);
        }
        let alternatives = resolved.items_at(&["allOf"]).iter();
        alternatives
            .map(|below| self.output(below, fields, &further))
            .find(|text| !text.is_empty())
            .unwrap_or_default()
    }

    fn whole(&self, schema: &'a Value) -> String {
        let description = match self.description(schema) {
            text if text.is_empty() => "<empty>".to_string(),
            text => text,
        };
        let mut out = format!("DESCRIPTION:\n{}\n", indent(&wrap(&description, 76), 4));
        if let Some(docs) = schema.get("externalDocs") {
            out.push_str("\nEXTERNAL DOCS:\n");
            out.push_str(&external(docs, 76, 4));
        }
        let fields = self.fields(schema, 1, &[]);
        if !fields.is_empty() {
            out.push_str("FIELDS:\n");
            out.push_str(&fields);
        }
        out
    }

    /// The description of a schema and of all that it stands for.
    fn description(&self, schema: &'a Value) -> String {
        let schema = self.document.resolved(schema);
        let mut out = String::new();
        let own = schema.str_at(&["description"]);
        if !own.is_empty() {
            out = format!("{own}\n");
        }
        for below in schema.items_at(&["allOf"]) {
            out.push_str(&self.description(below));
        }
        for below in items(schema).into_iter().chain(additional(schema)) {
            out.push_str(&self.description(below));
        }
        out
    }

    fn fields(&self, schema: &'a Value, level: usize, seen: &[&str]) -> String {
        let name = reference(schema);
        if !name.is_empty() && seen.contains(&name) {
            return String::new();
        }
        let further = [seen, &[name]].concat();
        let resolved = self.document.resolved(schema);
        let depth = self.question.depth;
        let deeper = self.question.recursive && (depth == 0 || level < depth);
        let mut out = String::new();
        let properties = resolved.get("properties").and_then(Value::as_object);
        for (field, below) in properties.into_iter().flat_map(meta::Map::iter) {
            out.push_str(&self.field(resolved, field, below, level));
            if deeper {
                out.push_str(&self.fields(below, level + 1, &further));
            }
        }
        for below in resolved.items_at(&["allOf"]) {
            out.push_str(&self.fields(below, level, &further));
        }
        for below in items(resolved).into_iter().chain(additional(resolved)) {
            out.push_str(&self.fields(below, level, &further));
        }
        out
    }

    fn field(&self, owner: &Value, name: &str, schema: &'a Value, level: usize) -> String {
        let margin = level * 2;
        let required = owner.items_at(&["required"]).contains(&Value::from(name));
        let mut out = format!(
            "{}\t<{}>{}{}\n",
            indent(name, margin),
            self.type_of(schema),
            if required { " -required-" } else { "" },
            short_enum(schema, margin),
        );
        if self.question.recursive {
            return out;
        }
        let description = match schema.str_at(&["description"]) {
            "" => "<no description>",
            text => text,
        };
        let description = wrap(description, 78usize.saturating_sub(margin));
        out.push_str(&indent(&description, margin + 2));
        out.push('\n');
        if let Some(docs) = schema.get("externalDocs") {
            out.push_str(&format!("\n{}\n", indent("EXTERNAL DOCS:", margin + 2)));
            out.push_str(&external(docs, 76usize.saturating_sub(margin), margin + 4));
        }
        out.push('\n');
        out
    }

    /// `string`, `[]Container`, `map[string]string`, `Object`.
    fn type_of(&self, schema: &'a Value) -> String {
        if let Some(below) = items(schema) {
            return format!("[]{}", self.type_of(below));
        }
        if let Some(below) = additional(schema) {
            return format!("map[string]{}", self.type_of(below));
        }
        let kind = |schema: &Value| match schema.str_at(&["type"]) {
            "" | "object" => "Object".to_string(),
            kind => kind.to_string(),
        };
        if let [only] = schema.items_at(&["allOf"])
            && schema.get("properties").is_none_or(Value::is_empty)
        {
            return self.type_of(only);
        }
        let name = reference(schema);
        if name.is_empty() {
            return kind(schema);
        }
        match self.document.resolve(name).map(|s| s.str_at(&["type"])) {
            None | Some("" | "object") => name.rsplit(['/', '.']).next().unwrap_or(name).into(),
            Some(primitive) => primitive.to_string(),
        }
    }
}

fn external(docs: &Value, limit: usize, margin: usize) -> String {
    let mut out = String::new();
    let description = docs.str_at(&["description"]);
    if !description.is_empty() {
        out = indent(&wrap(description, limit), margin) + "\n";
    }
    let url = docs.str_at(&["url"]);
    if !url.is_empty() {
        out.push_str(&format!("{}\n", indent(&format!("URL: {url}"), margin)));
    }
    out
}

fn choice(value: &Value) -> String {
    match value.as_str() {
        Some("") => "\"\"".into(),
        Some(text) => text.into(),
        None => value.to_json(),
    }
}

/// All values that a field may have, one a line.
fn long_enum(schema: &Value) -> String {
    let choices = schema.items_at(&["enum"]);
    if choices.is_empty() {
        return String::new();
    }
    let lines = choices
        .iter()
        .map(|value| format!("\n    {}", choice(value)));
    format!("ENUM:{}", lines.collect::<String>())
}

/// The first values that a field may have, on a line of their own.
fn short_enum(schema: &Value, margin: usize) -> String {
    const SHOWN: usize = 4;
    let choices = schema.items_at(&["enum"]);
    if choices.is_empty() {
        return String::new();
    }
    let shown: Vec<String> = choices.iter().take(SHOWN).map(choice).collect();
    let more = if choices.len() > SHOWN { ", ...." } else { "" };
    format!("\n{}enum: {}{more}", " ".repeat(margin), shown.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use meta::value;

    fn document() -> Document {
        let kind = value!({"group": "x.io", "version": "v1", "kind": "Box"});
        Document(value!({
            "paths": {"/apis/x.io/v1/namespaces/{namespace}/boxes": {"get": {KINDS: (kind.clone())}}},
            "components": {"schemas": {
                "io.x.v1.Box": {
                    "type": "object", "description": "A Box holds things.", KINDS: [(kind)],
                    "required": ["spec"],
                    "properties": {
                        "spec": {"allOf": [{"$ref": "#/components/schemas/io.x.v1.Spec"}], "description": "What it holds."},
                        "inner": {"$ref": "#/components/schemas/io.x.v1.Box"}
                    }
                },
                "io.x.v1.Spec": {"type": "object", "properties": {
                    "colour": {"type": "string", "enum": ["", "a", "b", "c", "d"]},
                    "labels": {"type": "object", "additionalProperties": {"type": "string"}}
                }}
            }}
        }))
    }

    fn explained(fields: &[&str], recursive: bool) -> String {
        let fields: Vec<String> = fields.iter().map(ToString::to_string).collect();
        let question = Question {
            group: "x.io",
            version: "v1",
            resource: "boxes",
            fields: &fields,
            recursive,
            depth: 0,
        };
        let (head, body) = explain(&document(), &question);
        match body {
            Ok(body) => head + &body,
            Err(error) => format!("{head}{error}"),
        }
    }

    #[test]
    fn fields_are_shown_with_their_types_and_values() {
        expect![[r#"
            GROUP:      x.io
            KIND:       Box
            VERSION:    v1

            DESCRIPTION:
                A Box holds things.
                
            FIELDS:
              inner	<Box>
                inner	<Box>
                spec	<Spec> -required-
                  colour	<string>
                  enum: "", a, b, c, ....
                  labels	<map[string]string>
              spec	<Spec> -required-
                colour	<string>
                enum: "", a, b, c, ....
                labels	<map[string]string>

        "#]]
        .assert_eq(&explained(&[], true));
        assert!(
            explained(&["spec", "colour"], false)
                .contains("FIELD: colour <string>\nENUM:\n    \"\"\n    a\n")
        );
    }

    #[test]
    fn what_is_not_there_is_said() {
        assert!(explained(&["spec", "size"], false).ends_with("field \"size\" does not exist"));
    }
}
