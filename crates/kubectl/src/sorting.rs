//! `--sort-by`. Follows staging/src/k8s.io/kubectl/pkg/cmd/get/sorter.go.

use crate::error::{Result, said};
use meta::jsonpath::JsonPath;
use meta::{Quantity, Value};
use std::cmp::Ordering;

/// Orders objects by what a path finds in them.
pub struct Sorter {
    path: JsonPath,
    text: String,
}

impl Sorter {
    /// Reads a path, with or without braces.
    pub fn new(text: &str) -> Result<Self> {
        match JsonPath::parse_relaxed(text) {
            Ok(path) => Ok(Sorter {
                path: path.allow_missing_keys(true),
                text: meta::jsonpath::relaxed(text).unwrap_or_else(|_| text.to_string()),
            }),
            Err(error) => said(error.to_string()),
        }
    }

    /// Sorts items, looking below `inside` of each.
    pub fn sort(&self, items: &mut Vec<Value>, inside: &[&str]) -> Result {
        let mut keyed = Vec::with_capacity(items.len());
        for item in items.drain(..) {
            let found = {
                let object = item.at(inside).unwrap_or(&item);
                match self.path.find(object) {
                    Ok(found) => found
                        .into_iter()
                        .flatten()
                        .next()
                        .map(|value| value.into_owned()),
                    Err(error) => return said(error.to_string()),
                }
            };
            keyed.push((found, item));
        }
        if !keyed.is_empty() && keyed.iter().all(|(key, _)| key.is_none()) {
            return said(format!(
                "couldn't find any field with path {} in the list of objects",
                crate::words::quote(&self.text)
            ));
        }
        keyed.sort_by(|(a, _), (b, _)| order(a.as_ref(), b.as_ref()));
        items.extend(keyed.into_iter().map(|(_, item)| item));
        Ok(())
    }
}

fn order(a: Option<&Value>, b: Option<&Value>) -> Ordering {
    match (a, b) {
        (None, None) => Ordering::Equal,
        (None, Some(_)) => Ordering::Less,
        (Some(_), None) => Ordering::Greater,
        (Some(Value::String(a)), Some(Value::String(b))) => {
            match (a.parse::<Quantity>(), b.parse::<Quantity>()) {
                (Ok(a), Ok(b)) => a.as_f64().total_cmp(&b.as_f64()),
                _ => natural(a, b),
            }
        }
        (Some(Value::Number(a)), Some(Value::Number(b))) => a.as_f64().total_cmp(&b.as_f64()),
        (Some(Value::Bool(a)), Some(Value::Bool(b))) => a.cmp(b),
        (Some(a), Some(b)) => a.to_json().cmp(&b.to_json()),
    }
}

/// Runs of digits compare as numbers.
fn natural(a: &str, b: &str) -> Ordering {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let (mut i, mut j) = (0, 0);
    while i < a.len() && j < b.len() {
        if a[i].is_ascii_digit() && b[j].is_ascii_digit() {
            let run = |text: &[u8], at: usize| {
                let end = text[at..].iter().position(|c| !c.is_ascii_digit());
                end.map_or(text.len(), |end| at + end)
            };
            let (x, y) = (run(a, i), run(b, j));
            let strip = |digits: &[u8]| {
                let zeros = digits.iter().take_while(|d| **d == b'0').count();
                digits[zeros..].to_vec()
            };
            let (left, right) = (strip(&a[i..x]), strip(&b[j..y]));
            let by_value = left.len().cmp(&right.len()).then(left.cmp(&right));
            if by_value != Ordering::Equal {
                return by_value;
            }
            (i, j) = (x, y);
        } else if a[i] != b[j] {
            return a[i].cmp(&b[j]);
        } else {
            (i, j) = (i + 1, j + 1);
        }
    }
    (a.len() - i).cmp(&(b.len() - j))
}

#[cfg(test)]
mod tests {
    use super::*;
    use meta::value;

    #[test]
    fn names_numbers_and_quantities_are_ordered() {
        let mut items = vec![
            value!({"n": "web-10", "c": 3, "q": "1Gi"}),
            value!({"n": "web-9", "q": "500Mi"}),
        ];
        let names = |items: &[Value]| -> Vec<String> {
            items.iter().map(|i| i.str_at(&["n"]).to_string()).collect()
        };
        for path in [".n", "{.q}", "c"] {
            Sorter::new(path)
                .and_then(|s| s.sort(&mut items, &[]))
                .expect(path);
            assert_eq!(names(&items), ["web-9", "web-10"], "{path}");
        }
        let error = Sorter::new(".x").and_then(|s| s.sort(&mut items, &[]));
        assert!(error.is_err_and(|e| e.to_string().contains("{.x}")));
    }
}
