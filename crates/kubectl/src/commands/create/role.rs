//! `create role`.

use super::Common;
use crate::error::{Error, Result, said};
use crate::io;
use crate::shell::Shell;
use meta::{Value, value};

/// The arguments.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    name: String,
    #[command(flatten)]
    pub(super) rule: Rule,
    #[command(flatten)]
    pub(super) common: Common,
}

/// What is allowed.
#[derive(clap::Args, Debug)]
pub(super) struct Rule {
    /// Verb that applies to the resources contained in the rule.
    #[arg(long, value_delimiter = ',')]
    verb: Vec<String>,
    /// Resource that the rule applies to.
    #[arg(long, value_delimiter = ',')]
    resource: Vec<String>,
    /// Resource in the white list that the rule applies to.
    #[arg(long, value_delimiter = ',')]
    resource_name: Vec<String>,
}

impl Args {
    pub(super) async fn object(&self, shell: &Shell) -> Result<Value> {
        let rules = self.rule.rules(shell).await?;
        Ok(value!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
            "metadata": {"name": (self.name.as_str()), "creationTimestamp": null}, "rules": (rules)
        }))
    }
}

impl Rule {
    /// The rules: one for each group.
    pub(super) async fn rules(&self, shell: &Shell) -> Result<Vec<Value>> {
        if self.verb.is_empty() {
            return said("at least one verb must be specified");
        }
        if self.resource.is_empty() {
            return said("at least one resource must be specified");
        }
        let verbs = self.verbs();
        let mut groups: Vec<(String, Vec<String>)> = Vec::new();
        for word in &self.resource {
            let (word, below) = match word.split_once('/') {
                Some((word, below)) => (word, format!("/{below}")),
                None => (word.as_str(), String::new()),
            };
            let (group, name) = match word {
                "*" => ("*".to_string(), "*".to_string()),
                word => {
                    let found = shell.resource(word).await;
                    // Upstream says this as a bare line.
                    let resource = found.inspect_err(|error| io::warn(error.to_string()));
                    let resource = resource.or(Err(Error::Exit(1)))?;
                    (resource.group.clone(), resource.name.clone())
                }
            };
            let name = format!("{name}{below}");
            match groups.iter_mut().find(|(known, _)| *known == group) {
                Some((_, names)) if !names.contains(&name) => names.push(name),
                Some(_) => {}
                None => groups.push((group, vec![name])),
            }
        }
        groups.sort();
        Ok(groups
            .into_iter()
            .map(|(group, names)| {
                let mut rule = value!({"apiGroups": (vec![group]), "resources": (names), "verbs": (verbs.clone())});
                if !self.resource_name.is_empty() {
                    rule.set_at(&["resourceNames"], self.resource_name.clone());
                }
                rule
            })
            .collect())
    }

    pub(super) fn verbs(&self) -> Vec<String> {
        match self.verb.iter().any(|verb| verb == "*") {
            true => vec!["*".into()],
            false => {
                let mut out: Vec<String> = Vec::new();
                for verb in &self.verb {
                    if !out.contains(verb) {
                        out.push(verb.clone());
                    }
                }
                out
            }
        }
    }

    pub(super) fn has_resources(&self) -> bool {
        !self.resource.is_empty()
    }
}
