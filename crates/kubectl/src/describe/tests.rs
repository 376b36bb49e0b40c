//! Descriptions of objects with a source made of a list of objects.

use super::*;
use meta::{LabelSelector, value};

struct Objects(Vec<Value>);

#[async_trait]
impl Source for Objects {
    async fn get(
        &self,
        resource: &GroupVersionResource,
        _: &str,
        name: &str,
    ) -> Result<Value, Error> {
        let found = self
            .0
            .iter()
            .find(|o| o.str_at(&["metadata", "name"]) == name);
        let status = Status::not_found(&resource.group_resource(), name);
        found.cloned().ok_or(Error::Api(Box::new(status)))
    }

    async fn list(
        &self,
        resource: &GroupVersionResource,
        _: &str,
        labels: &str,
        _: &str,
    ) -> Result<Vec<Value>, Error> {
        let labels = LabelSelector::parse(labels).map_err(Error::Other)?;
        let plural = |o: &Value| format!("{}s", o.str_at(&["kind"]).to_lowercase());
        let wanted = |o: &&Value| {
            resource.resource == plural(o) && labels.matches_value(o.at(&["metadata", "labels"]))
        };
        Ok(self.0.iter().filter(wanted).cloned().collect())
    }

    fn now(&self) -> Timestamp {
        meta::time::parse("2024-01-01T01:00:00Z").expect("a time")
    }
}

async fn described(object: Value, others: Vec<Value>) -> String {
    let settings = Settings { show_events: true };
    let text = describe(&Objects(others), &object, settings).await;
    text.expect("a description")
}

#[tokio::test]
async fn anything_is_described_field_by_field() {
    let object = value!({
        "apiVersion": "stable.example.com/v1", "kind": "CronTab",
        "metadata": {"name": "a", "namespace": "b", "labels": {"x": "y"}, "uid": "1"},
        "spec": {"cronSpec": "* *", "replicas": 2, "items": [{"a": 1}, "z"], "empty": {}}
    });
    let wanted = "\
Name:         a
Namespace:    b
Labels:       x=y
Annotations:  <none>
API Version:  stable.example.com/v1
Kind:         CronTab
Metadata:
  UID:  1
Spec:
  Cron Spec:  * *
  Empty:
  Items:
    A:  1
    z
  Replicas:  2
Events:      <none>
";
    assert_eq!(described(object, vec![]).await, wanted);
}

#[tokio::test]
async fn a_pod_is_described_with_its_events() {
    let event = value!({
        "kind": "Event", "type": "Normal", "reason": "Pulled", "message": "It was\n",
        "source": {"component": "kubelet"}, "count": 3,
        "firstTimestamp": "2024-01-01T00:00:00Z", "lastTimestamp": "2024-01-01T00:59:00Z"
    });
    let pod = value!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "namespace": "b"},
        "spec": {"containers": [{"name": "c", "image": "i", "env": [{"name": "X", "value": "1"}],
            "volumeMounts": [{"name": "v", "mountPath": "/v", "readOnly": true}],
            "resources": {"requests": {"cpu": "1"}}}],
            "volumes": [{"name": "v", "configMap": {"name": "m"}}], "nodeName": "n"},
        "status": {"phase": "Running", "hostIP": "10.0.0.1", "qosClass": "Burstable"}
    });
    let wanted = "\
Name:         a
Namespace:    b
Node:         n/10.0.0.1
Labels:       <none>
Annotations:  <none>
Status:       Running
IP:           
IPs:          <none>
Containers:
  c:
    Image:      i
    Port:       <none>
    Host Port:  <none>
    Requests:
      cpu:  1
    Environment:
      X:  1
    Mounts:
      /v from v (ro)
Volumes:
  v:
    Type:        ConfigMap (a volume populated by a ConfigMap)
    Name:        m
    Optional:    false
QoS Class:       Burstable
Node-Selectors:  <none>
Tolerations:     <none>
Events:
  Type    Reason  Age                From     Message
  ----    ------  ----               ----     -------
  Normal  Pulled  60s (x3 over 60m)  kubelet  It was
";
    assert_eq!(described(pod, vec![event]).await, wanted);
}

#[tokio::test]
async fn rules_are_gathered_by_what_they_are_about() {
    let role = value!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "a"},
        "rules": [
            {"apiGroups": ["apps"], "resources": ["deployments/scale"], "verbs": ["get"]},
            {"apiGroups": ["apps"], "resources": ["deployments/scale"], "verbs": ["update"]},
            {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]},
            {"nonResourceURLs": ["*"], "verbs": ["*"]}
        ]
    });
    let wanted = "\
Name:         a
Labels:       <none>
Annotations:  <none>
PolicyRule:
  Resources               Non-Resource URLs  Resource Names  Verbs
  ---------               -----------------  --------------  -----
  *.*                     []                 []              [*]
                          [*]                []              [*]
  deployments.apps/scale  []                 []              [get update]
";
    assert_eq!(described(role, vec![]).await, wanted);
}
