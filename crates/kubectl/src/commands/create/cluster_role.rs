//! `create clusterrole`.

use super::Common;
use super::role::Rule;
use crate::error::{Result, said};
use crate::shell::Shell;
use meta::{Value, value};

/// The arguments.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    name: String,
    #[command(flatten)]
    rule: Rule,
    /// A partial url that user is allowed to access.
    #[arg(long = "non-resource-url", value_delimiter = ',')]
    urls: Vec<String>,
    /// An aggregation label selector for combining ClusterRoles, as key=value.
    #[arg(long, value_delimiter = ',')]
    aggregation_rule: Vec<String>,
    #[command(flatten)]
    pub(super) common: Common,
}

impl Args {
    pub(super) async fn object(&self, shell: &Shell) -> Result<Value> {
        let mut role = value!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
            "metadata": {"name": (self.name.as_str()), "creationTimestamp": null}
        });
        if !self.aggregation_rule.is_empty() {
            let mut labels = value!({});
            for pair in &self.aggregation_rule {
                match pair.split_once('=') {
                    Some((key, value)) => labels.set_at(&[key], value),
                    None => {
                        return said(format!(
                            "invalid aggregation rule {pair}, expected key=value"
                        ));
                    }
                }
            }
            let selector = vec![value!({"matchLabels": (labels)})];
            role.set_at(&["aggregationRule", "clusterRoleSelectors"], selector);
            role.set_at(&["rules"], Value::Null);
            return Ok(role);
        }
        let mut rules = Vec::new();
        if self.rule.has_resources() || self.urls.is_empty() {
            rules.extend(self.rule.rules(shell).await?);
        }
        if !self.urls.is_empty() {
            rules.push(
                value!({"nonResourceURLs": (self.urls.clone()), "verbs": (self.rule.verbs())}),
            );
        }
        role.set_at(&["rules"], rules);
        Ok(role)
    }
}
