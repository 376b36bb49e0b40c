//! `create poddisruptionbudget`, `priorityclass` and `quota`.

use super::Common;
use crate::error::{Result, said};
use meta::{LabelSelector, Value, value};

/// The arguments of `create poddisruptionbudget`.
#[derive(clap::Args, Debug)]
pub(super) struct BudgetArgs {
    name: String,
    /// A label selector to use for this budget.
    #[arg(long)]
    selector: String,
    /// The minimum number or percentage of available pods this budget requires.
    #[arg(long)]
    min_available: Option<String>,
    /// The maximum number or percentage of unavailable pods this budget requires.
    #[arg(long)]
    max_unavailable: Option<String>,
    #[command(flatten)]
    pub(super) common: Common,
}

/// The arguments of `create priorityclass`.
#[derive(clap::Args, Debug)]
pub(super) struct PriorityArgs {
    name: String,
    /// The value of this priority class.
    #[arg(long, default_value_t = 0)]
    value: i64,
    /// Whether this is the default for pods without a class.
    #[arg(long)]
    global_default: bool,
    /// When this priority class should be used.
    #[arg(long, default_value = "")]
    description: String,
    /// The policy for preempting pods with lower priority.
    #[arg(long, default_value = "PreemptLowerPriority")]
    preemption_policy: String,
    #[command(flatten)]
    pub(super) common: Common,
}

/// The arguments of `create quota`.
#[derive(clap::Args, Debug)]
pub(super) struct QuotaArgs {
    name: String,
    /// A comma-delimited set of resource=quantity pairs that define a hard limit.
    #[arg(long, default_value = "")]
    hard: String,
    /// A comma-delimited set of quota scopes that must all match each object.
    #[arg(long, value_delimiter = ',')]
    scopes: Vec<String>,
    #[command(flatten)]
    pub(super) common: Common,
}

impl BudgetArgs {
    pub(super) fn object(&self) -> Result<Value> {
        LabelSelector::parse(&self.selector).or_else(said)?;
        let mut labels = value!({});
        for pair in self.selector.split(',') {
            match pair.split_once('=') {
                Some((key, value)) => {
                    labels.set_at(&[key.trim()], value.trim_start_matches('=').trim())
                }
                None => return said(format!("selector {pair} is not supported; use key=value")),
            }
        }
        let number = |text: &str| {
            text.parse::<i64>()
                .map_or_else(|_| Value::from(text), Value::from)
        };
        let mut spec = value!({"selector": {"matchLabels": (labels)}});
        match (&self.min_available, &self.max_unavailable) {
            (Some(least), None) => spec.set_at(&["minAvailable"], number(least)),
            (None, Some(most)) => spec.set_at(&["maxUnavailable"], number(most)),
            (None, None) => {
                return said("one of min-available or max-unavailable must be specified");
            }
            _ => return said("min-available and max-unavailable cannot be both specified"),
        }
        Ok(value!({
            "apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
            "metadata": {"name": (self.name.as_str()), "creationTimestamp": null}, "spec": (spec)
        }))
    }
}

impl PriorityArgs {
    pub(super) fn object(&self) -> Value {
        let mut class = value!({
            "apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass",
            "metadata": {"name": (self.name.as_str()), "creationTimestamp": null},
            "value": (self.value), "preemptionPolicy": (self.preemption_policy.as_str())
        });
        if self.global_default {
            class.set_at(&["globalDefault"], true);
        }
        if !self.description.is_empty() {
            class.set_at(&["description"], self.description.as_str());
        }
        class
    }
}

impl QuotaArgs {
    pub(super) fn object(&self) -> Result<Value> {
        let mut quota = value!({
            "apiVersion": "v1", "kind": "ResourceQuota",
            "metadata": {"name": (self.name.as_str()), "creationTimestamp": null}, "spec": {}, "status": {}
        });
        for pair in self.hard.split(',').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                Some((name, amount)) => quota.set_at(&["spec", "hard", name], amount),
                None => {
                    return said(format!(
                        "Invalid argument syntax {pair}, expected <resource>=<value>"
                    ));
                }
            }
        }
        if !self.scopes.is_empty() {
            quota.set_at(&["spec", "scopes"], self.scopes.clone());
        }
        Ok(quota)
    }
}
