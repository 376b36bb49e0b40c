//! The table of kinds: a line each, alphabetical within the group.

use crate::api::{
    apps, authentication, authorization, autoscaling, coordination, core, discovery, events,
    networking, node, policy, rbac, scheduling,
};
use crate::meta::ObjectMeta;
use crate::object::Typed;
use crate::wire::wire;

/// `kind => plural, scope` lines become [`Typed`] and [`crate::Wire`] implementations.
macro_rules! kinds {
    ($($kind:ty => $plural:literal, $scope:ident;)*) => {
        $(
            wire!($kind);
            impl Typed for $kind {
                const GROUP: &'static str = <$kind as k8s_openapi::Resource>::GROUP;
                const VERSION: &'static str = <$kind as k8s_openapi::Resource>::VERSION;
                const API_VERSION: &'static str = <$kind as k8s_openapi::Resource>::API_VERSION;
                const KIND: &'static str = <$kind as k8s_openapi::Resource>::KIND;
                const PLURAL: &'static str = $plural;
                const NAMESPACED: bool = kinds!(@$scope);

                fn metadata(&self) -> &ObjectMeta {
                    &self.metadata
                }

                fn metadata_mut(&mut self) -> &mut ObjectMeta {
                    &mut self.metadata
                }
            }
        )*

        #[cfg(test)]
        fn plurals() -> Vec<(&'static str, &'static str, &'static str)> {
            vec![$((<$kind as k8s_openapi::Resource>::KIND, <$kind as k8s_openapi::Resource>::URL_PATH_SEGMENT, $plural)),*]
        }
    };
    (@namespaced) => { true };
    (@cluster) => { false };
}

kinds! {
    core::v1::Binding => "bindings", namespaced;
    core::v1::ConfigMap => "configmaps", namespaced;
    core::v1::Endpoints => "endpoints", namespaced;
    core::v1::Event => "events", namespaced;
    core::v1::Namespace => "namespaces", cluster;
    core::v1::Node => "nodes", cluster;
    core::v1::Pod => "pods", namespaced;
    core::v1::PodTemplate => "podtemplates", namespaced;
    core::v1::ReplicationController => "replicationcontrollers", namespaced;
    core::v1::ResourceQuota => "resourcequotas", namespaced;
    core::v1::Secret => "secrets", namespaced;
    core::v1::Service => "services", namespaced;
    core::v1::ServiceAccount => "serviceaccounts", namespaced;

    apps::v1::ControllerRevision => "controllerrevisions", namespaced;
    apps::v1::Deployment => "deployments", namespaced;
    apps::v1::ReplicaSet => "replicasets", namespaced;

    authentication::v1::SelfSubjectReview => "selfsubjectreviews", cluster;
    authentication::v1::TokenRequest => "serviceaccounts/token", namespaced;
    authentication::v1::TokenReview => "tokenreviews", cluster;

    authorization::v1::LocalSubjectAccessReview => "localsubjectaccessreviews", namespaced;
    authorization::v1::SelfSubjectAccessReview => "selfsubjectaccessreviews", cluster;
    authorization::v1::SelfSubjectRulesReview => "selfsubjectrulesreviews", cluster;
    authorization::v1::SubjectAccessReview => "subjectaccessreviews", cluster;

    autoscaling::v1::Scale => "scale", namespaced;

    coordination::v1::Lease => "leases", namespaced;

    discovery::v1::EndpointSlice => "endpointslices", namespaced;

    events::v1::Event => "events", namespaced;

    networking::v1::IPAddress => "ipaddresses", cluster;
    networking::v1::ServiceCIDR => "servicecidrs", cluster;

    node::v1::RuntimeClass => "runtimeclasses", cluster;

    policy::v1::Eviction => "pods/eviction", namespaced;
    policy::v1::PodDisruptionBudget => "poddisruptionbudgets", namespaced;

    rbac::v1::ClusterRole => "clusterroles", cluster;
    rbac::v1::ClusterRoleBinding => "clusterrolebindings", cluster;
    rbac::v1::Role => "roles", namespaced;
    rbac::v1::RoleBinding => "rolebindings", namespaced;

    scheduling::v1::PriorityClass => "priorityclasses", cluster;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Wire;

    #[test]
    fn plurals_are_those_of_the_generated_types() {
        for (kind, segment, plural) in plurals() {
            assert_eq!(plural.rsplit('/').next(), Some(segment), "{kind}");
        }
    }

    #[test]
    fn kind_and_api_version_may_be_absent_but_not_wrong() {
        let bare =
            core::v1::ConfigMap::decode(br#"{"metadata":{"name":"a","creationTimestamp":null}}"#)
                .unwrap();
        assert_eq!(bare.name(), "a");
        let whole = core::v1::ConfigMap::decode(&bare.encode()).unwrap();
        assert_eq!(whole, bare);
        let error = core::v1::ConfigMap::decode(br#"{"kind":"Secret","metadata":{"name":"a"}}"#)
            .unwrap_err();
        assert!(
            error.source.to_string().contains("Secret"),
            "{}",
            error.source
        );
    }

    #[test]
    fn group_and_version_are_known() {
        assert_eq!(
            (
                apps::v1::Deployment::GROUP,
                apps::v1::Deployment::API_VERSION
            ),
            ("apps", "apps/v1")
        );
        assert_eq!(
            (core::v1::Pod::GROUP, core::v1::Pod::API_VERSION),
            ("", "v1")
        );
    }
}
