//! Images: archives come in, are listed, used and removed.

use e2e::{Options, Outcome, Scope, suite, with_cluster};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

fn main() -> ExitCode {
    suite(
        &[
            ("absent_images_are_reported", absent_images_are_reported),
            (
                "images_come_from_a_registry_with_pull_secrets",
                images_come_from_a_registry_with_pull_secrets,
            ),
        ],
        &[(
            "archives_are_imported_listed_and_removed",
            archives_are_imported_listed_and_removed,
        )],
    )
}

fn absent_images_are_reported(t: &Scope) {
    let spec = |image: &str, policy: &str| {
        format!(
            "
            containers:
            - {{name: main, image: '{image}', imagePullPolicy: {policy}, command: [sleep, '3600']}}
            "
        )
    };
    let reason = "{.status.containerStatuses[0].state.waiting.reason}";
    t.pod("never", &spec("absent:1", "Never"));
    t.wait_field("pod never", reason, "ErrImageNeverPull");
    let message = t.event("never", "ErrImageNeverPull")["message"].clone();
    assert_eq!(
        message,
        "Container image \"absent:1\" is not present with pull policy of Never"
    );
    t.pod("absent", &spec("127.0.0.1:9/absent:1", "IfNotPresent"));
    t.event("absent", "Pulling");
    let message = t.event("absent", "Failed")["message"].clone();
    assert!(
        message
            .as_str()
            .is_some_and(|m| m.starts_with("Failed to pull image \"127.0.0.1:9/absent:1\"")),
        "{message}"
    );
    t.wait_field("pod absent", reason, "ImagePullBackOff");
    let message = t.event("absent", "BackOff")["message"].clone();
    assert!(
        message
            .as_str()
            .is_some_and(|m| m.starts_with("Back-off pulling image \"127.0.0.1:9/absent:1\"")),
        "{message}"
    );
    t.pod("wrong", &spec("Not/A:Name:", "IfNotPresent"));
    t.wait_field("pod wrong", reason, "InvalidImageName");
    // Present and never to be pulled: it runs.
    t.ready_pod("present", &spec("busybox:1.35", "Never"));
    let message = t.event("present", "Pulled")["message"].clone();
    assert!(
        message.as_str().is_some_and(
            |m| m.starts_with("Container image \"busybox:1.35\" already present on machine")
        ),
        "{message}"
    );
}

fn archives_are_imported_listed_and_removed() {
    let options = Options {
        without_images: true,
        ..Options::default()
    };
    with_cluster(options, |cluster| {
        let ok = |arguments: &str| {
            let outcome: Outcome = cluster.tiphys(arguments);
            assert!(outcome.is_ok(), "{arguments}: {outcome:?}");
            outcome.stdout
        };
        let kubectl = cluster.kubectl().within("default");
        assert_eq!(ok("image ls").lines().count(), 1);
        kubectl.ok("run early --image=busybox:1.35 --image-pull-policy=Never -- sleep 3600");
        kubectl.ok("wait pod/early --for=jsonpath='{.status.containerStatuses[0].state.waiting.reason}'=ErrImageNeverPull --timeout=30s");
        let archive = cluster.beside("tests.tar");
        e2e::archive(&archive);
        let said = ok(&format!("image import {}", archive.display()));
        assert!(
            said.contains(e2e::BUSYBOX) && said.contains(e2e::NGINX),
            "{said}"
        );
        kubectl.ok("wait --for=condition=Ready pod/early --timeout=60s");
        let listed = ok("image ls");
        let row = listed
            .lines()
            .find(|line| line.starts_with("docker.io/library/busybox"))
            .expect("a row");
        assert_eq!(row.split_whitespace().nth(1), Some("1.35"));
        let node = kubectl.get(&format!("node {}", cluster.node()));
        e2e::until("the node lists it", || {
            let images =
                kubectl.get(&format!("node {}", cluster.node()))["status"]["images"].to_string();
            images.contains(e2e::NGINX)
        });
        assert!(node["status"]["capacity"]["pods"].is_string());
        ok(&format!("image rm {}", e2e::NGINX));
        assert!(!ok("image ls").contains("nginx"));
        let gone = cluster.tiphys(&format!("image rm {}", e2e::NGINX));
        assert!(!gone.is_ok() && gone.stderr.contains("nginx"), "{gone:?}");
        // What is not an archive changes nothing.
        let before = ok("image ls");
        let nonsense = cluster.beside("nonsense.tar");
        std::fs::write(&nonsense, "not an archive").expect("a file");
        let refused = cluster.tiphys(&format!("image import {}", nonsense.display()));
        assert!(
            !refused.is_ok() && refused.stderr.contains("nonsense.tar"),
            "{refused:?}"
        );
        assert_eq!(ok("image ls"), before);
        assert_eq!(kubectl.ok("exec early -- echo still here"), "still here\n");
    });
}

