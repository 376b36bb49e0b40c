//! `-o custom-columns`: a table of the user's own columns.

use crate::tabwriter;
use meta::jsonpath::{self, JsonPath};
use meta::{Value, go};

/// Why a specification of columns cannot be used, or does not fit an object.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is nothing in it.
    #[error("custom-columns format specified but no custom columns given")]
    Empty,
    /// A column is not `header:path`.
    #[error("unexpected custom-columns spec: {0}, expected <header>:<json-path-expr>")]
    Column(String),
    /// The file lacks a line.
    #[error(
        "invalid template, missing {0} line. Expected format is one line of space separated headers, one line of space separated column specs."
    )]
    Line(&'static str),
    /// As many headers as paths are needed.
    #[error("number of headers ({headers}) and field specifications ({paths}) don't match")]
    Count {
        /// How many headers there are.
        headers: usize,
        /// How many paths there are.
        paths: usize,
    },
    /// A path cannot be read or evaluated.
    #[error("{0}")]
    Path(#[from] jsonpath::Error),
}

/// Columns with their headers.
#[derive(Clone, Debug)]
pub struct CustomColumns {
    columns: Vec<Column>,
}

#[derive(Clone, Debug)]
struct Column {
    header: String,
    path: JsonPath,
}

impl CustomColumns {
    /// Reads `NAME:.metadata.name,IMAGE:.spec.containers[*].image`.
    pub fn from_spec(spec: &str) -> Result<Self, Error> {
        if spec.is_empty() {
            return Err(Error::Empty);
        }
        let columns = spec.split(',').map(|part| {
            let (header, path) = part
                .split_once(':')
                .ok_or_else(|| Error::Column(part.to_string()))?;
            Column::new(header, path)
        });
        Ok(CustomColumns {
            columns: columns.collect::<Result<_, _>>()?,
        })
    }

    /// Reads the text of a file: a line of headers, a line of paths.
    pub fn from_template(text: &str) -> Result<Self, Error> {
        let mut lines = text.lines();
        let headers = lines.next().ok_or(Error::Line("header"))?;
        let paths = lines.next().ok_or(Error::Line("spec"))?;
        let headers: Vec<&str> = headers.split_whitespace().collect();
        let paths: Vec<&str> = paths.split_whitespace().collect();
        if headers.len() != paths.len() {
            return Err(Error::Count {
                headers: headers.len(),
                paths: paths.len(),
            });
        }
        let columns = headers.iter().zip(paths);
        Ok(CustomColumns {
            columns: columns
                .map(|(header, path)| Column::new(header, path))
                .collect::<Result<_, _>>()?,
        })
    }

    /// The line of headers, cells apart by tabs.
    pub fn header(&self) -> String {
        let headers: Vec<&str> = self.columns.iter().map(|c| c.header.as_str()).collect();
        headers.join("\t")
    }

    /// The line of an object, cells apart by tabs.
    pub fn row(&self, object: &Value) -> Result<String, Error> {
        let cells = self.columns.iter().map(|column| column.cell(object));
        Ok(cells.collect::<Result<Vec<_>, _>>()?.join("\t"))
    }

    /// The table of objects.
    pub fn print<'a>(
        &self,
        objects: impl IntoIterator<Item = &'a Value>,
        with_header: bool,
    ) -> Result<String, Error> {
        let mut text = String::new();
        if with_header {
            text.push_str(&self.header());
            text.push('\n');
        }
        for object in objects {
            text.push_str(&self.row(object)?);
            text.push('\n');
        }
        Ok(tabwriter::TABLE.format(&text))
    }
}

impl Column {
    fn new(header: &str, path: &str) -> Result<Self, Error> {
        Ok(Column {
            header: header.to_string(),
            path: JsonPath::parse_relaxed(path)?.allow_missing_keys(true),
        })
    }

    fn cell(&self, object: &Value) -> Result<String, Error> {
        let found = self.path.find(object)?;
        if found.first().is_none_or(Vec::is_empty) {
            return Ok("<none>".to_string());
        }
        let texts: Vec<String> = found
            .iter()
            .flatten()
            .map(|value| tabwriter::escape(&go::print(value)))
            .collect();
        Ok(texts.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use meta::value;

    fn objects() -> [Value; 2] {
        [
            value!({"metadata": {"name": "a-long-name", "labels": {"x": "1", "y": "2"}}, "n": [1, 2], "nil": null}),
            value!({"metadata": {"name": "b"}, "f": true}),
        ]
    }

    #[test]
    fn tables_look_as_upstreams() {
        let columns = CustomColumns::from_spec(
            "NAME:.metadata.name,L:metadata.labels,N:{.n[*]},F:.f,NIL:.nil",
        )
        .expect("columns");
        let wanted = "NAME          L              N        F        NIL\n\
                      a-long-name   map[x:1 y:2]   1,2      <none>   <nil>\n\
                      b             <none>         <none>   true     <none>\n";
        assert_eq!(columns.print(&objects(), true).expect("a table"), wanted);
    }

    #[test]
    fn files_have_two_lines() {
        let columns =
            CustomColumns::from_template("NAME F\n.metadata.name  .f\n").expect("columns");
        assert_eq!(columns.header(), "NAME\tF");
        for (text, wanted) in [
            (
                "A B\n.a",
                "number of headers (2) and field specifications (1) don't match",
            ),
            (
                "A B",
                "invalid template, missing spec line. Expected format is one line of space separated headers, one line of space separated column specs.",
            ),
        ] {
            let error = CustomColumns::from_template(text).expect_err("refused");
            assert_eq!(error.to_string(), wanted);
        }
    }

    #[test]
    fn bad_columns_are_named() {
        let error = CustomColumns::from_spec("NAME").expect_err("refused");
        assert_eq!(
            error.to_string(),
            "unexpected custom-columns spec: NAME, expected <header>:<json-path-expr>"
        );
    }
}
