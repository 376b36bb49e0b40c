//! Selectors: which objects a list, a watch or an owner means. The string
//! grammar follows apimachinery pkg/labels/selector.go and pkg/fields/selector.go.

use crate::field::{Errors, Field, quote};
use crate::names;
use crate::{Str, Value};
use std::fmt;

/// A conjunction of requirements on labels. Empty selects everything.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LabelSelector {
    requirements: Vec<Requirement>,
    nothing: bool,
}

/// One requirement on one label.
#[derive(Clone, Debug, PartialEq)]
pub struct Requirement {
    /// The label's key.
    pub key: Str,
    /// What of it.
    pub operator: Operator,
    /// The values the operator speaks of.
    pub values: Vec<Str>,
}

/// What is required of a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// Its value is this.
    Equals,
    /// It has not this value, or is absent.
    NotEquals,
    /// Its value is one of these.
    In,
    /// It has none of these values, or is absent.
    NotIn,
    /// It is there.
    Exists,
    /// It is absent.
    DoesNotExist,
    /// Its value is an integer greater than this.
    GreaterThan,
    /// Its value is an integer less than this.
    LessThan,
}

impl Requirement {
    fn matches(&self, value: Option<&str>) -> bool {
        let among = |v: &str| self.values.iter().any(|w| w == v);
        match self.operator {
            Operator::Equals | Operator::In => value.is_some_and(among),
            Operator::NotEquals | Operator::NotIn => !value.is_some_and(among),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
            Operator::GreaterThan | Operator::LessThan => self.compares(value),
        }
    }

    fn compares(&self, value: Option<&str>) -> bool {
        let have = value.and_then(|v| v.parse::<i64>().ok());
        let want = self.values.first().and_then(|v| v.parse::<i64>().ok());
        match (have, want, self.operator) {
            (Some(have), Some(want), Operator::GreaterThan) => have > want,
            (Some(have), Some(want), _) => have < want,
            _ => false,
        }
    }
}

impl LabelSelector {
    /// Selects every object.
    pub fn everything() -> Self {
        LabelSelector::default()
    }

    /// Selects no object.
    pub fn nothing() -> Self {
        LabelSelector {
            requirements: Vec::new(),
            nothing: true,
        }
    }

    /// Whether every object is selected.
    pub fn is_everything(&self) -> bool {
        self.requirements.is_empty() && !self.nothing
    }

    /// From its requirements, all of which must hold.
    pub fn from_requirements(requirements: Vec<Requirement>) -> Self {
        LabelSelector {
            requirements,
            nothing: false,
        }
    }

    /// What is required.
    pub fn requirements(&self) -> &[Requirement] {
        &self.requirements
    }

    /// Whether an object with these labels is selected.
    pub fn matches<'a>(&self, label: impl Fn(&str) -> Option<&'a str>) -> bool {
        !self.nothing && self.requirements.iter().all(|r| r.matches(label(&r.key)))
    }

    /// Whether an object with this `metadata.labels` is selected.
    pub fn matches_value(&self, labels: Option<&Value>) -> bool {
        self.matches(|key| labels?.get(key)?.as_str())
    }

    /// Every label must have exactly this value (`spec.selector` of a Service).
    pub fn from_map(labels: &Value) -> Self {
        let entries = labels.as_object().into_iter().flat_map(|m| m.iter());
        let requirements = entries
            .map(|(key, value)| Requirement {
                key: key.clone(),
                operator: Operator::Equals,
                values: vec![value.as_str().unwrap_or_default().into()],
            })
            .collect();
        LabelSelector {
            requirements,
            nothing: false,
        }
    }

    /// From a `metav1.LabelSelector`: absent selects nothing, empty everything.
    pub fn from_object(selector: Option<&Value>) -> Self {
        let Some(selector) = selector.filter(|s| !s.is_null()) else {
            return LabelSelector::nothing();
        };
        let mut out = selector
            .get("matchLabels")
            .map(LabelSelector::from_map)
            .unwrap_or_default();
        for expression in selector.items_at(&["matchExpressions"]) {
            let operator = match expression.str_at(&["operator"]) {
                "In" => Operator::In,
                "NotIn" => Operator::NotIn,
                "Exists" => Operator::Exists,
                "DoesNotExist" => Operator::DoesNotExist,
                _ => return LabelSelector::nothing(),
            };
            out.requirements.push(Requirement {
                key: expression.str_at(&["key"]).into(),
                operator,
                values: expression
                    .items_at(&["values"])
                    .iter()
                    .filter_map(Value::as_str)
                    .map(Str::from)
                    .collect(),
            });
        }
        // Upstream's selectors keep their requirements by key, which shows when they are written.
        out.requirements.sort_by(|a, b| a.key.cmp(&b.key));
        out
    }

    /// Reads the string form: `a=b,c!=d,e in (f,g),!h,i,j>1`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parser = Parser {
            tokens: lex(text),
            at: 0,
        };
        let mut requirements = parser.requirements()?;
        requirements.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(LabelSelector {
            requirements,
            nothing: false,
        })
    }
}

