//! What clients see that speak protobuf: stock kubectl's typed commands and
//! client-go's typed clients.

use crate::cluster::{Cluster, Reply, has_kubectl, kubectls};
use apiserver::Body;
use codec::protobuf;
use futures::StreamExt as _;
use meta::{Value, value};

const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";

/// The object of bytes in their envelope.
fn read(bytes: &[u8]) -> Value {
    let envelope = protobuf::decode(bytes).expect("an envelope");
    let schema = api::schema::of(&envelope.api_version, &envelope.kind).expect("a known kind");
    let mut object = protobuf::decode_message(envelope.raw, schema).expect("a message");
    let map = object.make_object();
    map.insert("apiVersion", envelope.api_version.as_str());
    map.insert("kind", envelope.kind.as_str());
    codec::complete(&mut object, schema);
    object
}

fn write(object: &Value) -> Vec<u8> {
    let (version, kind) = (object.str_at(&["apiVersion"]), object.str_at(&["kind"]));
    let schema = api::schema::of(version, kind).expect("a known kind");
    protobuf::encode(object, version, kind, schema).expect("a message")
}

async fn ask(cluster: &Cluster, method: &str, uri: &str, body: Option<&Value>) -> Reply {
    let body = body.map(write).unwrap_or_default();
    let headers = [("accept", PROTOBUF), ("content-type", PROTOBUF)];
    cluster.ask(method, uri, &headers, body).await
}

/// The object of an answer that is protobuf.
fn answered(reply: &Reply, code: u16) -> Value {
    assert_eq!(reply.code, code, "{}", reply.text());
    assert_eq!(reply.header("content-type"), PROTOBUF);
    read(&reply.body)
}

const PODS: &str = "/api/v1/namespaces/default/pods";
const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";

fn pod(name: &str) -> Value {
    value!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"a": "b"}},
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "containers": [{"name": "c", "image": "i:1", "resources": {"limits": {"cpu": "500m"}}, "livenessProbe":
                {"httpGet": {"path": "/", "port": "web", "scheme": "HTTP"}, "periodSeconds": 7},
                "ports": [{"name": "web", "containerPort": 80}]}],
            "volumes": [{"name": "v", "emptyDir": {"sizeLimit": "1Gi"}}]
        }
    })
}

