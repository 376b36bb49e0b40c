//! Node selectors: which nodes a pod may or would rather go to.
//!
//! Follows k8s.io/component-helpers/scheduling/corev1/nodeaffinity.

use std::collections::BTreeSet;

use typed::api::core::v1 as core;

use crate::node::NodeInfo;

/// What a pod requires of its node's labels and name: `spec.nodeSelector` and
/// required node affinity together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct NodeSelection {
    pairs: Box<[(Box<str>, Box<str>)]>,
    /// None: any node; otherwise one of the terms must match.
    terms: Option<Box<[NodeTerm]>>,
}

/// A conjunction of conditions on a node.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NodeTerm {
    expressions: Box<[NodeRequirement]>,
    fields: Box<[NodeRequirement]>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct NodeRequirement {
    key: Box<str>,
    operator: Operator,
    values: Box<[Box<str>]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Operator {
    In,
    NotIn,
    Exists,
    DoesNotExist,
    Gt,
    Lt,
    /// None that exists; matches nothing.
    Unknown,
}

impl NodeSelection {
    /// What a pod's spec requires; `None` if it requires nothing.
    pub fn of(spec: &core::PodSpec) -> Option<Self> {
        let pairs = spec.node_selector.iter().flatten();
        let pairs = pairs.map(|(key, value)| (key.as_str().into(), value.as_str().into()));
        let required = spec
            .affinity
            .as_ref()
            .and_then(|affinity| affinity.node_affinity.as_ref())
            .and_then(|node| {
                node.required_during_scheduling_ignored_during_execution
                    .as_ref()
            });
        let selection = Self {
            pairs: pairs.collect(),
            terms: required.map(|selector| {
                let terms = selector.node_selector_terms.iter();
                terms.filter_map(NodeTerm::new).collect()
            }),
        };
        (selection != Self::default()).then_some(selection)
    }

    /// Whether the node is one that the pod may go to.
    pub fn matches(&self, node: &NodeInfo) -> bool {
        let mut pairs = self.pairs.iter();
        pairs.all(|(key, value)| node.label(key) == Some(value))
            && self
                .terms
                .as_ref()
                .is_none_or(|terms| terms.iter().any(|term| term.matches(node)))
    }

    /// The only nodes that can match, by name, when every term names some.
    pub fn node_names(&self) -> Option<BTreeSet<&str>> {
        let terms = self.terms.as_deref().filter(|terms| !terms.is_empty())?;
        let mut names = BTreeSet::new();
        for term in terms {
            names.extend(term.node_names()?);
        }
        Some(names)
    }
}

impl NodeTerm {
    /// Compiles a term; one without conditions matches nothing and is `None`.
    pub fn new(term: &core::NodeSelectorTerm) -> Option<Self> {
        let compile = |list: &Option<Vec<core::NodeSelectorRequirement>>| {
            let list = list.iter().flatten();
            list.map(NodeRequirement::new).collect::<Box<[_]>>()
        };
        let term = Self {
            expressions: compile(&term.match_expressions),
            fields: compile(&term.match_fields),
        };
        (!term.expressions.is_empty() || !term.fields.is_empty()).then_some(term)
    }

    /// Whether the node meets all conditions.
    pub fn matches(&self, node: &NodeInfo) -> bool {
        let mut expressions = self.expressions.iter();
        let mut fields = self.fields.iter();
        expressions.all(|r| r.matches(node.label(&r.key)))
            && fields.all(|r| &*r.key == "metadata.name" && r.matches(Some(node.name())))
    }

    /// The nodes named by the term's fields: those that all of them name.
    fn node_names(&self) -> Option<BTreeSet<&str>> {
        let naming = self.fields.iter().filter(|r| r.names_nodes());
        let sets = naming.map(|r| r.values.iter().map(|v| &**v).collect::<BTreeSet<_>>());
        sets.reduce(|all, next| all.intersection(&next).copied().collect())
    }
}

impl NodeRequirement {
    fn new(requirement: &core::NodeSelectorRequirement) -> Self {
        let values = requirement.values.iter().flatten();
        Self {
            key: requirement.key.as_str().into(),
            operator: match requirement.operator.as_str() {
                "In" => Operator::In,
                "NotIn" => Operator::NotIn,
                "Exists" => Operator::Exists,
                "DoesNotExist" => Operator::DoesNotExist,
                "Gt" => Operator::Gt,
                "Lt" => Operator::Lt,
                _ => Operator::Unknown,
            },
            values: values.map(|value| value.as_str().into()).collect(),
        }
    }

    fn names_nodes(&self) -> bool {
        self.operator == Operator::In && &*self.key == "metadata.name"
    }

    fn matches(&self, value: Option<&str>) -> bool {
        let listed = || value.is_some_and(|value| self.values.iter().any(|have| **have == *value));
        match self.operator {
            Operator::In => listed(),
            Operator::NotIn => !listed(),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
            Operator::Gt => self.compares(value, |have, bound| have > bound),
            Operator::Lt => self.compares(value, |have, bound| have < bound),
            Operator::Unknown => false,
        }
    }

    fn compares(&self, value: Option<&str>, holds: impl Fn(i64, i64) -> bool) -> bool {
        let [bound] = &*self.values else {
            return false;
        };
        match (value.and_then(|value| value.parse().ok()), bound.parse()) {
            (Some(have), Ok(bound)) => holds(have, bound),
            _ => false,
        }
    }
}
