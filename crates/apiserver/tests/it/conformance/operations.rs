//! The operations of simple kinds: found in discovery, created, read, listed in
//! one namespace and in all, watched, patched, replaced, and deleted one by one
//! and together.

use super::{count, next, until, watch_from_now};
use crate::cluster::Cluster;
use meta::{Value, value};

/// A kind and three objects of it.
struct Subject {
    group: &'static str,
    plural: &'static str,
    names: [&'static str; 3],
    namespaced: bool,
    body: Value,
}

impl Subject {
    fn new(group: &'static str, plural: &'static str, body: Value) -> Self {
        let names = ["one", "two", "three"];
        Subject {
            group,
            plural,
            names,
            namespaced: true,
            body,
        }
    }

    fn of_the_cluster(mut self) -> Self {
        self.namespaced = false;
        self
    }

    fn version_root(&self) -> String {
        match self.group {
            "" => "/api/v1".into(),
            group => format!("/apis/{group}/v1"),
        }
    }

    fn everywhere(&self) -> String {
        format!("{}/{}", self.version_root(), self.plural)
    }

    fn collection(&self) -> String {
        match self.namespaced {
            true => format!("{}/namespaces/ns/{}", self.version_root(), self.plural),
            false => self.everywhere(),
        }
    }

    fn object(&self, name: &str) -> Value {
        let mut object = self.body.clone();
        object.set_at(&["metadata", "name"], name);
        object.set_at(&["metadata", "labels"], value!({"test": "yes"}));
        object
    }

    async fn is_discovered(&self, cluster: &Cluster) {
        if !self.group.is_empty() {
            let groups = cluster.get("/apis").await.ok();
            let groups = groups.items_at(&["groups"]);
            assert!(groups.iter().any(|g| g.str_at(&["name"]) == self.group));
            let group = cluster.get(&format!("/apis/{}", self.group)).await.ok();
            let versions = group.items_at(&["versions"]);
            assert!(versions.iter().any(|v| v.str_at(&["version"]) == "v1"));
        }
        let resources = cluster.get(&self.version_root()).await.ok();
        let resources = resources.items_at(&["resources"]);
        assert!(resources.iter().any(|r| r.str_at(&["name"]) == self.plural));
    }

    async fn goes_through_all_operations(&self) {
        let cluster = Cluster::start().await;
        self.is_discovered(&cluster).await;
        let (all, chosen) = (self.collection(), "labelSelector=test%3Dyes");
        let mut told = watch_from_now(&cluster, &format!("{all}?{chosen}")).await;
        for name in self.names {
            let made = cluster.post(&all, &self.object(name)).await;
            assert_eq!(made.code, 201, "{}", made.text());
            let (kind, object) = next(&mut told).await;
            assert_eq!((kind, object), ("ADDED", made.value()));
        }
        let one = format!("{all}/{}", self.names[0]);
        let read = cluster.get(&one).await.ok();
        assert_eq!(read.str_at(&["metadata", "name"]), self.names[0]);
        for list in [&all, &self.everywhere()] {
            assert_eq!(count(&cluster, &format!("{list}?{chosen}")).await, 3);
        }

        let patch = value!({"metadata": {"annotations": {"patched": "true"}}});
        let patched = cluster.patch("merge", &one, &patch).await.ok();
        let note = |object: &Value, key: &str| {
            object.str_at(&["metadata", "annotations", key]).to_string()
        };
        assert_eq!(note(&patched, "patched"), "true");
        let mut update = patched;
        update.set_at(&["metadata", "annotations", "updated"], "true");
        let updated = cluster.put(&one, &update).await.ok();
        assert_eq!(note(&updated, "updated"), "true");
        let first = until(&mut told, "MODIFIED").await;
        assert_eq!(
            (note(&first, "patched"), note(&first, "updated")),
            ("true".into(), String::new())
        );
        assert_eq!(until(&mut told, "MODIFIED").await, updated);

        assert_eq!(cluster.delete(&one).await.code, 200);
        assert_eq!(cluster.get(&one).await.code, 404);
        let gone = until(&mut told, "DELETED").await;
        assert_eq!(gone.str_at(&["metadata", "name"]), self.names[0]);
        assert_eq!(count(&cluster, &format!("{all}?{chosen}")).await, 2);
        assert_eq!(cluster.delete(&format!("{all}?{chosen}")).await.code, 200);
        assert_eq!(count(&cluster, &format!("{all}?{chosen}")).await, 0);
        for _ in 0..2 {
            until(&mut told, "DELETED").await;
        }
    }
}

#[tokio::test]
async fn config_maps() {
    let body = value!({"data": {"key": "value"}});
    Subject::new("", "configmaps", body)
        .goes_through_all_operations()
        .await;
}

#[tokio::test]
async fn controller_revisions() {
    let body = value!({"revision": 1, "data": {"spec": {"a": 1}}});
    Subject::new("apps", "controllerrevisions", body)
        .goes_through_all_operations()
        .await;
}

#[tokio::test]
async fn endpoints() {
    let body = value!({"subsets": [{"addresses": [{"ip": "10.0.0.24"}], "ports": [{"name": "http", "port": 80, "protocol": "TCP"}]}]});
    Subject::new("", "endpoints", body)
        .goes_through_all_operations()
        .await;
}

#[tokio::test]
async fn endpoint_slices() {
    let body = value!({
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["1.2.3.4", "5.6.7.8"]}],
        "ports": [{"name": "http", "port": 80}]
    });
    Subject::new("discovery.k8s.io", "endpointslices", body)
        .goes_through_all_operations()
        .await;
}

