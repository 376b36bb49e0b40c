//! Volumes of every type, set up for real but for the mounts.

use super::*;
use crate::fakes::FakeMounts;
use crate::objects::FakeObjects;
use crate::testing::pod;
use crate::tokens::FakeTokens;
use serde_json::{Value, json};
use std::os::unix::fs::MetadataExt;

struct Fixture {
    temp: tempfile::TempDir,
    objects: FakeObjects,
    tokens: FakeTokens,
    mounts: FakeMounts,
    written: Written,
}

impl Fixture {
    fn new() -> Fixture {
        let objects = FakeObjects::default();
        objects.add_config_map("default", "settings", json!({"a": "1", "b": "2"}));
        objects.add_secret("default", "keys", &[("password", "hunter2")]);
        Fixture {
            temp: tempfile::tempdir().unwrap(),
            objects,
            tokens: FakeTokens::default(),
            mounts: FakeMounts::default(),
            written: Written::default(),
        }
    }

    async fn set_up(&self, spec: Value) -> (Mounted, Vec<String>) {
        let (pod, node) = (pod(spec), NodeFacts::default());
        let setup = Setup {
            pod: &pod,
            objects: &self.objects,
            tokens: &self.tokens,
            node: &node,
            mounts: &self.mounts,
            clock: &Clock::system(),
            rng: &Rng::system(),
            pod_directory: self.temp.path(),
            written: &self.written,
        };
        let (mounted, failed) = set_up_all(&setup).await;
        let text = |(name, error): (String, VolumeError)| format!("{name}: {error}");
        (mounted, failed.into_iter().map(text).collect())
    }
}

fn read(mounted: &Mounted, name: &str, file: &str) -> String {
    std::fs::read_to_string(mounted[name].join(file)).unwrap()
}

#[tokio::test]
async fn objects_become_files_and_follow_their_changes() {
    let fixture = Fixture::new();
    let spec = json!({"volumes": [
        {"name": "map", "configMap": {"name": "settings", "items": [{"key": "a", "path": "dir/x"}]}},
        {"name": "whole", "configMap": {"name": "settings"}},
        {"name": "keys", "secret": {"secretName": "keys", "defaultMode": 256}},
        {"name": "none", "secret": {"secretName": "nope", "optional": true}},
        {"name": "all", "projected": {"sources": [
            {"configMap": {"name": "settings"}},
            {"serviceAccountToken": {"path": "token", "audience": "them"}},
            {"downwardAPI": {"items": [{"path": "name", "fieldRef": {"fieldPath": "metadata.name"}}]}},
        ]}},
    ]});
    let (mounted, failed) = fixture.set_up(spec.clone()).await;
    assert_eq!(failed, Vec::<String>::new());
    assert_eq!(read(&mounted, "map", "dir/x"), "1");
    assert_eq!(read(&mounted, "keys", "password"), "hunter2");
    let meta = std::fs::metadata(mounted["keys"].join("password")).unwrap();
    assert_eq!(meta.mode() & 0o777, 0o400);
    assert_eq!(read(&mounted, "all", "token"), "web them 0");
    assert_eq!(read(&mounted, "all", "name"), "web");
    fixture
        .objects
        .add_config_map("default", "settings", json!({"a": "new"}));
    fixture.set_up(spec).await;
    assert_eq!(read(&mounted, "map", "dir/x"), "new");
    assert!(!mounted["whole"].join("b").exists());
}

#[tokio::test]
async fn what_cannot_be_is_named() {
    let fixture = Fixture::new();
    let (_, failed) = fixture
        .set_up(json!({"volumes": [
            {"name": "a", "configMap": {"name": "nope"}},
            {"name": "b", "configMap": {"name": "settings", "items": [{"key": "x", "path": "x"}]}},
            {"name": "c", "persistentVolumeClaim": {"claimName": "data"}},
            {"name": "d", "emptyDir": {"medium": "HugePages"}},
        ]}))
        .await;
    assert_eq!(
        failed,
        [
            "a: configmap \"nope\" not found",
            "b: references non-existent config key: x",
            "c: volume type \"persistentVolumeClaim\" is not supported by this node",
            "d: volume type \"emptyDir with medium HugePages\" is not supported by this node",
        ]
    );
}

#[tokio::test]
async fn the_group_owns_an_empty_directory() {
    let fixture = Fixture::new();
    let spec = json!({
        "securityContext": {"fsGroup": 4242},
        "volumes": [{"name": "data", "emptyDir": {}}, {"name": "fast", "emptyDir": {"medium": "Memory"}}],
    });
    let (mounted, failed) = fixture.set_up(spec).await;
    assert_eq!(failed, Vec::<String>::new());
    let meta = std::fs::metadata(&mounted["data"]).unwrap();
    assert_eq!((meta.gid(), meta.mode() & 0o7777), (4242, 0o2777));
    assert!(fixture.mounts.is_mounted(&mounted["fast"]).unwrap());
    tear_down(&fixture.mounts, fixture.temp.path()).unwrap();
    assert!(!fixture.temp.path().exists());
}
