//! What the client wants to read: plain objects, tables or metadata only, as
//! JSON, YAML or protobuf. Follows apiserver's pkg/endpoints/handlers/negotiation.

use codec::protobuf::MEDIA_TYPE;
use http::HeaderMap;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use meta::{Reason, Status};
use registry::Format;

/// The form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    /// What becomes of objects.
    pub shape: Shape,
    /// How they are written.
    pub format: Format,
}

/// Plain JSON.
pub const JSON: Form = Form {
    shape: Shape::Object,
    format: Format::Json,
};

/// What becomes of objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// They stay.
    Object,
    /// A `Table`.
    Table,
    /// `PartialObjectMetadata`.
    Metadata,
    /// A `PartialObjectMetadataList`, for lists.
    MetadataList,
}

const TYPES: &str = "application/json, application/yaml, application/vnd.kubernetes.protobuf";

/// Reads the `Accept` header: the first clause that we can serve.
pub fn accept(headers: &HeaderMap) -> Result<Form, Status> {
    accept_where(headers, |_| true)
}

/// As [`accept`], for what is no object that is kept and so has no table.
pub fn accept_without_table(headers: &HeaderMap) -> Result<Form, Status> {
    accept_where(headers, |form| form.shape != Shape::Table)
}

fn accept_where(headers: &HeaderMap, serves: impl Fn(Form) -> bool) -> Result<Form, Status> {
    let mut header = headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|v| v.to_str().ok())
        .peekable();
    let plain = Form {
        shape: Shape::Object,
        format: Format::Json,
    };
    if header.peek().is_none() {
        return Ok(plain);
    }
    let clauses: Vec<&str> = header
        .flat_map(|text| text.split(','))
        .map(str::trim)
        .filter(|c| !c.is_empty())
        .collect();
    if clauses.is_empty() {
        return Ok(plain);
    }
    clauses
        .iter()
        .find_map(|clause| clause_form(clause).filter(|form| serves(*form)))
        .ok_or_else(|| {
            Status::new(
                Reason::NotAcceptable,
                format!("only the following media types are accepted: {TYPES}"),
            )
        })
}

fn clause_form(clause: &str) -> Option<Form> {
    let mut parts = clause.split(';').map(str::trim);
    let format = match parts.next()? {
        "application/json" | "*/*" | "application/*" => Format::Json,
        "application/yaml" => Format::Yaml,
        MEDIA_TYPE => Format::Protobuf,
        _ => return None,
    };
    let parameter = |name: &str| {
        clause
            .split(';')
            .skip(1)
            .find_map(|p| p.trim().strip_prefix(name)?.strip_prefix('='))
    };
    let is_meta =
        parameter("g") == Some("meta.k8s.io") && matches!(parameter("v"), Some("v1" | "v1beta1"));
    let shape = match parameter("as") {
        None => Shape::Object,
        // A cell may hold anything, which no message can.
        Some("Table") if is_meta && format != Format::Protobuf => Shape::Table,
        Some("PartialObjectMetadata") if is_meta => Shape::Metadata,
        Some("PartialObjectMetadataList") if is_meta => Shape::MetadataList,
        Some(_) => return None,
    };
    Some(Form { shape, format })
}

/// The form of what is no answer to the question: errors, and documents that
/// have one shape. Whoever accepts nothing of ours reads JSON.
pub fn plain(headers: &HeaderMap) -> Form {
    let format = accept(headers).map_or(Format::Json, |form| form.format);
    Form {
        shape: Shape::Object,
        format,
    }
}

/// Custom resources have no protobuf form: takes it from what a request accepts,
/// and refuses a body in it.
pub fn without_protobuf(headers: &mut HeaderMap) -> Result<(), Status> {
    if content(headers).ok() == Some(Format::Protobuf) {
        let types = TYPES.trim_end_matches(MEDIA_TYPE).trim_end_matches(", ");
        return Err(Status::new(
            Reason::UnsupportedMediaType,
            format!(
                "the body of the request was in an unknown format - accepted media types include: {types}"
            ),
        ));
    }
    let texts = headers.get_all(ACCEPT).iter();
    let clauses: Vec<&str> = texts
        .filter_map(|v| v.to_str().ok())
        .flat_map(|text| text.split(','))
        .map(str::trim)
        .collect();
    if clauses.iter().any(|clause| clause.starts_with(MEDIA_TYPE)) {
        let kept: Vec<&str> = clauses
            .into_iter()
            .filter(|clause| !clause.starts_with(MEDIA_TYPE))
            .collect();
        // An empty list would mean that everything will do.
        let text = match kept.is_empty() {
            true => "none/none".into(),
            false => kept.join(","),
        };
        if let Ok(value) = HeaderValue::from_str(&text) {
            headers.insert(ACCEPT, value);
        }
    }
    Ok(())
}

/// Reads the `Content-Type` of a body.
pub fn content(headers: &HeaderMap) -> Result<Format, Status> {
    let text = headers
        .get(CONTENT_TYPE)
        .and_then(|v| v.to_str().ok())
        .unwrap_or("application/json");
    match text.split(';').next().unwrap_or_default().trim() {
        "" | "application/json" | "*/*" => Ok(Format::Json),
        "application/yaml" => Ok(Format::Yaml),
        MEDIA_TYPE => Ok(Format::Protobuf),
        _ => Err(Status::new(
            Reason::UnsupportedMediaType,
            format!(
                "the body of the request was in an unknown format - accepted media types include: {TYPES}"
            ),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<(Shape, Format)>) {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, text.parse().expect("a header"));
        assert_eq!(
            accept(&headers).ok().map(|f| (f.shape, f.format)),
            expected,
            "{text}"
        );
    }

    #[test]
    fn the_first_clause_we_can_serve_wins() {
        check("application/json", Some((Shape::Object, Format::Json)));
        check(
            "application/vnd.kubernetes.protobuf, application/json",
            Some((Shape::Object, Format::Protobuf)),
        );
        check(
            "application/vnd.kubernetes.protobuf;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1;g=meta.k8s.io",
            Some((Shape::Table, Format::Json)),
        );
        check(
            "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
            Some((Shape::MetadataList, Format::Protobuf)),
        );
        check(
            "application/json;as=Table;v=v1;g=meta.k8s.io,application/json",
            Some((Shape::Table, Format::Json)),
        );
        check(
            "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
            Some((Shape::Metadata, Format::Json)),
        );
        check("application/yaml", Some((Shape::Object, Format::Yaml)));
        check("*/*", Some((Shape::Object, Format::Json)));
        check("application/cbor", None);
        check("application/json;as=Nonsense;g=meta.k8s.io;v=v1", None);
    }

    #[test]
    fn custom_resources_have_no_protobuf_form() {
        for (text, left) in [
            (
                "application/vnd.kubernetes.protobuf,application/json",
                Some(Format::Json),
            ),
            ("application/vnd.kubernetes.protobuf", None),
            ("application/yaml", Some(Format::Yaml)),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, text.parse().expect("a header"));
            without_protobuf(&mut headers).expect("no body");
            assert_eq!(accept(&headers).ok().map(|f| f.format), left, "{text}");
        }
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        assert!(without_protobuf(&mut headers).is_err());
    }
}
