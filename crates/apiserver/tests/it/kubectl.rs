//! A stock kubectl works, in each version that is there.

use crate::cluster::{Cluster, file, has_kubectl, kubectls};

const CONFIG: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, namespace: default, labels: {a: b}}\ndata: {x: v}\n";

const MANIFEST: &str = "apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: web
        image: nginx:1
        ports: [{containerPort: 80}]
        resources: {limits: {cpu: 100m, memory: 64Mi}}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{name: http, port: 80}]
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {mode: fast}
---
apiVersion: v1
kind: Secret
metadata: {name: token}
stringData: {t: s3cret}
";

#[tokio::test(flavor = "multi_thread")]
async fn objects_can_be_made_read_changed_and_deleted() {
    if !has_kubectl() {
        return;
    }
    let cluster = Cluster::start().await;
    let k = async |args: &str, input: Option<&str>| {
        let args: Vec<&str> = args.split(' ').collect();
        cluster.kubectl(&args, input).await
    };
    assert_eq!(
        k("create -f -", Some(CONFIG)).await.as_deref(),
        Ok("configmap/c created\n")
    );
    assert_eq!(
        k("get cm -o name", None).await.as_deref(),
        Ok("configmap/c\n")
    );
    let table = k("get cm", None).await.expect("a table");
    assert!(
        table.starts_with("NAME   DATA   AGE\nc      1      "),
        "{table}"
    );
    assert_eq!(
        k("get cm c -o jsonpath={.data.x}", None).await.as_deref(),
        Ok("v")
    );
    let changed = CONFIG.replace("x: v", "x: w");
    assert!(
        k("apply --server-side -f -", Some(&changed)).await.is_err(),
        "owned by kubectl-create"
    );
    assert_eq!(
        k("apply --server-side --force-conflicts -f -", Some(&changed))
            .await
            .as_deref(),
        Ok("configmap/c serverside-applied\n")
    );
    assert_eq!(
        k("label cm c new=1", None).await.as_deref(),
        Ok("configmap/c labeled\n")
    );
    assert_eq!(
        k("get cm -l new=1,a=b -o name", None).await.as_deref(),
        Ok("configmap/c\n")
    );
    let deleted = k("delete cm c", None).await.expect("deleted");
    assert!(deleted.starts_with("configmap \"c\" deleted"), "{deleted}");
    let gone = k("get cm c", None).await;
    assert_eq!(
        gone,
        Err("Error from server (NotFound): configmaps \"c\" not found\n".into())
    );
}

/// One program and its cluster, and what it is expected to say.
struct Journey<'a> {
    cluster: &'a Cluster,
    program: &'a str,
}

