//! What users do, and how often: each run has its own mixture, so that some do
//! much of what others never do.

use stdx::Rng;

/// Something that a user does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    Deploy,
    Scale,
    Roll,
    Strategy,
    Pause,
    DeleteDeployment,
    Replicate,
    ScaleController,
    DeleteController,
    Serve,
    ChangeService,
    DeleteService,
    DeletePod,
    Evict,
    Budget,
    DeleteBudget,
    Quota,
    DeleteQuota,
    Relabel,
    Own,
    Define,
    Undefine,
    Custom,
    ChangeCustom,
    DeleteCustom,
    Cordon,
    DeleteNode,
    Namespace,
    DeleteNamespace,
    Count,
}

const DEEDS: [(u64, Deed); 30] = [
    (8, Deed::Deploy),
    (8, Deed::Scale),
    (10, Deed::Roll),
    (3, Deed::Strategy),
    (2, Deed::Pause),
    (2, Deed::DeleteDeployment),
    (4, Deed::Replicate),
    (4, Deed::ScaleController),
    (1, Deed::DeleteController),
    (5, Deed::Serve),
    (4, Deed::ChangeService),
    (2, Deed::DeleteService),
    (6, Deed::DeletePod),
    (6, Deed::Evict),
    (3, Deed::Budget),
    (1, Deed::DeleteBudget),
    (2, Deed::Quota),
    (1, Deed::DeleteQuota),
    (3, Deed::Relabel),
    (3, Deed::Own),
    (2, Deed::Define),
    (1, Deed::Undefine),
    (5, Deed::Custom),
    (4, Deed::ChangeCustom),
    (3, Deed::DeleteCustom),
    (3, Deed::Cordon),
    (1, Deed::DeleteNode),
    (5, Deed::Namespace),
    (1, Deed::DeleteNamespace),
    (4, Deed::Count),
];

/// A mixture of deeds, by weight.
#[derive(Clone, Debug)]
pub struct Deeds(Vec<(u64, Deed)>);

impl Deeds {
    /// What users do in a run. Without deployments and namespaces not much would
    /// happen: these are always there.
    pub fn draw(rng: &Rng) -> Self {
        let draw = |(weight, deed): (u64, Deed)| {
            let share = rng.choose(&[0, 1, 1, 1, 3]).copied().unwrap_or(1);
            let is_needed = matches!(deed, Deed::Deploy | Deed::Roll | Deed::Namespace);
            (weight * if is_needed { share.max(1) } else { share }, deed)
        };
        Self(DEEDS.into_iter().map(draw).collect())
    }

    /// One of them.
    pub fn choose(&self, rng: &Rng) -> Option<Deed> {
        let mut left = rng.below(self.0.iter().map(|(weight, _)| weight).sum());
        self.0.iter().find_map(|(weight, deed)| {
            if left < *weight {
                return Some(*deed);
            }
            left -= weight;
            None
        })
    }
}