/// Debian's docker-registry, which asks for a password. It ends with this.
struct Registry {
    child: std::process::Child,
    address: String,
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Registry {
    fn start(t: &Scope) -> Registry {
        // `user` with the password `secret`.
        let user = "user:$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n";
        let folder = t.cluster.beside("registry");
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::write(folder.join("htpasswd"), user).expect("a file");
        let at = folder.display();
        let address = format!("127.0.0.1:{}", t.cluster.spare_port(7));
        let config = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: '{at}/data'}}}}\nhttp: {{addr: '{address}'}}\nauth: {{htpasswd: {{realm: r, path: '{at}/htpasswd'}}}}\n"
        );
        std::fs::write(folder.join("config.yml"), config).expect("a file");
        let child = Command::new("docker-registry")
            .arg("serve")
            .arg(folder.join("config.yml"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("Debian's docker-registry");
        e2e::until("the registry listens", || {
            std::net::TcpStream::connect(&address).is_ok()
        });
        let archive = folder.join("busybox.tar");
        // Content of its own: were it the plain busybox, that would be private, too.
        let own = images::build::Layer::new().file("app", 0o644, "app\n");
        let busybox = images::build::busybox_image("team/app:1", Path::new("/bin/busybox"))
            .expect("Debian's busybox-static")
            .layer(own);
        let file = std::fs::File::create(&archive).expect("a file");
        images::build::write_oci(&[&busybox], file).expect("an archive");
        let mut skopeo = Command::new("skopeo");
        skopeo.args(["--insecure-policy", "copy", "--dest-tls-verify=false"]);
        skopeo.args(["--dest-creds", "user:secret"]);
        skopeo.arg(format!("oci-archive:{}", archive.display()));
        skopeo.arg(format!("docker://{address}/team/app:1"));
        let pushed = Outcome::of(&mut skopeo);
        assert!(pushed.is_ok(), "{pushed:?}");
        Registry { child, address }
    }
}

/// What one pod's secret has brought is not for pods that do not have it.
fn private_images_stay_private(t: &Scope, image: &str, spec: &dyn Fn(&str) -> String) {
    let with = |policy: &str, more: &str| {
        let policy = format!("imagePullPolicy: {policy}");
        spec(more).replace("imagePullPolicy: Always", &policy)
    };
    t.pod("thief", &with("IfNotPresent", ""));
    let failed = t.event("thief", "Failed")["message"].clone();
    assert!(
        failed
            .as_str()
            .is_some_and(|said| said.contains("401 Unauthorized")),
        "{failed}"
    );
    t.pod("blind", &with("Never", ""));
    let reason = "{.status.containerStatuses[0].state.waiting.reason}";
    t.wait_field("pod blind", reason, "ErrImageNeverPull");
    t.ready_pod("again", &with("Never", "imagePullSecrets: [{name: pull}]"));
    let pulled = t.event("again", "Pulled")["message"].clone();
    assert_eq!(
        pulled,
        format!(
            "Container image \"{image}\" already present on machine and can be accessed by the pod"
        )
    );
}

