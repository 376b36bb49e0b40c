//! Who may use what, and what is left after a crash.

use super::*;
use crate::{ImportOptions, keyring::SecretSource};
use std::{fs, time::Duration};
use tempfile::TempDir;

struct Node {
    directory: TempDir,
    clock: Clock,
    images: Images,
}

impl Node {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self {
            images: Images::open(directory.path().join("store")).unwrap(),
            clock: Clock::simulated(Timestamp::from_second(1_800_000_000).unwrap()),
            directory,
        }
    }

    fn access(&self, policy: Policy) -> Access {
        let place = self.directory.path().join("image_manager");
        Access::open(&place, policy, &self.images, self.clock.clone()).unwrap()
    }

    fn files(&self, folder: &str) -> Vec<String> {
        let folder = self.directory.path().join("image_manager").join(folder);
        let entries = fs::read_dir(folder).unwrap();
        entries
            .map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap())
            .collect()
    }
}

fn name(text: &str) -> Reference {
    Reference::parse(text).unwrap()
}

fn credentials(secret: &str, password: &str) -> Vec<Credentials> {
    vec![Credentials {
        registry: "r.example".into(),
        username: "user".into(),
        password: password.into(),
        token: String::new(),
        source: Some(SecretSource {
            namespace: "default".into(),
            name: secret.into(),
            uid: format!("uid of {secret}"),
        }),
    }]
}

#[tokio::test(start_paused = true)]
async fn a_secret_opens_what_it_has_brought() {
    let (node, id) = (Node::new(), Digest::of(b"image"));
    let access = node.access(Policy::default());
    let image = name("r.example/app:1");
    let may = |image: &str, given: &[Credentials]| access.allows(&name(image), &id, given).unwrap();
    // Nobody pulled it: it is everybody's.
    assert!(may("r.example/app:1", &[]));
    let (mine, theirs) = (credentials("mine", "word"), credentials("theirs", "guess"));
    let attempt = access.begin(&image).unwrap();
    assert!(!may("r.example/app:1", &mine), "it is still coming");
    attempt.succeeded(&id, Some(&mine[0])).unwrap();
    assert!(may("r.example/app:1", &mine));
    assert!(
        may("r.example/app:2", &mine),
        "a tag is no other repository"
    );
    assert!(!may("r.example/other:1", &mine));
    assert!(!may("r.example/app:1", &[]));
    assert!(!may("r.example/app:1", &theirs));
    // The same words in another secret, and other words in the same.
    assert!(may("r.example/app:1", &credentials("copy", "word")));
    assert!(may("r.example/app:1", &credentials("copy", "changed")));
    assert!(!may("r.example/app:1", &credentials("third", "guess")));
    // A record outlives the process.
    drop(attempt_of(&node, "r.example/app:1"));
    let access = node.access(Policy::default());
    assert!(access.allows(&image, &id, &mine).unwrap());
    assert!(!access.allows(&image, &id, &[]).unwrap());
    // Whoever could pull it with nothing opens it for all.
    let attempt = access.begin(&image).unwrap();
    attempt.succeeded(&id, None).unwrap();
    assert!(access.allows(&image, &id, &[]).unwrap());
    assert_eq!(node.files("pulling").len(), 0);
    let record: serde_json::Value = serde_json::from_str(&node.files("pulled")[0]).unwrap();
    assert_eq!(record["kind"], "ImagePulledRecord");
    assert_eq!(record["lastUpdatedTime"], "2027-01-15T08:00:00Z");
    let mapping = &record["credentialMapping"]["r.example/app"];
    assert_eq!(mapping, &serde_json::json!({"nodePodsAccessible": true}));
}

/// A pull that nobody ended, as a crash leaves it.
fn attempt_of(node: &Node, image: &str) -> Access {
    let access = node.access(Policy::default());
    drop(access.begin(&name(image)).unwrap());
    access
}

