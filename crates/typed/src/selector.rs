//! Label selectors of the typed API, evaluated.

use crate::meta::{LabelSelector, LabelSelectorRequirement};
use crate::object::Labels;

/// A selector that can never be evaluated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectorError {
    /// The operator is none of In, NotIn, Exists and DoesNotExist.
    #[error("{0:?} is not a valid label selector operator")]
    Operator(String),
    /// The number of values does not fit the operator.
    #[error("label selector operator {operator} on {key} has {count} values")]
    Values {
        /// The operator.
        operator: String,
        /// The label's key.
        key: String,
        /// How many values there are.
        count: usize,
    },
}

/// Whether the labels satisfy the selector. An empty selector matches everything, and one that is
/// not valid (see [`validate_selector`]) matches nothing.
pub fn selector_matches(selector: &LabelSelector, labels: &Labels) -> bool {
    let equalities = selector
        .match_labels
        .as_ref()
        .is_none_or(|wanted| set_matches(wanted, labels));
    equalities
        && selector
            .match_expressions
            .iter()
            .flatten()
            .all(|requirement| requirement_matches(requirement, labels))
}

/// Whether the labels contain all the wanted ones.
pub fn set_matches(wanted: &Labels, labels: &Labels) -> bool {
    wanted
        .iter()
        .all(|(key, value)| labels.get(key) == Some(value))
}

/// Refuses selectors that cannot be evaluated.
pub fn validate_selector(selector: &LabelSelector) -> Result<(), SelectorError> {
    selector
        .match_expressions
        .iter()
        .flatten()
        .try_for_each(validate_requirement)
}

/// The selector as it is written in a query: `a=b,c in (d,e),!f`.
pub fn selector_string(selector: &LabelSelector) -> String {
    let equalities = selector
        .match_labels
        .iter()
        .flatten()
        .map(|(key, value)| format!("{key}={value}"));
    let requirements = selector
        .match_expressions
        .iter()
        .flatten()
        .map(requirement_string);
    equalities.chain(requirements).collect::<Vec<_>>().join(",")
}

fn requirement_matches(requirement: &LabelSelectorRequirement, labels: &Labels) -> bool {
    let value = labels.get(&requirement.key);
    let listed = || {
        value.is_some_and(|value| {
            requirement
                .values
                .iter()
                .flatten()
                .any(|wanted| wanted == value)
        })
    };
    match requirement.operator.as_str() {
        "In" => listed(),
        "NotIn" => !listed(),
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        _ => false,
    }
}

fn validate_requirement(requirement: &LabelSelectorRequirement) -> Result<(), SelectorError> {
    let count = requirement.values.iter().flatten().count();
    let fits = match requirement.operator.as_str() {
        "In" | "NotIn" => count > 0,
        "Exists" | "DoesNotExist" => count == 0,
        other => return Err(SelectorError::Operator(other.to_owned())),
    };
    if fits {
        return Ok(());
    }
    Err(SelectorError::Values {
        operator: requirement.operator.clone(),
        key: requirement.key.clone(),
        count,
    })
}

fn requirement_string(requirement: &LabelSelectorRequirement) -> String {
    let key = &requirement.key;
    let mut values: Vec<&str> = requirement
        .values
        .iter()
        .flatten()
        .map(String::as_str)
        .collect();
    values.sort_unstable();
    let values = values.join(",");
    match requirement.operator.as_str() {
        "In" => format!("{key} in ({values})"),
        "NotIn" => format!("{key} notin ({values})"),
        "Exists" => key.clone(),
        _ => format!("!{key}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs
            .iter()
            .map(|(key, value)| (key.to_string(), value.to_string()))
            .collect()
    }

    fn expression(key: &str, operator: &str, values: &[&str]) -> LabelSelector {
        let values = values.iter().map(ToString::to_string).collect();
        LabelSelector {
            match_labels: None,
            match_expressions: Some(vec![LabelSelectorRequirement {
                key: key.into(),
                operator: operator.into(),
                values: Some(values),
            }]),
        }
    }

    #[test]
    fn operators() {
        let have = labels(&[("app", "web"), ("tier", "front")]);
        for (selector, want, text) in [
            (
                expression("app", "In", &["web", "db"]),
                true,
                "app in (db,web)",
            ),
            (
                expression("app", "NotIn", &["web"]),
                false,
                "app notin (web)",
            ),
            (expression("zone", "NotIn", &["a"]), true, "zone notin (a)"),
            (expression("tier", "Exists", &[]), true, "tier"),
            (expression("tier", "DoesNotExist", &[]), false, "!tier"),
            (expression("tier", "Like", &[]), false, "!tier"),
        ] {
            assert_eq!(selector_matches(&selector, &have), want, "{selector:?}");
            assert_eq!(selector_string(&selector), text);
        }
        assert!(selector_matches(&LabelSelector::default(), &have));
    }

    #[test]
    fn impossible_selectors_are_refused() {
        assert!(validate_selector(&expression("a", "In", &["b"])).is_ok());
        assert!(validate_selector(&expression("a", "In", &[])).is_err());
        assert!(validate_selector(&expression("a", "Exists", &["b"])).is_err());
        assert_eq!(
            validate_selector(&expression("a", "Like", &[])),
            Err(SelectorError::Operator("Like".into()))
        );
    }
}