impl fmt::Display for LabelSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, r) in self.requirements.iter().enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            let values = r.values.join(",");
            match r.operator {
                Operator::Equals => write!(f, "{}={values}", r.key)?,
                Operator::NotEquals => write!(f, "{}!={values}", r.key)?,
                Operator::In => write!(f, "{} in ({values})", r.key)?,
                Operator::NotIn => write!(f, "{} notin ({values})", r.key)?,
                Operator::Exists => write!(f, "{}", r.key)?,
                Operator::DoesNotExist => write!(f, "!{}", r.key)?,
                Operator::GreaterThan => write!(f, "{}>{values}", r.key)?,
                Operator::LessThan => write!(f, "{}<{values}", r.key)?,
            }
        }
        Ok(())
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Sign(&'static str),
}

fn lex(text: &str) -> Vec<Token> {
    const SIGNS: [&str; 9] = ["==", "!=", "=", "!", ",", "(", ")", ">", "<"];
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        if let Some(sign) = SIGNS.iter().find(|s| rest.starts_with(**s)) {
            tokens.push(Token::Sign(sign));
            rest = &rest[sign.len()..];
        } else {
            let end = rest
                .find(|c: char| c.is_whitespace() || "=!,()><".contains(c))
                .unwrap_or(rest.len());
            tokens.push(Token::Word(rest[..end].into()));
            rest = &rest[end..];
        }
        rest = rest.trim_start();
    }
    tokens
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn next(&mut self) -> Option<Token> {
        self.at += 1;
        self.tokens.get(self.at - 1).cloned()
    }

    fn take(&mut self, sign: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Sign(s)) if *s == sign);
        self.at += usize::from(found);
        found
    }

    fn requirements(&mut self) -> Result<Vec<Requirement>, String> {
        let mut out = Vec::new();
        while self.peek().is_some() {
            out.push(self.requirement()?);
            if self.peek().is_none() {
                break;
            }
            if !self.take(",") {
                return Err(format!(
                    "found '{}', expected: ',' or 'end of string'",
                    self.shown()
                ));
            }
            if self.peek().is_none() {
                return Err("found '', expected: identifier after ','".into());
            }
        }
        Ok(out)
    }

    fn shown(&self) -> String {
        match self.peek() {
            Some(Token::Word(w)) => w.clone(),
            Some(Token::Sign(s)) => (*s).into(),
            None => String::new(),
        }
    }

    fn requirement(&mut self) -> Result<Requirement, String> {
        let absent = self.take("!");
        let key = match self.next() {
            Some(Token::Word(word)) => word,
            Some(Token::Sign(sign)) => {
                return Err(format!(
                    "found '{sign}', expected: !, identifier, or 'end of string'"
                ));
            }
            None => return Err("found '', expected: !, identifier, or 'end of string'".into()),
        };
        check_key(&key)?;
        if absent {
            return Ok(Requirement {
                key: key.into(),
                operator: Operator::DoesNotExist,
                values: Vec::new(),
            });
        }
        let (operator, values) = self.operator_and_values(&key)?;
        Ok(Requirement {
            key: key.into(),
            operator,
            values,
        })
    }

    fn operator_and_values(&mut self, key: &str) -> Result<(Operator, Vec<Str>), String> {
        match self.peek().cloned() {
            None | Some(Token::Sign(",")) => Ok((Operator::Exists, Vec::new())),
            Some(Token::Sign(sign @ ("=" | "==" | "!="))) => {
                self.at += 1;
                let value = self.word();
                check_value(key, &value)?;
                let operator = if sign == "!=" {
                    Operator::NotEquals
                } else {
                    Operator::Equals
                };
                Ok((operator, vec![value.into()]))
            }
            Some(Token::Sign(sign @ (">" | "<"))) => {
                self.at += 1;
                let value = self.word();
                if value.parse::<i64>().is_err() {
                    return Err("for 'Gt', 'Lt' operators, the value must be an integer".into());
                }
                let operator = if sign == ">" {
                    Operator::GreaterThan
                } else {
                    Operator::LessThan
                };
                Ok((operator, vec![value.into()]))
            }
            Some(Token::Word(word)) if word == "in" || word == "notin" => {
                self.at += 1;
                let operator = if word == "in" {
                    Operator::In
                } else {
                    Operator::NotIn
                };
                Ok((operator, self.value_list(key)?))
            }
            Some(_) => Err(format!(
                "found '{}', expected: in, notin, =, ==, !=, gt, lt",
                self.shown()
            )),
        }
    }

    /// A value, empty when none is written.
    fn word(&mut self) -> String {
        match self.peek().cloned() {
            Some(Token::Word(word)) => {
                self.at += 1;
                word
            }
            _ => String::new(),
        }
    }

    fn value_list(&mut self, key: &str) -> Result<Vec<Str>, String> {
        if !self.take("(") {
            return Err(format!("found '{}' expected: '('", self.shown()));
        }
        let mut values = Vec::new();
        loop {
            let value = self.word();
            check_value(key, &value)?;
            values.push(Str::from(value));
            if self.take(")") {
                break;
            }
            if !self.take(",") {
                return Err(format!(
                    "found '{}', expected: ',', ')' or identifier",
                    self.shown()
                ));
            }
        }
        values.sort();
        values.dedup();
        Ok(values)
    }
}