#[tokio::test]
async fn ip_addresses() {
    let body = value!({"spec": {"parentRef": {"group": "", "resource": "services", "namespace": "ns", "name": "s"}}});
    let mut subject = Subject::new("networking.k8s.io", "ipaddresses", body).of_the_cluster();
    subject.names = ["192.168.2.2", "192.168.2.3", "2001:db8::1"];
    subject.goes_through_all_operations().await;
}

#[tokio::test]
async fn leases() {
    let body = value!({"spec": {
        "holderIdentity": "holder", "leaseDurationSeconds": 30, "leaseTransitions": 0,
        "acquireTime": "2024-01-01T00:00:00.000000Z", "renewTime": "2024-01-01T00:00:05.000000Z"
    }});
    Subject::new("coordination.k8s.io", "leases", body)
        .goes_through_all_operations()
        .await;
}

#[tokio::test]
async fn a_lease_changes_hands() {
    let cluster = Cluster::start().await;
    let all = "/apis/coordination.k8s.io/v1/namespaces/ns/leases";
    let spec = |holder: &str, time: &str| {
        value!({
            "holderIdentity": holder, "leaseDurationSeconds": 30, "leaseTransitions": 1,
            "acquireTime": time, "renewTime": time
        })
    };
    let first = spec("a", "2024-01-01T00:00:00.000000Z");
    let object = value!({"metadata": {"name": "l"}, "spec": first.clone()});
    let mut made = cluster.post(all, &object).await.ok();
    assert_eq!(made.get("spec"), Some(&first));
    let second = spec("b", "2024-01-01T00:00:10.250000Z");
    made.set_at(&["spec"], second.clone());
    let one = format!("{all}/l");
    let updated = cluster.put(&one, &made).await.ok();
    assert_eq!(updated.get("spec"), Some(&second));
    let patch = value!({"spec": {"holderIdentity": "c", "leaseTransitions": 2}});
    let patched = cluster.patch("strategic-merge", &one, &patch).await.ok();
    assert_eq!(patched.str_at(&["spec", "holderIdentity"]), "c");
    assert_eq!(
        patched.str_at(&["spec", "renewTime"]),
        "2024-01-01T00:00:10.250000Z"
    );
}

#[tokio::test]
async fn pod_templates() {
    let body = value!({"template": super::template()});
    Subject::new("", "podtemplates", body)
        .goes_through_all_operations()
        .await;
}

#[tokio::test]
async fn priority_classes() {
    let body = value!({"value": 7, "description": "of a test"});
    Subject::new("scheduling.k8s.io", "priorityclasses", body)
        .of_the_cluster()
        .goes_through_all_operations()
        .await;
}