fn images_come_from_a_registry_with_pull_secrets(t: &Scope) {
    for program in ["/usr/bin/docker-registry", "/usr/bin/skopeo"] {
        if !Path::new(program).exists() {
            eprintln!("skipped: {program} is absent");
            return;
        }
    }
    let registry = Registry::start(t);
    let image = format!("{}/team/app:1", registry.address);
    let spec = |more: &str| {
        format!(
            "
            {more}
            containers:
            - {{name: main, image: '{image}', imagePullPolicy: Always, command: [sleep, '3600']}}
            "
        )
    };
    t.pod("stranger", &spec(""));
    let failed = t.event("stranger", "Failed")["message"].clone();
    let said = failed.as_str().unwrap_or_default();
    assert!(
        said.starts_with(&format!(
            "Failed to pull image \"{image}\": failed to pull and unpack"
        )) && said.contains("401 Unauthorized"),
        "{said}"
    );
    t.ok(&format!(
        "create secret docker-registry pull --docker-server={} --docker-username=user --docker-password=secret",
        registry.address
    ));
    t.ready_pod("friend", &spec("imagePullSecrets: [{name: pull}]"));
    let pulled = t.event("friend", "Pulled")["message"].clone();
    let said = pulled.as_str().unwrap_or_default();
    assert!(
        said.starts_with(&format!("Successfully pulled image \"{image}\" in "))
            && said.contains(" including waiting). Image size: "),
        "{said}"
    );
    let id = t.field("pod friend", "{.status.containerStatuses[0].imageID}");
    assert!(
        id.starts_with(&format!("{}/team/app@sha256:", registry.address)),
        "{id}"
    );
    private_images_stay_private(t, &image, &spec);
    // A service account hands its secrets to its pods.
    t.ok("create serviceaccount puller");
    t.ok("patch serviceaccount puller -p '{\"imagePullSecrets\":[{\"name\":\"pull\"}]}'");
    t.ready_pod("account", &spec("serviceAccountName: puller"));
    // The command line pulls, too.
    let pull = |more: &str| t.cluster.tiphys(&format!("image pull {image} {more}"));
    let outcome = pull("");
    assert!(
        !outcome.is_ok() && outcome.stderr.contains("401"),
        "{outcome:?}"
    );
    let outcome = pull("--creds user:secret");
    assert!(
        outcome.is_ok() && outcome.stdout == format!("{image}\n"),
        "{outcome:?}"
    );
    // What a registry guards can be a volume.
    t.ready_pod(
        "volume",
        &format!(
            "
            imagePullSecrets: [{{name: pull}}]
            containers:
            - {{name: main, image: busybox:1.35, command: [sleep, '3600'], volumeMounts: [{{name: app, mountPath: /app}}]}}
            volumes: [{{name: app, image: {{reference: '{image}', pullPolicy: Always}}}}]
            "
        ),
    );
    t.sh_ok("volume", "ls /app/bin/busybox");
    // What is pushed runs under its new name; what is exported can be imported.
    let copy = format!("{}/team/copy:2", registry.address);
    let outcome = t
        .cluster
        .tiphys(&format!("image push {image} {copy} --creds user:secret"));
    assert!(
        outcome.is_ok() && outcome.stdout.contains("/team/copy@sha256:"),
        "{outcome:?}"
    );
    t.ready_pod(
        "copy",
        &spec("imagePullSecrets: [{name: pull}]").replace(&image, &copy),
    );
    let archive = t.cluster.beside("registry/out.tar");
    for action in ["export --output", "import"] {
        let image = if action == "import" { "" } else { &image };
        let outcome = t
            .cluster
            .tiphys(&format!("image {action} {} {image}", archive.display()));
        assert!(outcome.is_ok(), "{outcome:?}");
    }
}