#[tokio::test]
async fn objects_come_and_go_as_messages() {
    let cluster = Cluster::start().await;
    let made = answered(&ask(&cluster, "POST", PODS, Some(&pod("a"))).await, 201);
    let uri = format!("{PODS}/a");
    let json = cluster.get(&uri).await.ok();
    assert_eq!(made, json);
    let got = answered(&ask(&cluster, "GET", &uri, None).await, 200);
    assert_eq!(got, json);
    assert_eq!(got.str_at(&["spec", "restartPolicy"]), "Always");

    let mut changed = got.clone();
    changed.set_at(&["metadata", "labels", "more"], "yes");
    let changed = answered(&ask(&cluster, "PUT", &uri, Some(&changed)).await, 200);
    assert_eq!(changed.str_at(&["metadata", "labels", "more"]), "yes");

    answered(&ask(&cluster, "POST", PODS, Some(&pod("b"))).await, 201);
    let list = answered(&ask(&cluster, "GET", PODS, None).await, 200);
    assert_eq!(list.str_at(&["kind"]), "PodList");
    let json = cluster.get(PODS).await.ok();
    assert_eq!(list.get("metadata"), json.get("metadata"));
    assert_eq!(list.items_at(&["items"]), json.items_at(&["items"]));

    let options = value!({
        "apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0,
        "preconditions": {"uid": "other"}
    });
    let refused = answered(&ask(&cluster, "DELETE", &uri, Some(&options)).await, 409);
    assert_eq!(refused.str_at(&["reason"]), "Conflict");
    let options = value!({"apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0});
    answered(&ask(&cluster, "DELETE", &uri, Some(&options)).await, 200);
    let gone = answered(&ask(&cluster, "GET", &uri, None).await, 404);
    assert_eq!(gone.str_at(&["message"]), "pods \"a\" not found");
}

#[tokio::test]
async fn watches_are_framed_messages() {
    let cluster = Cluster::start().await;
    cluster.post(PODS, &pod("a")).await.ok();
    let uri = format!("{PODS}?watch=true&timeoutSeconds=2");
    for (accept, kind) in [
        (PROTOBUF.to_string(), "Pod"),
        (
            format!("{PROTOBUF};as=PartialObjectMetadata;g=meta.k8s.io;v=v1"),
            "PartialObjectMetadata",
        ),
    ] {
        let headers = [("accept", accept.as_str())];
        let answer = cluster.answer("GET", &uri, &headers, "").await;
        assert_eq!(
            answer.headers["content-type"],
            "application/vnd.kubernetes.protobuf;stream=watch"
        );
        let Body::Foreign(mut frames) = answer.body else {
            panic!("no stream of bytes");
        };
        let frame = frames.next().await.expect("a frame").expect("bytes");
        let event = protobuf::read_event(&frame).expect("a frame");
        let event = event.expect("a whole frame");
        assert_eq!((event.kind.as_str(), event.rest.len()), ("ADDED", 0));
        let object = read(event.object);
        assert_eq!(object.str_at(&["kind"]), kind);
        assert_eq!(object.str_at(&["metadata", "name"]), "a");
    }
}

#[tokio::test]
async fn what_has_no_message_is_answered_otherwise() {
    let cluster = Cluster::start().await;
    cluster.post(PODS, &pod("a")).await.ok();
    let get =
        async |uri: &str, accept: &str| cluster.ask("GET", uri, &[("accept", accept)], "").await;
    let table = "as=Table;v=v1;g=meta.k8s.io";
    let both = format!("{PROTOBUF};{table},application/json;{table},application/json");
    let answer = get(PODS, &both).await;
    assert_eq!(answer.ok().str_at(&["kind"]), "Table");
    let only = get(PODS, &format!("{PROTOBUF};{table}")).await;
    assert!(only.failure().starts_with("406 NotAcceptable: "));

    let list = format!("{PROTOBUF};as=PartialObjectMetadataList;v=v1;g=meta.k8s.io");
    let list = answered(&get(PODS, &list).await, 200);
    assert_eq!(list.str_at(&["kind"]), "PartialObjectMetadataList");
    assert_eq!(
        list.items_at(&["items"])[0].str_at(&["metadata", "name"]),
        "a"
    );

    let resources = answered(&get("/api/v1", PROTOBUF).await, 200);
    assert_eq!(resources.str_at(&["kind"]), "APIResourceList");
    let pods = resources.items_at(&["resources"]).iter();
    let pods: Vec<_> = pods.filter(|r| r.str_at(&["name"]) == "pods").collect();
    assert_eq!(pods[0].items_at(&["verbs"]).len(), 8);

    let headers = [("content-type", "application/apply-patch+protobuf")];
    let uri = format!("{PODS}/a?fieldManager=m");
    let applied = cluster.ask("PATCH", &uri, &headers, write(&pod("a"))).await;
    assert_eq!(applied.code, 415);
}

#[tokio::test]
async fn rubbish_is_refused_in_upstreams_words() {
    let cluster = Cluster::start().await;
    let post = async |bytes: Vec<u8>| {
        let headers = [("content-type", PROTOBUF)];
        cluster.ask("POST", PODS, &headers, bytes).await.failure()
    };
    assert_eq!(
        post(b"{}".to_vec()).await,
        "400 BadRequest: the object provided is unrecognized (must be of type Pod): provided data does not appear to be a protobuf message, expected prefix [107 56 115 0] (7b7d)"
    );
    let other = value!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}});
    assert_eq!(
        post(write(&other)).await,
        "400 BadRequest: ConfigMap in version \"v1\" cannot be handled as a Pod: converting (v1.ConfigMap) to (core.Pod): unknown conversion"
    );
    let mut torn = write(&pod("a"));
    torn.truncate(60);
    assert_eq!(
        post(torn).await,
        "400 BadRequest: the object provided is unrecognized (must be of type Pod): unexpected EOF (6b3873000a090a0276311203506f64128a02 ...)"
            .replace("6b3873000a090a0276311203506f64128a02 ...", &shown(&write(&pod("a"))))
    );
}

fn shown(bytes: &[u8]) -> String {
    let hex: String = bytes.iter().take(30).map(|b| format!("{b:02x}")).collect();
    format!("{hex} ...")
}

