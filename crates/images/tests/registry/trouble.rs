//! What registries have and what they do wrong.

use images::{Reference, build::Pack, document::Platform, registry::explain};
use serde_json::json;

use super::{
    Node,
    fake::{Door, Fake, Fault},
    recipe, user,
};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

async fn fake(pack: Pack) -> (Fake, Node, serde_json::Value) {
    let fake = Fake::start().await;
    let manifest = fake.image(&recipe("app:1", pack), "app", "1");
    (fake, Node::new(), manifest)
}

#[tokio::test]
async fn images_come_in_all_packings() {
    for pack in [Pack::Plain, Pack::Gzip, Pack::Zstd] {
        let (fake, node, manifest) = fake(pack).await;
        let name = fake.name("app:1");
        let image = node.pull("", &name).await.unwrap();
        assert_eq!(node.read(&image, "hello"), "hello\n");
        assert_eq!(image.id.to_string(), manifest["config"]["digest"]);
        assert_eq!(image.repo_tags, [name.clone()]);
        assert_eq!(image.repo_digests.len(), 1);
        // The digest is a name, too, and what is here is not asked for again.
        let before = fake.asked("/blobs/").len();
        let again = node.pull("", &image.repo_digests[0]).await.unwrap();
        assert_eq!(again.id, image.id);
        assert_eq!(fake.asked("/blobs/").len(), before + 1, "the configuration");
    }
}

#[tokio::test]
async fn indexes_lead_to_this_machine() {
    let (fake, node, mut manifest) = fake(Pack::Gzip).await;
    // Docker's media types, two levels of indexes, and others' platforms.
    manifest["mediaType"] = DOCKER_MANIFEST.into();
    for layer in manifest["layers"].as_array_mut().unwrap() {
        layer["mediaType"] = "application/vnd.docker.image.rootfs.diff.tar.gzip".into();
    }
    let own = fake.manifest("app", "own", DOCKER_MANIFEST, &manifest);
    let here = Platform::here();
    let entry = |digest: &str, architecture: &str, variant: &str, kind: &str| {
        json!({"mediaType": kind, "digest": digest, "size": 1,
            "platform": {"os": "linux", "architecture": architecture, "variant": variant}})
    };
    let none = format!("sha256:{}", "0".repeat(64));
    let inner = fake.manifest(
        "app",
        "inner",
        DOCKER_INDEX,
        &json!({
            "schemaVersion": 2, "mediaType": DOCKER_INDEX, "manifests": [
                entry(&none, "s390x", "", DOCKER_MANIFEST),
                entry(&none, &here.architecture, "v9", DOCKER_MANIFEST),
                entry(&own.to_string(), &here.architecture, "", DOCKER_MANIFEST),
                entry(&none, "unknown", "", DOCKER_MANIFEST),
            ],
        }),
    );
    let outer = fake.manifest(
        "app",
        "outer",
        INDEX,
        &json!({
            "schemaVersion": 2,
            "manifests": [{"mediaType": DOCKER_INDEX, "digest": inner, "size": 1}],
        }),
    );
    let image = node.pull("", &fake.name("app:outer")).await.unwrap();
    assert_eq!(image.repo_digests, [fake.name(&format!("app@{outer}"))]);
    assert_eq!(node.read(&image, "last"), "last\n");

    let foreign =
        json!({"schemaVersion": 2, "manifests": [entry(&none, "s390x", "", DOCKER_MANIFEST)]});
    fake.manifest("app", "foreign", INDEX, &foreign);
    let error = node.pull("", &fake.name("app:foreign")).await.unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("no match for platform in manifest: not found (it has linux/s390x"),
        "{error}"
    );
    fake.manifest(
        "app",
        "old",
        "application/json",
        &json!({"schemaVersion": 1, "fsLayers": []}),
    );
    let error = node.pull("", &fake.name("app:old")).await.unwrap_err();
    assert!(
        error.to_string().contains("manifest.v1+prettyjws"),
        "{error}"
    );
}