#[tokio::test(start_paused = true)]
async fn policies_differ() {
    let (node, id) = (Node::new(), Digest::of(b"image"));
    let image = name("r.example/team/app:1");
    let listed = |pattern: &str| {
        Policy::parse("NeverVerifyAllowlistedImages", &[pattern.to_owned()]).unwrap()
    };
    for (policy, preloaded, pulled) in [
        (Policy::NeverVerify, true, true),
        (Policy::NeverVerifyPreloadedImages, true, false),
        (Policy::AlwaysVerify, false, false),
        (listed("r.example/team/app"), true, true),
        (listed("r.example/*"), true, true),
        (listed("r.example/team/ap"), false, false),
    ] {
        let shown = format!("{policy:?}");
        let access = node.access(policy);
        let may = || access.allows(&image, &id, &[]).unwrap();
        assert_eq!(may(), preloaded, "{shown}");
        let attempt = access.begin(&image).unwrap();
        attempt
            .succeeded(&id, Some(&credentials("s", "word")[0]))
            .unwrap();
        assert_eq!(may(), pulled, "{shown}");
        access
            .forget_others(&[], node.clock.wall() + Duration::from_secs(1))
            .unwrap();
    }
    for pattern in [
        "",
        "*",
        "/*",
        "r.example/*/app",
        " r.example/a",
        "busybox",
        "r.example/a:1",
    ] {
        let refused = Policy::parse("NeverVerifyAllowlistedImages", &[pattern.to_owned()]);
        assert!(refused.is_err(), "{pattern:?}");
    }
    assert!(Policy::parse("NeverVerify", &["r.example/a".to_owned()]).is_err());
    assert!(Policy::parse("Sometimes", &[]).is_err());
}

#[tokio::test(start_paused = true)]
async fn failures_leave_nothing_and_crashes_leave_doubt() {
    let node = Node::new();
    let access = node.access(Policy::default());
    let image = name("r.example/app:1");
    access.begin(&image).unwrap().failed().unwrap();
    assert_eq!(node.files("pulling").len(), 0);
    // Two pulls of one name, of which one fails.
    let (first, second) = (access.begin(&image).unwrap(), access.begin(&image).unwrap());
    first.failed().unwrap();
    assert_eq!(node.files("pulling").len(), 1);
    drop(second);
    // The image had come when the process ended.
    let recipe = crate::build::Recipe::new("r.example/app:1")
        .unwrap()
        .layer(crate::build::Layer::new().file("hello", 0o644, "hello"));
    let archive = node.directory.path().join("app.tar");
    crate::build::write_oci(&[&recipe], fs::File::create(&archive).unwrap()).unwrap();
    let imported = node.images.import(&archive, &ImportOptions::default());
    let id = imported.unwrap()[0].id;
    let access = node.access(Policy::default());
    assert!(!access.allows(&image, &id, &[]).unwrap());
    assert_eq!(
        (node.files("pulling").len(), node.files("pulled").len()),
        (0, 1)
    );
    // It is known as long as it is here.
    let later = node.clock.wall() + Duration::from_secs(1);
    access.forget_others(&[id], later).unwrap();
    assert!(!access.allows(&image, &id, &[]).unwrap());
    access.forget_others(&[], node.clock.wall()).unwrap();
    assert!(
        !access.allows(&image, &id, &[]).unwrap(),
        "it has just come"
    );
    access.forget_others(&[], later).unwrap();
    assert!(access.allows(&image, &id, &[]).unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_damaged_record_opens_nothing() {
    let (node, id) = (Node::new(), Digest::of(b"image"));
    let access = node.access(Policy::default());
    let (image, mine) = (name("r.example/app:1"), credentials("mine", "word"));
    let pull = || {
        let attempt = access.begin(&image).unwrap();
        attempt.succeeded(&id, Some(&mine[0])).unwrap();
    };
    pull();
    let folder = node.directory.path().join("image_manager/pulled");
    let file = fs::read_dir(folder).unwrap().next().unwrap().unwrap();
    fs::write(file.path(), "{").unwrap();
    assert!(access.allows(&image, &id, &mine).is_err());
    access.forget_others(&[], node.clock.wall()).unwrap();
    assert!(access.allows(&image, &id, &mine).is_err());
    pull();
    assert!(access.allows(&image, &id, &mine).unwrap());
}
