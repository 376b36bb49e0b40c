//! From the old template to the new. Follows pkg/controller/deployment/rolling.go and recreate.go.

use super::plan::Draft;
use super::{sets, status};
use typed::Typed;
use typed::api::apps::v1::ReplicaSet;

impl Draft<'_> {
    /// One step of a rolling update: up if there is room, else down if enough is available.
    pub(super) fn roll(&mut self) {
        self.require_new();
        if self.raise_new() || self.lower_old() {
            return;
        }
        self.clean_up_if_complete();
    }

    /// One step of a replacement at once: all down, then, when nothing of the old runs, all up.
    pub(super) fn recreate(&mut self) {
        self.renumber();
        if self.lower_all_old() || self.old_pods_run() {
            return;
        }
        if self.new.is_none() {
            self.require_new();
        }
        let wanted = sets::wanted(&self.deployment);
        if let Some(name) = self.new.as_ref().map(|set| set.name().to_owned()) {
            self.resize_if_needed(&name, wanted);
        }
        self.clean_up_if_complete();
    }

    fn clean_up_if_complete(&mut self) {
        let current = self.deployment.status.clone().unwrap_or_default();
        if status::is_complete(&self.deployment, &current) {
            self.clean_up();
        }
    }

    fn raise_new(&mut self) -> bool {
        let Some(new) = &self.new else { return false };
        let wanted = sets::wanted(&self.deployment);
        let size = match sets::replicas(new) {
            own if own == wanted => return false,
            own if own > wanted => wanted,
            _ => self.new_set_replicas(new),
        };
        let name = new.name().to_owned();
        self.resize_if_needed(&name, size)
    }

    /// Lowers old sets as far as what is unavailable already allows: pods that are not available
    /// first, as their going costs nothing; then others, as long as enough are available.
    fn lower_old(&mut self) -> bool {
        let Some(new) = &self.new else { return false };
        let old: i32 = self.old.iter().map(sets::replicas).sum();
        if old == 0 {
            return false;
        }
        let least_available =
            sets::wanted(&self.deployment) - sets::max_unavailable(&self.deployment);
        let new_unavailable = sets::replicas(new) - sets::available(new);
        let most = old + sets::replicas(new) - least_available - new_unavailable;
        if most <= 0 {
            return false;
        }
        let unhealthy = self.lower_unhealthy(most);
        let healthy = self.lower_healthy(least_available);
        unhealthy + healthy > 0
    }

    fn lower_unhealthy(&mut self, most: i32) -> i32 {
        let mut lowered = 0;
        for (name, size, available) in self.old_sizes() {
            if lowered >= most {
                break;
            }
            let surplus = (size - available).min(most - lowered);
            if size > 0 && surplus > 0 {
                self.resize_if_needed(&name, size - surplus);
                lowered += surplus;
            }
        }
        lowered
    }

    fn lower_healthy(&mut self, least_available: i32) -> i32 {
        // A set that was just lowered still tells of pods that are going.
        let sure = |set: &ReplicaSet| sets::available(set).min(sets::replicas(set));
        let available: i32 = self.all().map(sure).sum();
        let most = available - least_available;
        let mut lowered = 0;
        for (name, size, _) in self.old_sizes() {
            if lowered >= most {
                break;
            }
            let part = size.min(most - lowered);
            if part > 0 {
                self.resize_if_needed(&name, size - part);
                lowered += part;
            }
        }
        lowered
    }

    fn lower_all_old(&mut self) -> bool {
        let mut lowered = false;
        for (name, size, _) in self.old_sizes() {
            lowered |= size > 0 && self.resize_if_needed(&name, 0);
        }
        lowered
    }

    /// Name, size and available pods of the old sets, the oldest first.
    fn old_sizes(&self) -> Vec<(String, i32, i32)> {
        self.old
            .iter()
            .map(|set| {
                (
                    set.name().to_owned(),
                    sets::replicas(set),
                    sets::available(set),
                )
            })
            .collect()
    }
}
