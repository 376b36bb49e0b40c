//! How each deed is done.

use super::deeds::Deed;
use super::manifests as manifest;
use super::{APPS, GROUP, HOLD, NAMESPACES, Outcome, Workload, create, resource};
use client::{DeleteOptions, Patch, Propagation, Resource};
use serde_json::{Value, json};

impl Workload {
    pub(super) async fn act(&self, deed: Deed) -> Outcome {
        let (namespace, app) = (self.one_of(&NAMESPACES), self.one_of(&APPS));
        match deed {
            Deed::Deploy
            | Deed::Scale
            | Deed::Roll
            | Deed::Strategy
            | Deed::Pause
            | Deed::DeleteDeployment => self.deploy(deed, namespace, app).await,
            Deed::Replicate | Deed::ScaleController | Deed::DeleteController => {
                self.replicate(deed, namespace, app).await
            }
            Deed::Serve | Deed::ChangeService | Deed::DeleteService => {
                self.serve(deed, namespace, app).await
            }
            Deed::DeletePod => self.delete_pod(namespace).await,
            Deed::Evict => self.evict(namespace).await,
            Deed::Budget | Deed::DeleteBudget => self.budget(deed, namespace, app).await,
            Deed::Quota | Deed::DeleteQuota => self.quota(deed, namespace).await,
            Deed::Relabel => self.relabel(namespace).await,
            Deed::Own => self.own(namespace, app).await,
            Deed::Define | Deed::Undefine => self.define(deed).await,
            Deed::Custom | Deed::ChangeCustom | Deed::DeleteCustom => {
                self.customize(deed, namespace, app).await
            }
            Deed::Cordon => self.cordon().await,
            Deed::DeleteNode => {
                let nodes = self.resource("v1", "nodes", "");
                self.delete(&nodes, &self.node()).await
            }
            Deed::Namespace => {
                let namespaces = self.resource("v1", "namespaces", "");
                create(&namespaces, json!({"metadata": {"name": namespace}})).await
            }
            Deed::DeleteNamespace => {
                let namespaces = self.resource("v1", "namespaces", "");
                self.delete(&namespaces, namespace).await
            }
            Deed::Count => self.count().await,
        }
    }

    async fn deploy(&self, deed: Deed, namespace: &str, app: &str) -> Outcome {
        let deployments = self.resource("apps/v1", "deployments", namespace);
        let spec = match deed {
            Deed::Deploy => {
                return create(&deployments, manifest::deployment(&self.rng, app)).await;
            }
            Deed::DeleteDeployment => return self.delete(&deployments, app).await,
            Deed::Scale => json!({"replicas": self.rng.below(7)}),
            Deed::Roll => json!({"template": manifest::template(&self.rng, app)}),
            Deed::Strategy => json!({"strategy": manifest::strategy(&self.rng)}),
            _ => json!({"paused": self.rng.chance(0.5)}),
        };
        self.merge(&deployments, app, json!({"spec": spec})).await
    }

    async fn replicate(&self, deed: Deed, namespace: &str, app: &str) -> Outcome {
        let controllers = self.resource("v1", "replicationcontrollers", namespace);
        match deed {
            Deed::Replicate => create(&controllers, manifest::controller(&self.rng, app)).await,
            Deed::ScaleController => {
                let replicas = self.rng.below(4);
                self.merge(&controllers, app, json!({"spec": {"replicas": replicas}}))
                    .await
            }
            _ => self.delete(&controllers, app).await,
        }
    }

    async fn serve(&self, deed: Deed, namespace: &str, app: &str) -> Outcome {
        let services = self.resource("v1", "services", namespace);
        match deed {
            Deed::Serve => create(&services, manifest::service(&self.rng, app)).await,
            Deed::DeleteService => self.delete(&services, app).await,
            _ => self.change_service(namespace, app).await,
        }
    }

    /// Asks the budgets whether a pod may go.
    async fn evict(&self, namespace: &str) -> Outcome {
        let Some((name, _)) = self.pod(namespace) else {
            return Ok(());
        };
        let pods = resource(&self.evictor, "v1", "pods", namespace);
        let eviction = json!({"apiVersion": "policy/v1", "kind": "Eviction",
            "metadata": {"name": name, "namespace": namespace}});
        let eviction = eviction.to_string().into();
        pods.create_subresource(&name, "eviction", eviction)
            .await
            .map(drop)
    }

    async fn budget(&self, deed: Deed, namespace: &str, app: &str) -> Outcome {
        let budgets = self.resource("policy/v1", "poddisruptionbudgets", namespace);
        match deed {
            Deed::Budget => create(&budgets, manifest::budget(&self.rng, app)).await,
            _ => self.delete(&budgets, app).await,
        }
    }

    async fn quota(&self, deed: Deed, namespace: &str) -> Outcome {
        let quotas = self.resource("v1", "resourcequotas", namespace);
        if deed == Deed::DeleteQuota {
            return self.delete(&quotas, "quota").await;
        }
        match create(&quotas, manifest::quota(&self.rng)).await {
            Err(error) if error.is_already_exists() => {
                let spec = json!({"spec": manifest::quota(&self.rng)["spec"]});
                self.merge(&quotas, "quota", spec).await
            }
            outcome => outcome,
        }
    }

    /// Makes something that shall go with a deployment.
    async fn own(&self, namespace: &str, app: &str) -> Outcome {
        let maps = self.resource("v1", "configmaps", namespace);
        let owner = self.owner(namespace, app);
        let metadata = json!({"generateName": "owned-", "ownerReferences": owner});
        create(&maps, json!({"metadata": metadata})).await
    }

