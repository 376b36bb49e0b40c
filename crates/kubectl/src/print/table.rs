//! Tables as the server makes them. Follows cli-runtime's pkg/printers/tableprinter.go.

use crate::io;
use meta::Value;

/// What is shown beside the server's columns.
#[derive(Clone, Debug, Default)]
pub struct TableOptions {
    /// The columns of low priority too.
    pub wide: bool,
    /// No line of headers.
    pub no_headers: bool,
    /// The namespace first.
    pub with_namespace: bool,
    /// What stands before names: `deployment.apps`.
    pub prefix: Option<String>,
    /// A column with all labels.
    pub show_labels: bool,
    /// A column for each of these labels.
    pub label_columns: Vec<String>,
    /// Words in front of each row: the kind of a watch's event.
    pub first: Option<&'static str>,
}

/// Prints tables, the columns of which stay as wide as they were.
#[derive(Debug, Default)]
pub struct TablePrinter {
    widths: Vec<usize>,
    columns: Vec<Value>,
    has_headers: bool,
}

impl TablePrinter {
    /// Prints a table's rows, and its headers the first time.
    pub fn print(&mut self, table: &Value, options: &TableOptions, event: Option<&str>) {
        io::out(&self.text(table, options, event));
    }

    /// Forgets widths and headers: another table follows.
    pub fn restart(&mut self) {
        *self = Self::default();
    }

    fn text(&mut self, table: &Value, options: &TableOptions, event: Option<&str>) -> String {
        let definitions = table.items_at(&["columnDefinitions"]);
        if !definitions.is_empty() {
            self.columns = definitions.to_vec();
        }
        let shown: Vec<usize> = (0..self.columns.len())
            .filter(|i| options.wide || self.columns[*i].i64_at(&["priority"]).unwrap_or(0) == 0)
            .collect();
        let mut rows = Vec::new();
        if !self.has_headers && !options.no_headers {
            rows.push(self.headers(&shown, options));
        }
        self.has_headers = true;
        for row in table.items_at(&["rows"]) {
            rows.push(self.row(row, &shown, options, event));
        }
        self.lay_out(&rows)
    }

    fn headers(&self, shown: &[usize], options: &TableOptions) -> Vec<String> {
        let mut cells = Vec::new();
        cells.extend(options.first.map(str::to_string));
        cells.extend(options.with_namespace.then(|| "NAMESPACE".to_string()));
        let names = shown
            .iter()
            .map(|i| self.columns[*i].str_at(&["name"]).to_uppercase());
        cells.extend(names);
        for label in &options.label_columns {
            cells.push(label.rsplit('/').next().unwrap_or(label).to_uppercase());
        }
        cells.extend(options.show_labels.then(|| "LABELS".to_string()));
        cells
    }

    fn row(
        &self,
        row: &Value,
        shown: &[usize],
        options: &TableOptions,
        event: Option<&str>,
    ) -> Vec<String> {
        let metadata = row.at(&["object", "metadata"]).unwrap_or(&Value::Null);
        let mut cells = Vec::new();
        cells.extend(event.map(str::to_string));
        if options.with_namespace {
            cells.push(metadata.str_at(&["namespace"]).to_string());
        }
        let values = row.items_at(&["cells"]);
        for i in shown {
            let text = cell(values.get(*i).unwrap_or(&Value::Null));
            let column = &self.columns[*i];
            let is_name =
                column.str_at(&["format"]) == "name" && column.str_at(&["type"]) == "string";
            cells.push(match &options.prefix {
                Some(prefix) if is_name => format!("{prefix}/{text}"),
                _ => text,
            });
        }
        let labels = metadata.get("labels").and_then(Value::as_object);
        for name in &options.label_columns {
            let value = labels
                .and_then(|labels| labels.get(name))
                .and_then(Value::as_str);
            cells.push(value.unwrap_or("<none>").to_string());
        }
        if options.show_labels {
            let all = labels.filter(|labels| !labels.is_empty()).map(|labels| {
                let pairs = labels
                    .iter()
                    .map(|(k, v)| format!("{k}={}", v.as_str().unwrap_or("")));
                pairs.collect::<Vec<_>>().join(",")
            });
            cells.push(all.unwrap_or_else(|| "<none>".into()));
        }
        cells
    }

    fn lay_out(&mut self, rows: &[Vec<String>]) -> String {
        for row in rows {
            for (i, text) in row.iter().enumerate() {
                let width = (text.chars().count() + 3).max(6);
                match self.widths.get_mut(i) {
                    Some(known) => *known = width.max(*known),
                    None => self.widths.push(width),
                }
            }
        }
        let mut out = String::new();
        for row in rows {
            for (i, text) in row.iter().enumerate() {
                out.push_str(text);
                if i + 1 < row.len() {
                    let fill = self.widths[i].saturating_sub(text.chars().count());
                    out.extend(std::iter::repeat_n(' ', fill));
                }
            }
            out.push('\n');
        }
        out
    }
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => {
            let text = text.as_str();
            match text.find(['\n', '\r', '\u{c}']) {
                Some(end) => format!("{}...", &text[..end]),
                None => text.replace('\u{1b}', "^["),
            }
        }
        other => other.to_json(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use meta::value;

    #[test]
    fn columns_grow_and_stay() {
        let mut printer = TablePrinter::default();
        let options = TableOptions {
            with_namespace: true,
            label_columns: vec!["x.io/app".into()],
            prefix: Some("pod".into()),
            ..TableOptions::default()
        };
        let table = value!({
            "columnDefinitions": [
                {"name": "Name", "type": "string", "format": "name", "priority": 0},
                {"name": "IP", "type": "string", "priority": 1},
                {"name": "Age", "type": "string", "priority": 0}
            ],
            "rows": [{"cells": ["a", "1.1.1.1", "1s"], "object": {"metadata": {"namespace": "default", "labels": {"x.io/app": "w"}}}}]
        });
        assert_eq!(
            printer.text(&table, &options, None),
            "NAMESPACE   NAME    AGE   APP\ndefault     pod/a   1s    w\n"
        );
        let more = value!({"rows": [{"cells": ["b", "", "1s"], "object": {"metadata": {"namespace": "d"}}}]});
        assert_eq!(
            printer.text(&more, &options, None),
            "d           pod/b   1s    <none>\n"
        );
    }
}