fn check_key(key: &str) -> Result<(), String> {
    let complaints = names::qualified_name(key);
    match complaints.is_empty() {
        true => Ok(()),
        false => Err(format!(
            "key: Invalid value: {}: {}",
            quote(key),
            complaints.join("; ")
        )),
    }
}

fn check_value(key: &str, value: &str) -> Result<(), String> {
    let complaints = names::label_value(value);
    match complaints.is_empty() {
        true => Ok(()),
        false => Err(format!(
            "values[0][{key}]: Invalid value: {}: {}",
            quote(value),
            complaints.join("; ")
        )),
    }
}

/// Validates a `metav1.LabelSelector` object
/// (apimachinery pkg/apis/meta/v1/validation/validation.go).
pub fn validate(selector: &Field<'_>, errors: &mut Errors) {
    validate_tolerating(selector, false, errors);
}

/// The same, where expressions may have any values, as older servers took them.
pub fn validate_tolerating(selector: &Field<'_>, any_value: bool, errors: &mut Errors) {
    for (key, value) in selector.get("matchLabels").entries() {
        let labels = selector.get("matchLabels");
        for detail in names::qualified_name(key) {
            errors.push(crate::FieldError::invalid(&labels.path, key, detail));
        }
        for detail in names::label_value(value.str()) {
            errors.push(crate::FieldError::invalid(
                &labels.path,
                value.str(),
                detail,
            ));
        }
    }
    for expression in selector.get("matchExpressions").items() {
        validate_expression(&expression, any_value, errors);
    }
}

fn validate_expression(expression: &Field<'_>, any_value: bool, errors: &mut Errors) {
    let values = expression.get("values");
    match expression.get("operator").str() {
        "In" | "NotIn" => {
            if values.is_empty() {
                errors
                    .push(values.required("must be specified when `operator` is 'In' or 'NotIn'"));
            }
        }
        "Exists" | "DoesNotExist" => {
            if !values.is_empty() {
                errors.push(values.forbidden(
                    "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
                ));
            }
        }
        _ => errors.push(
            expression
                .get("operator")
                .invalid("not a valid selector operator"),
        ),
    }
    let key = expression.get("key");
    errors.invalid_each(&key, names::qualified_name(key.str()));
    for value in values.items().filter(|_| !any_value) {
        errors.invalid_each(&value, names::label_value(value.str()));
    }
}

/// A conjunction of `field=value` and `field!=value`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FieldSelector {
    /// Field, value, and whether they must be equal.
    pub terms: Vec<(Str, Str, bool)>,
}

