//! The plugins, a file each, and their one table.
//!
//! PrioritySort is not in the table: it is the order of the queue, see
//! [`priority_sort`].

mod dynamic_resources;
mod gang_scheduling;
mod image_locality;
mod inter_pod_affinity;
mod node_affinity;
mod node_name;
mod node_ports;
mod node_resources_balanced_allocation;
mod node_resources_fit;
mod node_unschedulable;
mod pod_topology_spread;
pub mod priority_sort;
mod resource_allocation;
mod scheduling_gates;
mod taint_toleration;
#[cfg(test)]
mod testing;
mod volume_binding;

use crate::config::Config;
use crate::framework::Plugin;

type Make = fn(&Config) -> Box<dyn Plugin>;

/// Every plugin by its name.
pub const PLUGINS: &[(&str, Make)] = &[
    ("DynamicResources", |_| {
        Box::new(dynamic_resources::DynamicResources)
    }),
    ("GangScheduling", |_| {
        Box::new(gang_scheduling::GangScheduling)
    }),
    ("ImageLocality", |_| {
        Box::<image_locality::ImageLocality>::default()
    }),
    ("InterPodAffinity", |config| {
        Box::new(inter_pod_affinity::InterPodAffinity::new(config))
    }),
    ("NodeAffinity", |_| Box::new(node_affinity::NodeAffinity)),
    ("NodeName", |_| Box::new(node_name::NodeName)),
    ("NodePorts", |_| Box::new(node_ports::NodePorts)),
    ("NodeResourcesBalancedAllocation", |config| {
        Box::new(node_resources_balanced_allocation::BalancedAllocation::new(
            config,
        ))
    }),
    ("NodeResourcesFit", |config| {
        Box::new(node_resources_fit::Fit::new(config))
    }),
    ("NodeUnschedulable", |_| {
        Box::new(node_unschedulable::NodeUnschedulable)
    }),
    ("PodTopologySpread", |config| {
        Box::new(pod_topology_spread::PodTopologySpread::new(config))
    }),
    ("SchedulingGates", |_| {
        Box::new(scheduling_gates::SchedulingGates)
    }),
    ("TaintToleration", |_| {
        Box::new(taint_toleration::TaintToleration)
    }),
    ("VolumeBinding", |_| Box::new(volume_binding::VolumeBinding)),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_alphabetical_and_names_are_those_of_the_plugins() {
        assert!(PLUGINS.is_sorted_by_key(|(name, _)| *name));
        for (name, make) in PLUGINS {
            assert_eq!(make(&Config::default()).name(), *name);
        }
        for (name, _) in Config::default().plugins {
            assert!(PLUGINS.iter().any(|(have, _)| *have == name), "{name}");
        }
    }
}
