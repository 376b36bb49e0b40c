//! How many pods should be there: the sum over those who manage the pods that
//! are.

use client::{Client, Error};
use informer::Store;
use std::collections::BTreeMap;
use std::sync::Arc;
use typed::api::apps::v1::{Deployment, ReplicaSet};
use typed::api::autoscaling::v1::Scale;
use typed::api::core::v1::ReplicationController;
use typed::lean::Pod;
use typed::meta::OwnerReference;
use typed::{Typed, Wire};

/// Where scales are found.
pub(super) struct Scales {
    pub(super) client: Client,
    pub(super) deployments: Store<Deployment>,
    pub(super) sets: Store<ReplicaSet>,
    pub(super) controllers: Store<ReplicationController>,
}

impl Scales {
    /// The sum of the scales of all who manage these pods, and whether some
    /// pods have nobody.
    pub(super) async fn of(&self, covered: &[Arc<Pod>]) -> Result<(i32, bool), String> {
        let mut scales: BTreeMap<String, i32> = BTreeMap::new();
        let mut seen: BTreeMap<String, ()> = BTreeMap::new();
        let mut has_unmanaged = false;
        for pod in covered {
            let Some(owner) = pod.controller() else {
                has_unmanaged = true;
                continue;
            };
            if seen.insert(owner.uid.clone(), ()).is_some() {
                continue;
            }
            match self.find(owner, pod.namespace()).await? {
                Some((uid, scale)) => drop(scales.insert(uid, scale)),
                None => return Err(format!("found no controllers for pod \"{}\"", pod.name())),
            }
        }
        let sum = scales
            .values()
            .fold(0i32, |sum, scale| sum.saturating_add(*scale));
        Ok((sum, has_unmanaged))
    }

    /// Who manages the pods in the end, and at which scale.
    async fn find(
        &self,
        owner: &OwnerReference,
        namespace: &str,
    ) -> Result<Option<(String, i32)>, String> {
        let group = owner
            .api_version
            .split_once('/')
            .map_or("", |(group, _)| group);
        match (group, &*owner.kind) {
            ("apps", "ReplicaSet") => Ok(self.of_set(owner, namespace)),
            ("", "ReplicationController") => {
                let found = self.controllers.get(namespace, &owner.name);
                let found = found.filter(|found| found.uid() == owner.uid);
                Ok(found.map(|found| {
                    let spec = found.spec.as_ref();
                    let replicas = spec.and_then(|spec| spec.replicas).unwrap_or(1);
                    (owner.uid.clone(), replicas)
                }))
            }
            _ => self.of_other(owner, namespace).await,
        }
    }

    fn of_set(&self, owner: &OwnerReference, namespace: &str) -> Option<(String, i32)> {
        let set = self.sets.get(namespace, &owner.name);
        let set = set.filter(|set| set.uid() == owner.uid)?;
        let above = set.controller().filter(|above| above.kind == "Deployment");
        let Some(above) = above else {
            return Some((owner.uid.clone(), set.spec.replicas.unwrap_or(1)));
        };
        let deployment = self.deployments.get(namespace, &above.name);
        let deployment = deployment.filter(|deployment| deployment.uid() == above.uid)?;
        let replicas = deployment.spec.replicas;
        Some((above.uid.clone(), replicas.unwrap_or(1)))
    }

    /// Anything else that has a scale.
    async fn of_other(
        &self,
        owner: &OwnerReference,
        namespace: &str,
    ) -> Result<Option<(String, i32)>, String> {
        let failed = |error: Error| error.message();
        let resources = self.client.discover_version(&owner.api_version).await;
        let resources = match resources {
            Err(error) if error.is_not_found() => return Ok(None),
            resources => resources.map_err(failed)?,
        };
        let Some(found) = resources.into_iter().find(|r| r.kind == owner.kind) else {
            return Ok(None);
        };
        let objects = self.client.resource(found.gvr, found.namespaced);
        match objects.namespace(namespace).get(&owner.name, "scale").await {
            Err(error) if error.is_not_found() => Ok(None),
            bytes => {
                let bytes = bytes.map_err(failed)?;
                let scale = Scale::decode(&bytes).map_err(|error| error.to_string())?;
                let replicas = scale.spec.and_then(|spec| spec.replicas);
                Ok(Some((owner.uid.clone(), replicas.unwrap_or(0))))
            }
        }
    }
}