    async fn define(&self, deed: Deed) -> Outcome {
        let definitions = self.resource("apiextensions.k8s.io/v1", "customresourcedefinitions", "");
        match deed {
            Deed::Define => create(&definitions, manifest::definition()).await,
            _ => self.delete(&definitions, &format!("widgets.{GROUP}")).await,
        }
    }

    async fn customize(&self, deed: Deed, namespace: &str, app: &str) -> Outcome {
        let widgets = self.resource(&format!("{GROUP}/v1"), "widgets", namespace);
        match deed {
            Deed::Custom => {
                let hold: &[&str] = if self.rng.chance(0.4) { &[HOLD] } else { &[] };
                let metadata = json!({"name": app, "finalizers": hold,
                    "ownerReferences": self.owner(namespace, app)});
                let widget = json!({"apiVersion": format!("{GROUP}/v1"), "kind": "Widget",
                    "metadata": metadata, "spec": {"size": 1}});
                create(&widgets, widget).await
            }
            Deed::ChangeCustom => {
                let change = if self.rng.chance(0.5) {
                    json!({"spec": {"size": self.rng.below(9)}})
                } else {
                    json!({"metadata": {"finalizers": null}})
                };
                self.merge(&widgets, app, change).await
            }
            _ => self.delete(&widgets, app).await,
        }
    }

    /// References to a deployment and at times to another one, if they are there.
    fn owner(&self, namespace: &str, app: &str) -> Value {
        let state = self.world.state();
        let other = self.one_of(&APPS);
        let apps = [Some(app), Some(other).filter(|other| *other != app)];
        let several = self.rng.chance(0.3);
        let apps = apps.into_iter().flatten().take(if several { 2 } else { 1 });
        let owners = apps.filter_map(|app| {
            let owner = state.history.get("apps/deployments", namespace, app)?;
            Some(
                json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": app,
                "uid": owner.uid(), "blockOwnerDeletion": self.rng.chance(0.5)}),
            )
        });
        owners.collect()
    }

    async fn change_service(&self, namespace: &str, app: &str) -> Outcome {
        let services = self.resource("v1", "services", namespace);
        let change = match self.rng.below(3) {
            0 => json!({"spec": {"selector": {"app": self.one_of(&APPS)}}}),
            1 => json!({"spec": {"type": "NodePort"}}),
            _ => json!({"spec": {"type": "ClusterIP"}}),
        };
        self.merge(&services, app, change).await
    }

    async fn delete_pod(&self, namespace: &str) -> Outcome {
        let pods = self.resource("v1", "pods", namespace);
        let Some((name, uid)) = self.pod(namespace) else {
            return Ok(());
        };
        let options = DeleteOptions {
            grace_period_seconds: self
                .rng
                .choose(&[None, None, Some(0), Some(5)])
                .copied()
                .flatten(),
            uid: self.rng.chance(0.5).then_some(uid),
            ..DeleteOptions::default()
        };
        pods.delete(&name, &options).await.map(drop)
    }

    /// Takes a pod from its ReplicaSet, or gives it one.
    async fn relabel(&self, namespace: &str) -> Outcome {
        let pods = self.resource("v1", "pods", namespace);
        let Some((name, _)) = self.pod(namespace) else {
            return Ok(());
        };
        let app = self.one_of(&["x", "y", "z", "free"]);
        self.merge(&pods, &name, json!({"metadata": {"labels": {"app": app}}}))
            .await
    }

    async fn cordon(&self) -> Outcome {
        let nodes = self.resource("v1", "nodes", "");
        let change = json!({"spec": {"unschedulable": self.rng.chance(0.4)}});
        self.merge(&nodes, &self.node(), change).await
    }

    /// Counts up what everybody counts up: no step may be lost or done twice.
    async fn count(&self) -> Outcome {
        let maps = self.resource("v1", "configmaps", "default");
        let found = match maps.get("counter", "").await {
            Ok(found) => serde_json::from_slice::<Value>(&found).unwrap_or_default(),
            Err(error) if error.is_not_found() => {
                let first = json!({"metadata": {"name": "counter"}, "data": {"count": "0"}});
                return create(&maps, first).await;
            }
            Err(error) => return Err(error),
        };
        let count: u64 = found["data"]["count"]
            .as_str()
            .and_then(|text| text.parse().ok())
            .unwrap_or(0);
        let mut next = found;
        next["data"]["count"] = json!((count + 1).to_string());
        let body = next.to_string().into();
        maps.replace("counter", "", body, &Default::default())
            .await
            .map(drop)
    }

    async fn delete(&self, resource: &Resource, name: &str) -> Outcome {
        let mut policies = vec![
            None,
            Some(Propagation::Background),
            Some(Propagation::Foreground),
        ];
        if self.scenario().orphaning {
            policies.push(Some(Propagation::Orphan));
        }
        let options = DeleteOptions {
            propagation: self.rng.choose(&policies).copied().flatten(),
            ..DeleteOptions::default()
        };
        resource.delete(name, &options).await.map(drop)
    }

    async fn merge(&self, resource: &Resource, name: &str, change: Value) -> Outcome {
        let patch = Patch::Merge(change);
        resource
            .patch(name, "", &patch, &Default::default())
            .await
            .map(drop)
    }

    /// Some pod of a namespace and its uid.
    fn pod(&self, namespace: &str) -> Option<(String, String)> {
        let state = self.world.state();
        let pods = state.history.all("core/pods");
        let pods: Vec<_> = pods
            .filter(|(place, _)| place.namespace == namespace)
            .map(|(place, pod)| (place.name.clone(), pod.uid().to_owned()))
            .collect();
        self.rng.choose(&pods).cloned()
    }

    fn node(&self) -> String {
        format!("node-{}", self.rng.below(self.nodes as u64))
    }

    fn one_of<'a>(&self, names: &[&'a str]) -> &'a str {
        self.rng.choose(names).copied().unwrap_or_default()
    }
}
