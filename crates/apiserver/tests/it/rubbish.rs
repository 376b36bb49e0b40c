//! Rubbish, monsters and torn requests: a proper error, and nothing changed.

use crate::cluster::Cluster;
use meta::{Map, Value, value};
use stdx::Rng;

const MAPS: &str = "/api/v1/namespaces/ns/configmaps";
const PODS: &str = "/api/v1/namespaces/ns/pods";

#[tokio::test]
async fn rubbish_is_refused() {
    let cluster = Cluster::start().await;
    let seeds = [
        r#"{"kind":"Pod","apiVersion":"v1","metadata":{"name":"a","labels":{"x":"y"}},"spec":{"containers":[{"name":"c","image":"i","ports":[{"containerPort":80}]}]}}"#,
        r#"[{"op":"add","path":"/metadata/labels/a","value":"b"},{"op":"remove","path":"/spec"}]"#,
        "kind: ConfigMap\napiVersion: v1\nmetadata: {name: a}\ndata: {a: b}\n",
    ];
    let rng = Rng::seeded(7);
    let methods = ["POST", "PUT", "PATCH", "DELETE"];
    let types = [
        "application/json",
        "application/yaml",
        "application/vnd.kubernetes.protobuf",
        "application/json-patch+json",
        "application/merge-patch+json",
        "application/strategic-merge-patch+json",
        "application/apply-patch+yaml",
    ];
    for _ in 0..3_000 {
        let mut body = seeds[rng.range(0..3) as usize].as_bytes().to_vec();
        for _ in 0..rng.range(1..6) {
            let at = rng.range(0..body.len() as u64) as usize;
            match rng.range(0..4) {
                0 => body[at] = rng.range(0..256) as u8,
                1 => body.truncate(at.max(1)),
                2 => body.insert(at, b"{}[]\",:0"[rng.range(0..8) as usize]),
                _ => {
                    let piece: Vec<u8> = body[at..].iter().take(9).copied().collect();
                    body.splice(at..at, piece);
                }
            }
        }
        let method = methods[rng.range(0..4) as usize];
        let media = types[rng.range(0..7) as usize];
        let uri = match method {
            "POST" => PODS.to_string(),
            _ => format!("{PODS}/a?fieldManager=m&dryRun=All"),
        };
        let reply = cluster
            .ask(method, &uri, &[("content-type", media)], body.clone())
            .await;
        let shown = String::from_utf8_lossy(&body).into_owned();
        assert!(
            reply.code < 500 || reply.failure().contains("typed patch object"),
            "{method} {media} {shown}: {}",
            reply.text()
        );
    }
    for text in [
        "?labelSelector=((",
        "?fieldSelector=%00",
        "?limit=x",
        "?timeoutSeconds=99999999999999999999&watch=1",
        "?continue=%ff",
        "?resourceVersion=-1",
    ] {
        let reply = cluster.get(&format!("{PODS}{text}")).await;
        assert!(reply.code >= 400, "{text}: {}", reply.code);
    }
}

#[tokio::test]
async fn monsters_are_carried_or_refused() {
    let cluster = Cluster::start().await;
    let data: Map = (0..2_000)
        .map(|i| (format!("k{i}"), "v".repeat(600)))
        .collect();
    let object = value!({"metadata": {"name": "heavy"}, "data": data});
    let reply = cluster.post(MAPS, &object).await;
    assert_eq!(
        reply.failure(),
        "422 Invalid: ConfigMap \"heavy\" is invalid: []: Too long: may not be more than 1048576 bytes"
    );
    let data: Map = (0..100_000).map(|i| (format!("k{i}"), "v")).collect();
    let object = value!({"metadata": {"name": "wide"}, "data": data});
    cluster.post(MAPS, &object).await.ok();
    let patch = value!({"data": {"k77": null, "new": "x"}});
    let one = format!("{MAPS}/wide");
    let patched = cluster.patch("strategic-merge", &one, &patch).await.ok();
    assert_eq!(
        patched.get("data").and_then(Value::as_object).map(Map::len),
        Some(100_000)
    );
    let applied = value!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "wide"}, "data": {"k1": "v"}});
    let applied = cluster
        .apply(&format!("{one}?fieldManager=m"), &applied)
        .await;
    assert_eq!(applied.code, 200);

    let deep = format!("{}{}", "{\"a\":".repeat(100_000), "1");
    let reply = cluster.ask("POST", MAPS, &[], deep).await;
    assert_eq!(reply.code, 400);
    assert!(
        reply.failure().contains("exceeded max depth"),
        "{}",
        reply.failure()
    );
    let deep = format!("{}1{}", "{\"a\":".repeat(400), "}".repeat(400));
    let reply = cluster
        .ask("POST", &format!("{MAPS}?fieldValidation=Strict"), &[], deep)
        .await;
    assert_eq!(reply.code, 400);
    let yaml = "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e]\ng: [*f,*f,*f,*f,*f,*f,*f,*f]\n";
    let media = [("content-type", "application/yaml")];
    let reply = cluster.ask("POST", MAPS, &media, yaml).await;
    assert_eq!(reply.code, 400, "a billion laughs");
}

async fn curl(cluster: &Cluster, args: &[&str]) -> Result<String, String> {
    let mut all = vec!["-sk", "--max-time", "30"];
    all.extend(args);
    cluster.run("curl", &all, None).await
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_are_too_large_or_torn() {
    let cluster = Cluster::start().await;
    let url = format!("{}{MAPS}", cluster.url);
    let huge = cluster.dir.path().join("huge");
    std::fs::write(&huge, vec![b' '; 3 * 1024 * 1024 + 1]).expect("a file");
    let huge = format!("@{}", huge.display());
    for version in ["--http1.1", "--http2"] {
        let said = curl(
            &cluster,
            &[version, "--data-binary", &huge, "-H", "expect:", &url],
        )
        .await;
        let said = said.expect("an answer");
        assert!(
            said.contains("Request entity too large: limit is 3145728"),
            "{version} {said}"
        );
        let said = curl(
            &cluster,
            &[
                version,
                "-o",
                "/dev/null",
                "-w",
                "%{http_version} %{http_code} %{content_type}",
                &url,
            ],
        )
        .await;
        let said = said.expect("an answer");
        let expected = if version == "--http2" { "2" } else { "1.1" };
        assert_eq!(said, format!("{expected} 200 application/json"));
    }
    // A client that promises more than it sends, and goes.
    let host = cluster.url.trim_start_matches("https://");
    let torn = format!(
        "printf 'POST {MAPS} HTTP/1.1\\r\\nHost: x\\r\\nContent-Type: application/json\\r\\nContent-Length: 100\\r\\n\\r\\n{{\"metadata\"' | timeout 2 openssl s_client -quiet -connect {host} 2>/dev/null"
    );
    let _ = cluster.run("sh", &["-c", &torn], None).await;
    let listed = cluster.get(MAPS).await.ok();
    assert!(listed.items_at(&["items"]).is_empty());
    assert_eq!(
        curl(&cluster, &[&format!("{}/readyz", cluster.url)])
            .await
            .as_deref(),
        Ok("ok")
    );
}
