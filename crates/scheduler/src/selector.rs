//! Label selectors, compiled once when their pod arrives.

use std::fmt;

use typed::meta::LabelSelector;

use crate::labels::{Labels, pair_hash};

/// A conjunction of requirements, or nothing at all.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Selector {
    /// Matches no labels: an absent selector.
    Nothing,
    /// Matches labels that meet all requirements; none means everything.
    All(Box<[Requirement]>),
}

/// One condition on one label.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Requirement {
    key: Box<str>,
    operator: Operator,
    values: Box<[Box<str>]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Operator {
    In,
    NotIn,
    Exists,
    DoesNotExist,
}

/// Why a selector cannot be compiled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectorError {
    /// The operator is none that exists.
    #[error("{0:?} is not a valid label selector operator")]
    Operator(String),
}

impl Selector {
    /// The selector that matches everything.
    pub fn everything() -> Self {
        Self::All(Box::new([]))
    }

    /// Compiles a selector; an absent one matches nothing, an empty one
    /// everything.
    pub fn compile(selector: Option<&LabelSelector>) -> Result<Self, SelectorError> {
        let Some(selector) = selector else {
            return Ok(Self::Nothing);
        };
        let mut requirements: Vec<Requirement> = selector
            .match_labels
            .iter()
            .flatten()
            .map(|(key, value)| Requirement::equals(key, value))
            .collect();
        for expression in selector.match_expressions.iter().flatten() {
            let operator = match expression.operator.as_str() {
                "In" => Operator::In,
                "NotIn" => Operator::NotIn,
                "Exists" => Operator::Exists,
                "DoesNotExist" => Operator::DoesNotExist,
                other => return Err(SelectorError::Operator(other.to_owned())),
            };
            let values = expression.values.iter().flatten();
            requirements.push(Requirement::new(
                &expression.key,
                operator,
                values.map(String::as_str),
            ));
        }
        Ok(Self::from_requirements(requirements))
    }

    /// The selector of a plain map, as Services have it.
    pub fn from_pairs<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        Self::from_requirements(
            pairs
                .map(|(key, value)| Requirement::equals(key, value))
                .collect(),
        )
    }

    /// This selector and the requirement that `key` has (or, with `wanted`
    /// false, has not) the value.
    pub fn and(self, key: &str, value: &str, wanted: bool) -> Self {
        let Self::All(requirements) = self else {
            return self;
        };
        let operator = if wanted {
            Operator::In
        } else {
            Operator::NotIn
        };
        let mut requirements = requirements.into_vec();
        requirements.push(Requirement::new(key, operator, [value].into_iter()));
        Self::from_requirements(requirements)
    }

    /// Both selectors at once.
    pub fn merge(self, other: &Self) -> Self {
        match (self, other) {
            (Self::All(ours), Self::All(theirs)) => {
                let mut all = ours.into_vec();
                all.extend(theirs.iter().cloned());
                Self::from_requirements(all)
            }
            _ => Self::Nothing,
        }
    }

    /// Whether the labels match.
    pub fn matches(&self, labels: &Labels) -> bool {
        match self {
            Self::Nothing => false,
            Self::All(requirements) => requirements.iter().all(|r| r.matches(labels)),
        }
    }

    /// Whether this matches whatever labels come.
    pub fn is_everything(&self) -> bool {
        matches!(self, Self::All(requirements) if requirements.is_empty())
    }

    /// The hash of a pair that matching labels must have, if there is one.
    pub fn required_pair(&self) -> Option<u64> {
        let Self::All(requirements) = self else {
            return None;
        };
        requirements.iter().find_map(|r| match &*r.values {
            [value] if r.operator == Operator::In => Some(pair_hash(&r.key, value)),
            _ => None,
        })
    }

    fn from_requirements(mut requirements: Vec<Requirement>) -> Self {
        requirements.sort_unstable();
        requirements.dedup();
        Self::All(requirements.into_boxed_slice())
    }
}

impl Requirement {
    fn new<'a>(key: &str, operator: Operator, values: impl Iterator<Item = &'a str>) -> Self {
        let mut values: Vec<Box<str>> = values.map(Into::into).collect();
        values.sort_unstable();
        values.dedup();
        Self {
            key: key.into(),
            operator,
            values: values.into_boxed_slice(),
        }
    }

    fn equals(key: &str, value: &str) -> Self {
        Self::new(key, Operator::In, [value].into_iter())
    }

    fn matches(&self, labels: &Labels) -> bool {
        let value = labels.get(&self.key);
        let listed = || value.is_some_and(|value| self.values.iter().any(|have| **have == *value));
        match self.operator {
            Operator::In => listed(),
            Operator::NotIn => !listed(),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
        }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("<none>"),
            Self::All(requirements) => {
                for (at, requirement) in requirements.iter().enumerate() {
                    if at > 0 {
                        f.write_str(",")?;
                    }
                    requirement.fmt(f)?;
                }
                Ok(())
            }
        }
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = &self.key;
        match self.operator {
            Operator::In => write!(f, "{key} in ({})", self.values.join(",")),
            Operator::NotIn => write!(f, "{key} notin ({})", self.values.join(",")),
            Operator::Exists => write!(f, "{key}"),
            Operator::DoesNotExist => write!(f, "!{key}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use typed::meta::LabelSelectorRequirement;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        let map = pairs.iter().map(|(k, v)| (k.to_string(), v.to_string()));
        Labels::from_map(Some(&map.collect()))
    }

    fn expression(key: &str, operator: &str, values: &[&str]) -> LabelSelector {
        LabelSelector {
            match_labels: None,
            match_expressions: Some(vec![LabelSelectorRequirement {
                key: key.into(),
                operator: operator.into(),
                values: Some(values.iter().map(ToString::to_string).collect()),
            }]),
        }
    }

    #[test]
    fn operators() {
        let have = labels(&[("app", "web"), ("tier", "front")]);
        for (key, operator, values, want) in [
            ("app", "In", &["db", "web"][..], true),
            ("app", "In", &["db"], false),
            ("app", "NotIn", &["web"], false),
            ("zone", "NotIn", &["a"], true),
            ("tier", "Exists", &[], true),
            ("tier", "DoesNotExist", &[], false),
            ("zone", "DoesNotExist", &[], true),
        ] {
            let selector = Selector::compile(Some(&expression(key, operator, values))).unwrap();
            assert_eq!(selector.matches(&have), want, "{selector}");
        }
        assert!(Selector::compile(Some(&expression("a", "Like", &[]))).is_err());
        assert!(!Selector::compile(None).unwrap().matches(&have));
        assert!(Selector::everything().matches(&have));
    }

    #[test]
    fn the_required_pair_is_one_that_matching_labels_have() {
        let have = labels(&[("app", "web"), ("tier", "front")]);
        let selector = Selector::everything()
            .and("tier", "back", false)
            .and("app", "web", true);
        assert!(selector.matches(&have));
        let pair = selector.required_pair().unwrap();
        assert!(have.hashes().contains(&pair));
        assert_eq!(selector.to_string(), "app in (web),tier notin (back)");
    }
}
