//! The template language of `-o go-template`: what Go's text/template makes of
//! a tree of values, with kubectl's own functions `exists` and `base64decode`.

mod compare;
mod escape;
mod eval;
mod format;
mod functions;
mod lex;
mod node;
mod parse;
#[cfg(test)]
mod tests;
mod value;

use meta::{Value, go};
use std::collections::BTreeMap;

/// Why a template cannot be read, or does not fit an object. The words are
/// upstream's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Error(pub String);

/// A template, ready to be filled in.
#[derive(Clone, Debug)]
pub struct Template {
    text: String,
    defined: BTreeMap<String, Vec<node::Node>>,
}

/// What a template's name is in messages.
const NAME: &str = "output";

impl Template {
    /// Reads a template.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let defined = parse::parse(text)
            .map_err(|Error(why)| Error(format!("error parsing template {text}, {why}")))?;
        Ok(Template {
            text: text.to_string(),
            defined,
        })
    }

    /// Fills the template in. What was written before an error counts: text
    /// that explains the error stands behind it, as upstream prints both.
    pub fn print(&self, object: &Value) -> (String, Result<(), Error>) {
        let (mut out, result) = eval::execute(self, object);
        let Err(Error(why)) = result else {
            return (out, Ok(()));
        };
        let text = &self.text;
        out.push_str(&format!(
            "Error executing template: {why}. Printing more information for debugging the template:\n\ttemplate was:\n\t\t{text}\n\traw data was:\n\t\t{}\n\tobject given to template engine was:\n\t\t{}\n\n",
            go::json(object),
            go::print(object)
        ));
        let quoted = meta::field::quote(text);
        let error = Error(format!("error executing template {quoted}: {why}"));
        (out, Err(error))
    }
}