impl Journey<'_> {
    async fn run(&self, args: &str, input: Option<&str>) -> Result<String, String> {
        let args: Vec<&str> = args.split(' ').collect();
        self.cluster.run(self.program, &args, input).await
    }

    /// It succeeds and says all of this.
    async fn says(&self, args: &str, words: &[&str]) {
        let said = self.run(args, None).await;
        let said = said.unwrap_or_else(|e| panic!("{} {args}: {e}", self.program));
        for word in words {
            assert!(
                said.contains(word),
                "{} {args}: no {word:?} in\n{said}",
                self.program
            );
        }
    }

    /// It fails and says all of this.
    async fn refuses(&self, args: &str, words: &[&str]) {
        let said = self.run(args, None).await;
        let said = said.expect_err(&format!("{} {args} fails", self.program));
        for word in words {
            assert!(
                said.contains(word),
                "{} {args}: no {word:?} in\n{said}",
                self.program
            );
        }
    }

    async fn writes(&self) {
        let dir = self.cluster.dir.path();
        let manifest = file(dir, "app.yaml", MANIFEST);
        self.says("create namespace demo", &["namespace/demo created"])
            .await;
        self.says(
            &format!("apply -n demo -f {manifest}"),
            &[
                "deployment.apps/web created",
                "service/web created",
                "secret/token created",
            ],
        )
        .await;
        self.says(
            &format!("apply -n demo -f {manifest}"),
            &[
                "deployment.apps/web unchanged",
                "service/web unchanged",
                "configmap/settings unchanged",
            ],
        )
        .await;
        let changed = MANIFEST
            .replace("nginx:1", "nginx:2")
            .replace("replicas: 2", "replicas: 3");
        let changed = file(dir, "app2.yaml", &changed);
        self.refuses(
            &format!("diff -n demo -f {changed}"),
            &[
                "-      - image: nginx:1",
                "+      - image: nginx:2",
                "+  replicas: 3",
            ],
        )
        .await;
        self.says(
            &format!("apply -n demo -f {changed}"),
            &["deployment.apps/web configured", "service/web unchanged"],
        )
        .await;
        self.says(
            "get deploy web -n demo -o jsonpath={.spec.replicas}{.metadata.generation}",
            &["32"],
        )
        .await;
        self.says(
            "scale -n demo deploy/web --replicas=5",
            &["deployment.apps/web scaled"],
        )
        .await;
        self.refuses(
            "scale -n demo deploy/web --replicas=1 --current-replicas=9",
            &["xpected replicas to be 9, was 5"],
        )
        .await;
        self.says(
            "set image -n demo deploy/web web=nginx:3",
            &["image updated"],
        )
        .await;
        self.says("set env -n demo deploy/web A=b", &["env updated"])
            .await;
        self.says("annotate -n demo deploy/web note=x", &["annotate"])
            .await;
        self.says("label -n demo deploy/web app=w2 --overwrite", &["labeled"])
            .await;
        self.refuses(
            "label -n demo deploy/web app=w3",
            &["already has a value (w2)"],
        )
        .await;
        for (kind, patch) in [
            (
                "strategic",
                r#"{"spec":{"template":{"spec":{"containers":[{"name":"web","tty":true}]}}}}"#,
            ),
            ("merge", r#"{"spec":{"paused":true}}"#),
            (
                "json",
                r#"[{"op":"replace","path":"/spec/minReadySeconds","value":7}]"#,
            ),
            (
                "json",
                r#"[{"op":"add","path":"/spec/minReadySeconds","value":7}]"#,
            ),
        ] {
            let said = self
                .run(
                    &format!("patch -n demo deploy/web --type={kind} -p={patch}"),
                    None,
                )
                .await;
            match patch.contains("replace") {
                // Nothing is there to be replaced.
                true => assert!(said.is_err(), "{said:?}"),
                false => assert!(said.is_ok(), "{said:?}"),
            }
        }
        self.says(
            "get deploy web -n demo -o jsonpath={.spec.template.spec.containers[0].tty}{.spec.paused}{.spec.minReadySeconds}",
            &["truetrue7"],
        )
        .await;
        self.says("rollout resume -n demo deploy/web", &["resumed"])
            .await;
        self.says("rollout restart -n demo deploy/web", &["restarted"])
            .await;
    }

    async fn applies_on_the_server(&self) {
        let dir = self.cluster.dir.path();
        let mine = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: shared}\ndata: {a: '1'}\n";
        let mine = file(dir, "mine.yaml", mine);
        let theirs =
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: shared}\ndata: {a: '2', b: '2'}\n";
        let theirs = file(dir, "theirs.yaml", theirs);
        self.says(
            &format!("apply -n demo --server-side -f {mine}"),
            &["configmap/shared serverside-applied"],
        )
        .await;
        self.refuses(
            &format!("apply -n demo --server-side --field-manager=them -f {theirs}"),
            &["Apply failed with 1 conflict: conflict with \"kubectl\": .data.a"],
        )
        .await;
        self.says(
            &format!(
                "apply -n demo --server-side --field-manager=them --force-conflicts -f {theirs}"
            ),
            &["serverside-applied"],
        )
        .await;
        self.says(
            "get cm shared -n demo -o yaml --show-managed-fields",
            &["manager: them", "operation: Apply", "f:data:", "f:b: {}"],
        )
        .await;
        let said = self
            .run("get cm shared -n demo -o yaml", None)
            .await
            .expect("an object");
        assert!(!said.contains("managedFields"), "{said}");
        self.says(
            &format!("diff -n demo --server-side --field-manager=them -f {theirs}"),
            &[],
        )
        .await;
        // From client-side to server-side.
        let manifest = format!("{}/app2.yaml", dir.display());
        self.says(
            &format!("apply -n demo --server-side --force-conflicts -f {manifest}"),
            &["deployment.apps/web serverside-applied"],
        )
        .await;
    }

    async fn reads(&self) {
        self.says(
            "get deploy -n demo",
            &["NAME", "READY", "UP-TO-DATE", "AVAILABLE", "web", "0/3"],
        )
        .await;
        self.says(
            "get deploy -n demo -o wide",
            &["CONTAINERS", "IMAGES", "SELECTOR", "nginx:2"],
        )
        .await;
        self.says("get all -n demo", &["service/web", "deployment.apps/web"])
            .await;
        self.says(
            "get cm,secret -n demo --show-labels",
            &["configmap/settings", "secret/token", "LABELS"],
        )
        .await;
        self.says(
            "get cm -A --chunk-size=1",
            &["NAMESPACE", "settings", "shared"],
        )
        .await;
        self.says(
            "get cm -n demo --sort-by=.metadata.name -o name",
            &["configmap/settings\nconfigmap/shared"],
        )
        .await;
        self.says(
            "get cm -n demo --field-selector=metadata.name=shared -o name",
            &["configmap/shared\n"],
        )
        .await;
        self.says(
            "get cm -n demo -o custom-columns=N:.metadata.name,M:.data.mode",
            &["settings   fast"],
        )
        .await;
        self.says("get svc web -n demo", &["ClusterIP", "10.43.", "80/TCP"])
            .await;
        self.says(
            "get secret token -n demo -o jsonpath={.data.t}",
            &["czNjcmV0"],
        )
        .await;
        self.says(
            "get cm settings -n demo -o go-template={{.data.mode}}",
            &["fast"],
        )
        .await;
        self.says(
            "describe deploy web -n demo",
            &["Replicas:", "RollingUpdateStrategy:", "nginx:2"],
        )
        .await;
        self.says("describe svc web -n demo", &["IP Families:", "TargetPort:"])
            .await;
        self.says("describe cm settings -n demo", &["mode:", "fast"])
            .await;
        self.says("describe ns demo", &["Status:", "Active"]).await;
        self.says(
            "api-resources",
            &[
                "ConfigMap",
                "deploy ",
                "apps/v1",
                "selfsubjectaccessreviews",
            ],
        )
        .await;
        self.says(
            "api-versions",
            &["apps/v1", "rbac.authorization.k8s.io/v1", "\nv1\n"],
        )
        .await;
        self.says("version", &["v1.37."]).await;
        self.says("cluster-info", &["control plane", "is running at"])
            .await;
        self.says(
            "get --raw /api/v1/namespaces/demo/configmaps/settings",
            &["\"mode\":\"fast\""],
        )
        .await;
        self.says("get --raw /readyz", &["ok"]).await;
        self.says("auth can-i create pods", &["yes"]).await;
        self.refuses(
            "get nonsense",
            &["the server doesn't have a resource type \"nonsense\""],
        )
        .await;
        self.refuses(
            "get cm nonsense -n demo",
            &["Error from server (NotFound): configmaps \"nonsense\" not found"],
        )
        .await;
        self.refuses(
            "get --raw /api/v1/nonsense",
            &["the server could not find the requested resource"],
        )
        .await;
    }

    async fn replaces_and_waits(&self) {
        let dir = self.cluster.dir.path();
        let other =
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {mode: slow}\n";
        let other = file(dir, "other.yaml", other);
        self.says(
            &format!("replace -n demo -f {other}"),
            &["configmap/settings replaced"],
        )
        .await;
        self.says(
            &format!("replace -n demo --force -f {other}"),
            &["replaced"],
        )
        .await;
        self.says(
            "get cm settings -n demo -o jsonpath={.data.mode}",
            &["slow"],
        )
        .await;
        self.says(
            "wait cm/settings -n demo --for=jsonpath={.data.mode}=slow --timeout=10s",
            &["condition met"],
        )
        .await;
        self.refuses(
            "wait deploy/web -n demo --for=condition=Available --timeout=1s",
            &["timed out waiting"],
        )
        .await;
        let editor = file(
            dir,
            "editor",
            "#!/bin/sh\nsed -i 's/mode: slow/mode: edited/' \"$1\"\n",
        );
        let made = std::process::Command::new("chmod")
            .args(["+x", &editor])
            .status();
        assert!(made.is_ok_and(|s| s.success()));
        let args = ["edit", "cm", "settings", "-n", "demo"];
        let kubectl = format!("KUBE_EDITOR={editor} {} {}", self.program, args.join(" "));
        let said = self.cluster.run("sh", &["-c", &kubectl], None).await;
        assert!(
            said.as_ref().is_ok_and(|s| s.contains("edited")),
            "{said:?}"
        );
        self.says(
            "get cm settings -n demo -o jsonpath={.data.mode}",
            &["edited"],
        )
        .await;
        let odd = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: odd}\ndatum: {a: b}\n";
        let odd = file(dir, "odd.yaml", odd);
        self.refuses(
            &format!("create -n demo -f {odd}"),
            &["unknown field \"datum\""],
        )
        .await;
        self.says(
            &format!("create -n demo --validate=ignore -f {odd}"),
            &["created"],
        )
        .await;
        let said = self.run("apply --dry-run=server -f -", Some("{")).await;
        assert!(said.is_err());
    }

    async fn generates(&self) {
        self.says(
            "run p -n demo --image=busybox --restart=Never -- sleep 1",
            &["pod/p created"],
        )
        .await;
        self.says("get pod p -n demo", &["p", "0/1", "Pending"])
            .await;
        self.says("describe pod p -n demo", &["Image:", "busybox", "Events:"])
            .await;
        self.says(
            "run q -n demo --image=busybox --dry-run=server -o yaml",
            &["restartPolicy: Always", "uid:"],
        )
        .await;
        self.says(
            "expose -n demo deploy/web --name=w2 --port=81 --type=NodePort",
            &["service/w2 exposed"],
        )
        .await;
        self.says("get svc w2 -n demo", &["NodePort", "81:3"]).await;
        self.says("create sa robot -n demo", &["serviceaccount/robot created"])
            .await;
        self.says(
            "create role r -n demo --verb=get --resource=pods",
            &["created"],
        )
        .await;
        self.says(
            "create rolebinding rb -n demo --role=r --serviceaccount=demo:robot",
            &["created"],
        )
        .await;
        self.says(
            "create secret generic s2 -n demo --from-literal=a=b",
            &["created"],
        )
        .await;
        self.says("create cm c2 -n demo --from-literal=a=b", &["created"])
            .await;
        self.says("create deploy d2 -n demo --image=nginx", &["created"])
            .await;
        self.says("events -n demo", &[]).await;
        self.says("get events -n demo", &[]).await;
    }

    async fn deletes(&self) {
        self.says(
            "delete deploy d2 -n demo --cascade=orphan --wait=false",
            &["deleted"],
        )
        .await;
        self.says(
            "delete pod p -n demo --grace-period=0 --force",
            &["deleted"],
        )
        .await;
        self.says(
            "delete cm c2 settings -n demo",
            &["configmap \"c2\" deleted", "configmap \"settings\" deleted"],
        )
        .await;
        self.says("delete secret --all -n demo", &["secret \"token\" deleted"])
            .await;
        self.says("delete svc -l app=none -n demo", &["No resources found"])
            .await;
        self.says(
            "delete svc,role,rolebinding --all -n demo",
            &["service \"web\" deleted"],
        )
        .await;
        self.says("delete cm nonsense -n demo --ignore-not-found", &[])
            .await;
        self.refuses("delete cm nonsense -n demo", &["NotFound"])
            .await;
        self.says(
            "delete ns demo --wait=false",
            &["namespace \"demo\" deleted"],
        )
        .await;
        self.says("get ns demo", &["Terminating"]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kubectl_makes_the_journey() {
    let programs = kubectls();
    // The oldest, the newest and the one on the path stand for all.
    let chosen = programs
        .iter()
        .filter(|p| [programs.first(), programs.get(1), programs.last()].contains(&Some(p)));
    for program in chosen {
        let cluster = Cluster::start().await;
        let journey = Journey {
            cluster: &cluster,
            program,
        };
        journey.writes().await;
        journey.applies_on_the_server().await;
        journey.reads().await;
        journey.replaces_and_waits().await;
        journey.generates().await;
        journey.deletes().await;
    }
}