#[tokio::test]
async fn cut_layers_are_resumed() {
    let (fake, node, manifest) = fake(Pack::Gzip).await;
    let layer = manifest["layers"][1]["digest"].as_str().unwrap();
    for after in [200_000, 100_000, 10] {
        fake.fault(layer, Fault::Cut(after));
    }
    let image = node.pull("", &fake.name("app:1")).await.unwrap();
    assert_eq!(node.read(&image, "last"), "last\n");
    let ranges: Vec<String> = fake.asked(layer);
    let starts: Vec<Option<&str>> = ranges.iter().map(|one| one.split(' ').nth(2)).collect();
    assert_eq!(
        starts,
        [None, Some("200000-"), Some("300000-"), Some("300010-")]
    );
    assert_eq!(node.retries(), 3);
}

#[tokio::test]
async fn a_registry_that_cannot_resume_sends_all_again() {
    let (fake, node, manifest) = fake(Pack::Plain).await;
    let layer = manifest["layers"][1]["digest"].as_str().unwrap();
    fake.fault(layer, Fault::Cut(200_000));
    fake.fault(layer, Fault::NoRange);
    node.pull("", &fake.name("app:1")).await.unwrap();
    assert_eq!(node.retries(), 1);
}

#[tokio::test]
async fn endless_cuts_end() {
    let (fake, node, manifest) = fake(Pack::Gzip).await;
    let layer = manifest["layers"][1]["digest"].as_str().unwrap();
    for _ in 0..20 {
        fake.fault(layer, Fault::Cut(10));
    }
    let error = node.pull("", &fake.name("app:1")).await.unwrap_err();
    assert!(error.to_string().contains("after 50 of 6"), "{error}");
    // Nothing stays of it, and another attempt brings it.
    assert!(
        std::fs::read_dir(node.path().join("store/ingest"))
            .unwrap()
            .next()
            .is_none()
    );
    assert!(node.images.list().unwrap().is_empty());
}

#[tokio::test]
async fn wrong_bytes_are_refused() {
    let (fake, node, manifest) = fake(Pack::Gzip).await;
    let layer = manifest["layers"][0]["digest"].as_str().unwrap();
    let name = fake.name("app:1");
    fake.fault(layer, Fault::Wrong);
    let error = node.pull("", &name).await.unwrap_err();
    let want = format!(
        "failed commit on ref \"layer-{layer}\": commit failed: unexpected commit digest sha256:"
    );
    assert!(error.to_string().starts_with(&want), "{error}");
    let config = manifest["config"]["digest"].as_str().unwrap();
    fake.fault(config, Fault::Wrong);
    let error = node.pull("", &name).await.unwrap_err();
    assert!(error.to_string().contains(config), "{error}");
    fake.put(&format!("/v2/app/blobs/{layer}"), "x", vec![0; 1_000_000]);
    let error = node.pull("", &name).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains(": commit failed: unexpected commit size "),
        "{error}"
    );
    let by_digest = format!("app@sha256:{}", "1".repeat(64));
    let other = json!({"schemaVersion": 2, "layers": []});
    fake.manifest(
        "app",
        &by_digest[4..],
        "application/vnd.oci.image.manifest.v1+json",
        &other,
    );
    let error = node.pull("", &fake.name(&by_digest)).await.unwrap_err();
    assert!(
        error.to_string().contains("should have digest sha256:1111"),
        "{error}"
    );
    assert!(node.images.list().unwrap().is_empty());
}

#[tokio::test]
async fn passing_trouble_passes() {
    let (fake, node, _) = fake(Pack::Gzip).await;
    fake.fault("/manifests/", Fault::Status(429, "Retry-After: 0\r\n"));
    fake.fault("/manifests/", Fault::Status(500, "Retry-After: 0\r\n"));
    fake.fault("/blobs/", Fault::Status(503, "Retry-After: 0\r\n"));
    node.pull("", &fake.name("app:1")).await.unwrap();
}

