//! What upstream says of each type and field, for OpenAPI and `explain`.
//!
//! The texts are not part of this repository: `build.rs` takes them out of the
//! sources of a dependency. They are unpacked when documents are made from
//! them, and given back afterwards.

use std::collections::HashMap;
use std::io::Read as _;

static TABLE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptions.bin"));

/// The texts, unpacked.
#[derive(Debug, Default)]
pub struct Descriptions {
    types: HashMap<String, Described>,
}

#[derive(Debug, Default)]
struct Described {
    text: String,
    fields: HashMap<String, String>,
}

impl Descriptions {
    /// Unpacks the table.
    pub fn load() -> std::io::Result<Self> {
        let mut text = String::new();
        flate2::read::ZlibDecoder::new(TABLE).read_to_string(&mut text)?;
        let mut types: HashMap<String, Described> = HashMap::new();
        let mut current = String::new();
        for line in text.lines() {
            let mut cells = line.splitn(3, '\t');
            match (cells.next(), cells.next(), cells.next()) {
                (Some(""), Some(field), Some(text)) => {
                    let fields = &mut types.entry(current.clone()).or_default().fields;
                    fields.insert(field.into(), plain(text));
                }
                (Some(name), Some(text), None) => {
                    current = name.to_string();
                    types.entry(current.clone()).or_default().text = plain(text);
                }
                _ => {}
            }
        }
        Ok(Descriptions { types })
    }

    /// Of a type, by its OpenAPI name: `io.k8s.api.core.v1.Pod`.
    pub fn of_type(&self, name: &str) -> &str {
        self.types.get(name).map_or("", |t| &t.text)
    }

    /// Of a field of a type, by its JSON name.
    pub fn of_field(&self, name: &str, field: &str) -> &str {
        let found = self.types.get(name).and_then(|t| t.fields.get(field));
        found.map_or_else(|| self.of_every(name, field), String::as_str)
    }

    /// What every object has and the dependency describes only once.
    fn of_every(&self, name: &str, field: &str) -> &str {
        const HOME: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions";
        match field {
            "apiVersion" | "kind" if name != HOME => self.of_field(HOME, field),
            "metadata" if name.ends_with("List") => "Standard list metadata.",
            "items" if name.ends_with("List") => "The objects of the list.",
            "metadata" => "Standard object metadata.",
            _ => "",
        }
    }
}

fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, c == '\\') {
            (_, true) => out.push(match chars.next() {
                Some('n') => '\n',
                Some(other) => other,
                None => '\\',
            }),
            (c, false) => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_and_fields_are_described() {
        let all = Descriptions::load().expect("the table unpacks");
        assert!(all.types.len() > 500, "{}", all.types.len());
        for (name, field) in [
            ("io.k8s.api.core.v1.Pod", "spec"),
            ("io.k8s.api.core.v1.Pod", "kind"),
            ("io.k8s.api.core.v1.PodSpec", "containers"),
            ("io.k8s.api.core.v1.Container", "imagePullPolicy"),
            ("io.k8s.api.apps.v1.DeploymentSpec", "replicas"),
            (
                "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta",
                "ownerReferences",
            ),
        ] {
            let text = all.of_field(name, field);
            assert!(text.len() > 20, "{name} {field}: {text:?}");
            assert!(!all.of_type(name).is_empty(), "{name}");
        }
        assert_eq!(all.of_field("io.k8s.api.core.v1.Pod", "nonsense"), "");
    }
}