#[tokio::test]
async fn a_priority_class_keeps_its_value() {
    let cluster = Cluster::start().await;
    let all = "/apis/scheduling.k8s.io/v1/priorityclasses";
    let object = value!({"metadata": {"name": "p"}, "value": 7});
    let made = cluster.post(all, &object).await.ok();
    let mut other = made.clone();
    other.set_at(&["value"], 8);
    let one = format!("{all}/p");
    let refused = cluster.put(&one, &other).await.failure();
    assert!(
        refused.starts_with("422 Invalid: ") && refused.contains("value: Forbidden"),
        "{refused}"
    );
    let refused = cluster.patch("merge", &one, &value!({"value": 8})).await;
    assert_eq!(refused.code, 422);
    let mut described = made;
    described.set_at(&["description"], "new");
    let updated = cluster.put(&one, &described).await.ok();
    assert_eq!(updated.str_at(&["description"]), "new");
    assert_eq!(updated.i64_at(&["value"]), Some(7));
}

#[tokio::test]
async fn runtime_classes() {
    let body = value!({"handler": "h"});
    Subject::new("node.k8s.io", "runtimeclasses", body)
        .of_the_cluster()
        .goes_through_all_operations()
        .await;
}

#[tokio::test]
async fn secrets() {
    let body = value!({"data": {"key": "dmFsdWU="}, "type": "Opaque"});
    Subject::new("", "secrets", body)
        .goes_through_all_operations()
        .await;
}

#[tokio::test]
async fn service_accounts() {
    Subject::new("", "serviceaccounts", value!({}))
        .goes_through_all_operations()
        .await;
}

#[tokio::test]
async fn a_service_account_declines_its_token() {
    let cluster = Cluster::start().await;
    let all = "/api/v1/namespaces/ns/serviceaccounts";
    let object = value!({"metadata": {"name": "a"}, "automountServiceAccountToken": false});
    let mut made = cluster.post(all, &object).await.ok();
    made.set_at(&["automountServiceAccountToken"], true);
    let one = format!("{all}/a");
    let updated = cluster.put(&one, &made).await.ok();
    let now = Some(&Value::from(true));
    assert_eq!(updated.get("automountServiceAccountToken"), now);
    assert_eq!(cluster.get(&one).await.ok(), updated);
}

#[tokio::test]
async fn service_cidrs() {
    let body = value!({"spec": {"cidrs": ["10.9.0.0/24"]}});
    let subject = Subject::new("networking.k8s.io", "servicecidrs", body).of_the_cluster();
    subject.goes_through_all_operations().await;

    let cluster = Cluster::start().await;
    let all = subject.collection();
    cluster.post(&all, &subject.object("one")).await.ok();
    let status = format!("{all}/one/status");
    let condition = |kind: &str| value!([{"type": kind, "status": "True", "reason": "Test", "message": "m", "lastTransitionTime": "2024-01-01T00:00:00Z"}]);
    let patch = value!({"status": {"conditions": condition("Patched")}});
    let mut patched = cluster.patch("merge", &status, &patch).await.ok();
    let kind = |object: &Value| object.items_at(&["status", "conditions"])[0].clone();
    assert_eq!(kind(&patched).str_at(&["type"]), "Patched");
    patched.set_at(&["status", "conditions"], condition("Updated"));
    let updated = cluster.put(&status, &patched).await.ok();
    assert_eq!(kind(&updated).str_at(&["type"]), "Updated");
    assert_eq!(cluster.get(&status).await.ok(), updated);
}

#[tokio::test]
async fn a_template_is_replaced() {
    let cluster = Cluster::start().await;
    let all = "/api/v1/namespaces/ns/podtemplates";
    let object = value!({"metadata": {"name": "t"}, "template": super::template()});
    let mut made = cluster.post(all, &object).await.ok();
    let mut template = super::template();
    template.set_at(&["metadata", "annotations"], value!({"updated": "true"}));
    template.set_at(
        &["spec", "containers"],
        value!([{"name": "c", "image": "i:2"}]),
    );
    made.set_at(&["template"], template);
    let replaced = cluster.put(&format!("{all}/t"), &made).await.ok();
    let read = cluster.get(&format!("{all}/t")).await.ok();
    assert_eq!(read, replaced);
    assert_eq!(
        read.str_at(&["template", "metadata", "annotations", "updated"]),
        "true"
    );
    let container = &read.items_at(&["template", "spec", "containers"])[0];
    assert_eq!(container.str_at(&["image"]), "i:2");
}