impl FieldSelector {
    /// Reads `metadata.name=a,spec.nodeName!=b`; `\,`, `\=` and `\\` are escapes.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut terms = Vec::new();
        for term in split_unescaped(text) {
            if term.is_empty() {
                continue;
            }
            let (field, value, equal) = split_term(&term)
                .ok_or_else(|| format!("invalid selector: '{text}'; can't understand '{term}'"))?;
            terms.push((field.into(), unescape(value)?.into(), equal));
        }
        Ok(FieldSelector { terms })
    }

    /// Whether every object is selected.
    pub fn is_everything(&self) -> bool {
        self.terms.is_empty()
    }

    /// Whether an object is selected whose fields have these values.
    pub fn matches<'a>(&self, field: impl Fn(&str) -> &'a str) -> bool {
        self.terms
            .iter()
            .all(|(name, value, equal)| (field(name) == value) == *equal)
    }

    /// The value that a field must equal, when the selector says so.
    pub fn required(&self, field: &str) -> Option<&str> {
        self.terms
            .iter()
            .find(|(name, _, equal)| *equal && name == field)
            .map(|(_, value, _)| value.as_str())
    }
}

fn split_unescaped(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut escaped = false;
    for c in text.chars() {
        if c == ',' && !escaped {
            parts.push(String::new());
            continue;
        }
        escaped = c == '\\' && !escaped;
        if let Some(part) = parts.last_mut() {
            part.push(c);
        }
    }
    parts
}

fn split_term(term: &str) -> Option<(&str, &str, bool)> {
    let at = term.find(['=', '!'])?;
    let (field, rest) = term.split_at(at);
    if let Some(value) = rest.strip_prefix("!=") {
        return Some((field, value, false));
    }
    let value = rest.strip_prefix("==").or_else(|| rest.strip_prefix('='))?;
    Some((field, value, true))
}

fn unescape(value: &str) -> Result<String, String> {
    let mut out = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some(c @ ('\\' | ',' | '=')) => out.push(c),
                _ => {
                    return Err(format!(
                        "invalid field selector: invalid escape sequence in value: {value}"
                    ));
                }
            },
            '=' | ',' => {
                return Err(format!(
                    "invalid field selector: unescaped character in value: {value}"
                ));
            }
            c => out.push(c),
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value;

    fn selects(selector: &str, labels: &Value) -> bool {
        LabelSelector::parse(selector)
            .expect("a selector")
            .matches_value(Some(labels))
    }

    #[test]
    fn what_is_among_one_value_is_not_written_as_equal_to_it() {
        for text in [
            "a=b",
            "a!=b",
            "a in (b)",
            "a notin (b)",
            "a in (b,c)",
            "a",
            "!a",
        ] {
            let selector = LabelSelector::parse(text).unwrap();
            assert_eq!(selector.to_string(), text);
        }
        let among = crate::value!({
            "matchLabels": {"x": "y"},
            "matchExpressions": [{"key": "a", "operator": "In", "values": ["b"]}],
        });
        let selector = LabelSelector::from_object(Some(&among));
        assert_eq!(selector.to_string(), "a in (b),x=y");
    }

    #[test]
    fn label_selectors_select() {
        let labels = value!({"app": "web", "tier": "front", "n": "5"});
        for (selector, expected) in [
            ("", true),
            ("app=web", true),
            ("app==web,tier=front", true),
            ("app!=web", false),
            ("app in (web, db)", true),
            ("app notin (web)", false),
            ("gone notin (web)", true),
            ("app", true),
            ("!app", false),
            ("!gone", true),
            ("n>4", true),
            ("n<5", false),
            ("app=", false),
        ] {
            assert_eq!(selects(selector, &labels), expected, "{selector}");
        }
    }

    #[test]
    fn rubbish_is_refused() {
        for selector in ["=", "a=b,", "a in b", "a in (b", "(", "a b", "a=b c"] {
            assert!(LabelSelector::parse(selector).is_err(), "{selector}");
        }
    }

    #[test]
    fn field_selectors_unescape() {
        let s = FieldSelector::parse(r"metadata.name=a\,b,spec.x!=c").expect("a selector");
        assert!(s.matches(|f| if f == "metadata.name" { "a,b" } else { "d" }));
        assert_eq!(s.required("metadata.name"), Some("a,b"));
        assert!(FieldSelector::parse("nonsense").is_err());
    }

    #[test]
    fn an_absent_selector_selects_nothing_and_an_empty_one_everything() {
        assert!(!LabelSelector::from_object(None).matches_value(None));
        assert!(LabelSelector::from_object(Some(&value!({}))).matches_value(None));
    }
}
