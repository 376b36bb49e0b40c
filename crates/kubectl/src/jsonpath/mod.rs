//! What the command line does with JSONPath: `-o jsonpath`, `--sort-by` and
//! custom columns. The language itself is [`meta::jsonpath`].

use meta::Value;
use meta::jsonpath::{Error, JsonPath};

pub use meta::jsonpath::relaxed;

/// A template of `-o jsonpath=...`.
#[derive(Clone, Debug)]
pub struct Printer {
    template: String,
    path: JsonPath,
    as_json: bool,
}

impl Printer {
    /// Reads a template. With `allow_missing_keys` a field that is absent
    /// prints nothing.
    pub fn new(template: &str, allow_missing_keys: bool) -> Result<Self, Error> {
        let path = JsonPath::parse(template)
            .map_err(|Error(why)| Error(format!("error parsing jsonpath {template}, {why}")))?;
        Ok(Printer {
            template: template.to_string(),
            path: path.allow_missing_keys(allow_missing_keys),
            as_json: false,
        })
    }

    /// Prints what is found as JSON lists: `-o jsonpath-as-json`.
    pub fn as_json(mut self) -> Self {
        self.as_json = true;
        self
    }

    /// The template filled in with an object.
    pub fn print(&self, object: &Value) -> Result<String, Error> {
        let result = match self.as_json {
            true => self.path.execute_as_json(object),
            false => self.path.execute(object),
        };
        result.map_err(|Error(why)| {
            let template = &self.template;
            let quoted = meta::field::quote(template);
            let given = meta::go::syntax(object);
            Error(format!(
                "error executing jsonpath {quoted}: Error executing template: {why}. Printing more information for debugging the template:\n\ttemplate was:\n\t\t{template}\n\tobject given to jsonpath engine was:\n\t\t{given}\n\n\n"
            ))
        })
    }
}
