//! The core group.

pub mod binding;
pub mod configmap;
pub mod endpoints;
pub mod event;
pub mod limitrange;
pub mod namespace;
pub mod node;
pub mod pod;
pub mod podtemplate;
pub mod replicationcontroller;
pub mod resourcequota;
pub mod secret;
pub mod service;
pub mod serviceaccount;

use crate::kind::Kind;

/// The kinds of this group, alphabetically.
pub static KINDS: &[&dyn Kind] = &[
    &binding::Binding,
    &configmap::ConfigMap,
    &endpoints::Endpoints,
    &event::Event,
    &limitrange::LimitRange,
    &namespace::Namespace,
    &node::Node,
    &pod::Pod,
    &podtemplate::PodTemplate,
    &replicationcontroller::ReplicationController,
    &resourcequota::ResourceQuota,
    &secret::Secret,
    &service::Service,
    &serviceaccount::ServiceAccount,
];