#[tokio::test]
async fn lasting_trouble_is_said() {
    let (fake, node, _) = fake(Pack::Gzip).await;
    for _ in 0..9 {
        fake.fault("/manifests/1", Fault::Status(503, "Retry-After: 0\r\n"));
    }
    let name = fake.name("app:1");
    let address = fake.address;
    let error = node.pull("", &name).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "unexpected status from GET request to http://{address}/v2/app/manifests/1: 503 Service Unavailable"
        )
    );
    assert_eq!(fake.asked("manifests/1").len(), 5);
    let absent = fake.name("absent:1");
    let error = node.pull("", &absent).await.unwrap_err();
    let reference = Reference::parse(&absent).unwrap();
    assert_eq!(
        explain(&reference, &error),
        format!(
            "failed to pull and unpack image \"{absent}\": failed to resolve reference \"{absent}\": {absent}: not found"
        )
    );
    let gone = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let error = node.pull("", &format!("{gone}/x:1")).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "failed to do request: Get \"https://{gone}/v2/x/manifests/1\": dial tcp {gone}: connect: connection refused"
        )
    );
}

#[tokio::test]
async fn doors_are_opened() {
    // user:secret
    const USER: &str = "dXNlcjpzZWNyZXQ=";
    for door in [Door::Basic(USER), Door::Token(USER)] {
        let (fake, node, _) = fake(Pack::Gzip).await;
        fake.door(door.clone());
        let name = fake.name("app:1");
        let address = fake.address.to_string();
        let error = node.pull("", &name).await.unwrap_err();
        assert!(error.to_string().contains("401"), "{error}");
        let wrong = user(&address, "user", "wrong");
        let error = node.pull_as("", &name, &[wrong.clone()]).await.unwrap_err();
        assert!(error.to_string().contains("401"), "{error}");
        // Others' credentials are not for this registry; several are tried.
        let other = user("other.example.com", "user", "secret");
        assert!(node.pull_as("", &name, &[other]).await.is_err());
        let right = user(&address, "user", "secret");
        node.pull_as("", &name, &[wrong, right]).await.unwrap();
        // The node's configuration says it, too.
        let node = Node::new();
        let config =
            format!("configs: {{'{address}': {{auth: {{username: user, password: secret}}}}}}");
        node.pull(&config, &name).await.unwrap();
        assert!(
            fake.asked("/token")
                .iter()
                .all(|one| one.contains("scope=repository%3Ax%3Apull"))
        );
    }
}

#[tokio::test]
async fn mirrors_stand_in() {
    let (fake, node, _) = fake(Pack::Gzip).await;
    let gone = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let config = format!(
        "mirrors: {{own.example.com: {{endpoint: ['http://{gone}', 'http://{}'], rewrite: {{'^team/(.*)': '$1'}}}}}}",
        fake.address
    );
    let image = node
        .pull(&config, "own.example.com/team/app:1")
        .await
        .unwrap();
    assert_eq!(image.repo_tags, ["own.example.com/team/app:1"]);
    assert_eq!(
        fake.asked("/v2/app/manifests/1?ns=own.example.com").len(),
        1
    );
}

#[tokio::test]
async fn one_image_is_downloaded_once() {
    use images::{
        Reference,
        registry::{Registries, Remote},
    };
    let (fake, node, manifest) = fake(Pack::Gzip).await;
    let remote = Remote::new(Registries::default(), stdx::Clock::system()).unwrap();
    let reference = Reference::parse(&fake.name("app:1")).unwrap();
    let report = |_| {};
    let pulls = (0..8).map(|_| remote.bring(&node.images, &reference, &[], &report));
    let all = futures::future::join_all(pulls).await;
    assert!(all.iter().all(Result::is_ok));
    let layer = manifest["layers"][1]["digest"].as_str().unwrap();
    assert_eq!(fake.asked(layer).len(), 1);
}
