//! A stock kubectl works.

use crate::cluster::{Cluster, has_kubectl};

const CONFIG: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, namespace: default, labels: {a: b}}\ndata: {x: v}\n";

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
    assert_eq!(
        k("apply --server-side -f -", Some(&changed)).await.is_err(),
        true,
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
    assert_eq!(
        k("delete cm c", None).await.as_deref(),
        Ok("configmap \"c\" deleted\n")
    );
    let gone = k("get cm c", None).await;
    assert_eq!(
        gone,
        Err("Error from server (NotFound): configmaps \"c\" not found\n".into())
    );
}