#[tokio::test]
async fn scales_tokens_and_reviews_are_read_as_messages() {
    let cluster = Cluster::start().await;
    let deployment = value!({
        "metadata": {"name": "d"}, "spec": {"replicas": 1, "selector": {"matchLabels": {"a": "b"}},
        "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}
    });
    cluster.post(DEPLOYMENTS, &deployment).await.ok();
    let uri = format!("{DEPLOYMENTS}/d/scale");
    let mut scale = answered(&ask(&cluster, "GET", &uri, None).await, 200);
    scale.set_at(&["spec", "replicas"], 3);
    let scale = answered(&ask(&cluster, "PUT", &uri, Some(&scale)).await, 200);
    assert_eq!(scale.i64_at(&["spec", "replicas"]), Some(3));

    let accounts = "/api/v1/namespaces/default/serviceaccounts";
    cluster
        .post(accounts, &value!({"metadata": {"name": "s"}}))
        .await
        .ok();
    let asked = value!({
        "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
        "spec": {"audiences": ["x"], "expirationSeconds": 1200}
    });
    let uri = format!("{accounts}/s/token");
    let token = answered(&ask(&cluster, "POST", &uri, Some(&asked)).await, 201);
    assert_eq!(token.str_at(&["status", "token"]), "token of s");
    assert_eq!(token.i64_at(&["spec", "expirationSeconds"]), Some(1200));

    let asked = value!({
        "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {"verb": "get", "resource": "pods"}}
    });
    let uri = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    let answer = answered(&ask(&cluster, "POST", uri, Some(&asked)).await, 201);
    assert!(answer.is_true_at(&["status", "allowed"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectls_typed_commands_work() {
    if !has_kubectl() {
        return;
    }
    for program in kubectls() {
        let cluster = Cluster::start().await;
        let k = async |args: &str| {
            let args: Vec<&str> = args.split(' ').collect();
            cluster.run(&program, &args, None).await
        };
        for (args, expected) in [
            ("create sa s", "serviceaccount/s created\n"),
            ("create token s", "token of s\n"),
            ("auth can-i get pods", "yes\n"),
            (
                "create role r --verb=get --resource=pods",
                "role.rbac.authorization.k8s.io/r created\n",
            ),
            (
                "create rolebinding b --role=r --serviceaccount=default:s",
                "rolebinding.rbac.authorization.k8s.io/b created\n",
            ),
            (
                "create clusterrole c --verb=get,list --resource=nodes",
                "clusterrole.rbac.authorization.k8s.io/c created\n",
            ),
            (
                "create configmap m --from-literal=a=b",
                "configmap/m created\n",
            ),
            (
                "create secret generic x --from-literal=a=b",
                "secret/x created\n",
            ),
            ("create namespace n", "namespace/n created\n"),
            (
                "create deployment d --image=i --replicas=2",
                "deployment.apps/d created\n",
            ),
            (
                "create service clusterip v --tcp=80:8080",
                "service/v created\n",
            ),
            ("get secret x -o jsonpath={.data.a}", "Yg=="),
            (
                "create sa s",
                "error: failed to create serviceaccount: serviceaccounts \"s\" already exists\n",
            ),
            (
                "auth whoami -o jsonpath={.status.userInfo.username}",
                "tester",
            ),
        ] {
            // This one asks for a version that is no longer served by default.
            if args.starts_with("auth whoami") && program.ends_with("1.27") {
                continue;
            }
            let said = k(args).await.unwrap_or_else(|error| error);
            assert_eq!(said.trim(), expected.trim(), "{program} {args}");
        }
    }
}

/// `kubectl run --attach` follows its pod with client-go's reflector, which
/// reads a list and then frames of a watch.
#[tokio::test(flavor = "multi_thread")]
async fn kubectls_reflector_follows_a_pod() {
    if !has_kubectl() {
        return;
    }
    let cluster = Cluster::start().await;
    let args = "run x --image=i --attach --restart=Never --pod-running-timeout=60s -v=8";
    let args = format!("kubectl {args} 2>&1");
    let args = ["-c", args.as_str()];
    let follows = cluster.run("sh", &args, None);
    let ends = async {
        // Not before the list was read and the watch has begun.
        while !cluster
            .get("/metrics")
            .await
            .text()
            .contains("verb=\"WATCH\"")
        {
            tokio::task::yield_now().await;
        }
        let uri = format!("{PODS}/x");
        let mut pod = cluster.get(&uri).await.ok();
        pod.set_at(&["status", "phase"], "Succeeded");
        cluster.put(&format!("{uri}/status"), &pod).await.ok();
    };
    let limit = std::time::Duration::from_secs(50);
    let both = async { futures::join!(follows, ends) };
    let both = tokio::time::timeout(limit, both).await;
    let (said, ()) = both.expect("kubectl sees that the pod has ended");
    let said = said.expect("kubectl is content");
    if said.contains("Accept: application/vnd.kubernetes.protobuf") {
        let frames = "Content-Type: application/vnd.kubernetes.protobuf;stream=watch";
        assert!(said.contains(frames), "{said}");
    }
}
