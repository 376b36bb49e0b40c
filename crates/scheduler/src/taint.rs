//! Taints and tolerations.
//!
//! Follows k8s.io/api/core/v1/toleration.go and
//! k8s.io/component-helpers/scheduling/corev1/helpers.go.

use typed::api::core::v1 as core;

/// The taint that stands for `spec.unschedulable`.
pub const UNSCHEDULABLE: &str = "node.kubernetes.io/unschedulable";

/// What a taint does to pods that do not tolerate it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Effect {
    /// They are not placed.
    NoSchedule,
    /// They are rather placed elsewhere.
    PreferNoSchedule,
    /// They are not placed, and evicted.
    NoExecute,
}

/// A mark on a node that repels pods.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Taint {
    pub(crate) key: Box<str>,
    pub(crate) value: Box<str>,
    pub(crate) effect: Effect,
}

/// A pod's leave to ignore taints.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Toleration {
    /// Empty: all keys.
    key: Box<str>,
    operator: Operator,
    value: Box<str>,
    /// None: all effects.
    effect: Option<Effect>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Operator {
    Equal,
    Exists,
    Lt,
    Gt,
    /// None that exists; tolerates nothing.
    Unknown,
}

impl Effect {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "NoSchedule" => Some(Self::NoSchedule),
            "PreferNoSchedule" => Some(Self::PreferNoSchedule),
            "NoExecute" => Some(Self::NoExecute),
            _ => None,
        }
    }

    /// Whether this keeps pods away rather than merely preferring to.
    pub fn is_hard(self) -> bool {
        self != Self::PreferNoSchedule
    }
}

impl Taint {
    /// Converts; a taint of an unknown effect has none.
    pub fn new(taint: &core::Taint) -> Option<Self> {
        Some(Self {
            key: taint.key.as_str().into(),
            value: taint.value.as_deref().unwrap_or_default().into(),
            effect: Effect::parse(&taint.effect)?,
        })
    }

    /// The taint that `spec.unschedulable` amounts to.
    pub fn unschedulable() -> Self {
        Self {
            key: UNSCHEDULABLE.into(),
            value: "".into(),
            effect: Effect::NoSchedule,
        }
    }
}

impl Toleration {
    /// Converts; a toleration of an unknown effect tolerates nothing.
    pub fn new(toleration: &core::Toleration) -> Self {
        let effect = toleration.effect.as_deref().unwrap_or_default();
        let known = Effect::parse(effect);
        let mut operator = match toleration.operator.as_deref().unwrap_or_default() {
            "" | "Equal" => Operator::Equal,
            "Exists" => Operator::Exists,
            "Lt" => Operator::Lt,
            "Gt" => Operator::Gt,
            _ => Operator::Unknown,
        };
        if !effect.is_empty() && known.is_none() {
            operator = Operator::Unknown;
        }
        Self {
            key: toleration.key.as_deref().unwrap_or_default().into(),
            operator,
            value: toleration.value.as_deref().unwrap_or_default().into(),
            effect: known,
        }
    }

    /// Whether this tolerates the taint.
    pub fn tolerates(&self, taint: &Taint) -> bool {
        if self.effect.is_some_and(|effect| effect != taint.effect) {
            return false;
        }
        if !self.key.is_empty() && self.key != taint.key {
            return false;
        }
        match self.operator {
            Operator::Equal => self.value == taint.value,
            Operator::Exists => true,
            Operator::Lt => self.compare(taint, |taint, ours| taint < ours),
            Operator::Gt => self.compare(taint, |taint, ours| taint > ours),
            Operator::Unknown => false,
        }
    }

    fn compare(&self, taint: &Taint, holds: impl Fn(i64, i64) -> bool) -> bool {
        match (taint.value.parse(), self.value.parse()) {
            (Ok(taint), Ok(ours)) => holds(taint, ours),
            _ => false,
        }
    }
}

/// Whether any of the tolerations tolerates the taint.
pub fn tolerated(tolerations: &[Toleration], taint: &Taint) -> bool {
    tolerations.iter().any(|t| t.tolerates(taint))
}

/// Whether all taints that keep pods away are tolerated.
pub fn hard_taints_tolerated(tolerations: &[Toleration], taints: &[Taint]) -> bool {
    let mut hard = taints.iter().filter(|taint| taint.effect.is_hard());
    hard.all(|taint| tolerated(tolerations, taint))
}

/// How many taints that merely deter are not tolerated.
pub fn soft_taints_untolerated(tolerations: &[Toleration], taints: &[Taint]) -> i64 {
    let soft = taints.iter().filter(|taint| !taint.effect.is_hard());
    soft.filter(|taint| !tolerated(tolerations, taint)).count() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taint(key: &str, value: &str, effect: &str) -> Taint {
        Taint::new(&core::Taint {
            key: key.into(),
            value: Some(value.into()),
            effect: effect.into(),
            ..Default::default()
        })
        .unwrap()
    }

    fn toleration(key: &str, operator: &str, value: &str, effect: &str) -> Toleration {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Toleration::new(&core::Toleration {
            key: some(key),
            operator: some(operator),
            value: some(value),
            effect: some(effect),
            toleration_seconds: None,
        })
    }

    #[test]
    fn tolerations() {
        for (key, operator, value, effect, want) in [
            ("foo", "Equal", "bar", "NoSchedule", true),
            ("foo", "", "bar", "", true),
            ("foo", "Exists", "", "NoSchedule", true),
            ("", "Exists", "", "", true),
            ("foo", "Equal", "baz", "NoSchedule", false),
            ("fox", "Exists", "", "", false),
            ("foo", "Exists", "", "NoExecute", false),
            ("foo", "Exists", "", "Nonsense", false),
            ("foo", "Like", "bar", "", false),
        ] {
            let toleration = toleration(key, operator, value, effect);
            let got = toleration.tolerates(&taint("foo", "bar", "NoSchedule"));
            assert_eq!(got, want, "{toleration:?}");
        }
    }

    #[test]
    fn numbers_are_compared() {
        let level = taint("sla", "950", "NoSchedule");
        assert!(toleration("sla", "Gt", "900", "").tolerates(&level));
        assert!(!toleration("sla", "Lt", "900", "").tolerates(&level));
        assert!(!toleration("sla", "Gt", "many", "").tolerates(&level));
    }
}
