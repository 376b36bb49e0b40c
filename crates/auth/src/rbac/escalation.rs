//! Nobody can grant what they do not hold. Follows
//! pkg/registry/rbac/validation/rule.go.

use super::rule::{Rule, quoted};
use super::{Rbac, aggregate};
use crate::User;
use std::collections::BTreeSet;

impl Rbac {
    /// Whether a user holds all these rules in a namespace (empty for the
    /// whole cluster); if not, what is missing, in upstream's words.
    pub fn confirm_no_escalation(
        &self,
        user: &User,
        namespace: &str,
        rules: &[Rule],
    ) -> Result<(), String> {
        let (held, errors) = self.rules_of(user, namespace);
        let pieces = rules.iter().flat_map(Rule::pieces);
        let missing: Vec<Rule> = pieces
            .filter(|piece| !held.iter().any(|rule| rule.covers(piece)))
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        let shown: BTreeSet<String> = compact(missing).iter().map(Rule::shown).collect();
        let shown = shown.into_iter().collect::<Vec<_>>().join("\n");
        let mut message = format!(
            "user {} (groups={}) is attempting to grant RBAC permissions not currently held:\n{shown}",
            meta::field::quote(&user.name),
            quoted(&user.groups),
        );
        if !errors.is_empty() {
            message.push_str(&format!("; resolution errors: [{}]", aggregate(&errors)));
        }
        Err(message)
    }
}

/// Puts the verbs for one resource together.
fn compact(pieces: Vec<Rule>) -> Vec<Rule> {
    let mut rules: Vec<Rule> = Vec::new();
    for piece in pieces {
        let same = rules.iter_mut().find(|rule| {
            piece.urls.is_empty()
                && (&rule.groups, &rule.resources, &rule.names)
                    == (&piece.groups, &piece.resources, &piece.names)
        });
        match same {
            Some(rule) => rule.verbs.extend(piece.verbs),
            None => rules.push(piece),
        }
    }
    rules
}
