//! Files made, kept, renewed and refused; openssl as the judge of what they say.

use super::*;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use stdx::Timestamp;

const FILES: [&str; 7] = [
    "client-admin",
    "client-ca",
    "client-kube-apiserver",
    "client-kubelet",
    "server-ca",
    "serving-kube-apiserver",
    "serving-kubelet",
];

fn config(dir: &Path) -> Config {
    Config {
        dir: dir.join("tls"),
        node_name: "one".into(),
        node_addresses: vec!["192.0.2.7".parse().unwrap()],
        server_names: vec!["10.43.0.1".into(), "k.example.org".into()],
    }
}

fn clock() -> Clock {
    Clock::simulated(Timestamp::from_second(1_800_000_000).unwrap())
}

fn text(dir: &Path, file: &str) -> String {
    fs::read_to_string(dir.join("tls").join(file)).unwrap()
}

fn openssl(dir: &Path, arguments: &str) -> String {
    let output = Command::new("openssl")
        .args(arguments.split(' '))
        .current_dir(dir.join("tls"))
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[tokio::test]
async fn what_is_made_verifies_and_stays() {
    let dir = tempfile::tempdir().unwrap();
    let pki = Pki::open(config(dir.path()), clock()).unwrap();
    for file in FILES {
        let mode = |name: String| {
            let path = dir.path().join("tls").join(name);
            fs::metadata(path).unwrap().permissions().mode() & 0o777
        };
        assert_eq!(mode(format!("{file}.key")), 0o600, "{file}");
        assert_eq!(mode(format!("{file}.crt")), 0o644, "{file}");
    }
    let verified = |ca: &str, purpose: &str, file: &str| {
        let said = openssl(
            dir.path(),
            &format!("verify -attime 1800000000 -purpose {purpose} -CAfile {ca}.crt {file}.crt"),
        );
        assert_eq!(said, format!("{file}.crt: OK\n"));
    };
    verified("server-ca", "sslserver", "serving-kube-apiserver");
    verified("server-ca", "sslserver", "serving-kubelet");
    for file in ["client-admin", "client-kubelet", "client-kube-apiserver"] {
        verified("client-ca", "sslclient", file);
    }
    let said = openssl(
        dir.path(),
        "x509 -in serving-kube-apiserver.crt -noout -ext subjectAltName",
    );
    for name in NAMES.iter().chain(&["one", "k.example.org"]) {
        assert!(said.contains(&format!("DNS:{name}")), "{said}");
    }
    for address in ["10.43.0.1", "127.0.0.1", "192.0.2.7", "0:0:0:0:0:0:0:1"] {
        assert!(said.contains(&format!("IP Address:{address}")), "{said}");
    }
    let subject = openssl(dir.path(), "x509 -in client-kubelet.crt -noout -subject");
    assert_eq!(subject, "subject=O = system:nodes, CN = system:node:one\n");

    let before: Vec<String> = FILES
        .iter()
        .map(|f| text(dir.path(), &format!("{f}.crt")))
        .collect();
    let again = Pki::open(config(dir.path()), clock()).unwrap();
    let after: Vec<String> = FILES
        .iter()
        .map(|f| text(dir.path(), &format!("{f}.crt")))
        .collect();
    assert_eq!(before, after);
    assert_eq!(again.renew().unwrap(), Vec::<&str>::new());
    assert_eq!(pki.service_account_key(), again.service_account_key());
    assert!(
        pki.admin_kubeconfig("https://127.0.0.1:6443")
            .contains("server: \"https://127.0.0.1:6443\"")
    );
    let leftover = fs::read_dir(dir.path().join("tls")).unwrap().count();
    assert_eq!(leftover, FILES.len() * 2 + 1);
}

#[tokio::test]
async fn another_name_makes_another_certificate_of_the_same_key() {
    let dir = tempfile::tempdir().unwrap();
    Pki::open(config(dir.path()), clock()).unwrap();
    let key = text(dir.path(), "serving-kube-apiserver.key");
    let admin = text(dir.path(), "client-admin.crt");
    let mut changed = config(dir.path());
    changed.server_names.push("2001:db8:0::1".into());
    let pki = Pki::open(changed, clock()).unwrap();
    assert!(pki.all.load().serving.facts.names.contains("2001:db8::1"));
    assert_eq!(pki.all.load().renewed, ["serving-kube-apiserver"]);
    assert_eq!(text(dir.path(), "serving-kube-apiserver.key"), key);
    assert_eq!(text(dir.path(), "client-admin.crt"), admin);
}

#[tokio::test(start_paused = true)]
async fn certificates_are_renewed_long_before_they_end() {
    let dir = tempfile::tempdir().unwrap();
    let clock = clock();
    let pki = Pki::open(config(dir.path()), clock.clone()).unwrap();
    let day = Duration::from_secs(24 * 60 * 60);
    tokio::time::advance(day * 244).await;
    assert!(pki.renew().unwrap().is_empty());
    tokio::time::advance(day * 2).await;
    assert_eq!(pki.renew().unwrap().len(), 5);
    let authority = text(dir.path(), "server-ca.key");
    let old = pki.all.load().server_ca.der().clone();
    tokio::time::advance(day * 365 * 7).await;
    assert_eq!(pki.renew().unwrap().len(), 7);
    assert_eq!(text(dir.path(), "server-ca.key"), authority);
    // Who trusts the old authority trusts what the new one signs.
    assert_ne!(&old, pki.all.load().server_ca.der());
    assert!(facts::is_signed_by(pki.all.load().serving.der(), &old));
    clock.step_wall(stdx::SignedDuration::from_hours(-24 * 365 * 8));
    assert_eq!(pki.renew().unwrap().len(), 7, "a clock that went back");
}

#[tokio::test]
async fn what_is_damaged_is_refused_by_name() {
    let check = |spoil: &dyn Fn(&Path), wanted: &str| {
        let dir = tempfile::tempdir().unwrap();
        Pki::open(config(dir.path()), clock()).unwrap();
        let tls = dir.path().join("tls");
        spoil(&tls);
        let error = Pki::open(config(dir.path()), clock())
            .unwrap_err()
            .to_string();
        let error = error.replace(&format!("{}/", tls.display()), "");
        assert!(error.starts_with(wanted), "{error}");
    };
    check(
        &|tls| fs::write(tls.join("server-ca.key"), "x").unwrap(),
        "server-ca.key is damaged: it holds no key",
    );
    check(
        &|tls| fs::write(tls.join("client-ca.crt"), "").unwrap(),
        "client-ca.crt is damaged: it holds no certificate",
    );
    check(
        &|tls| fs::write(tls.join("service.key"), [0xff]).unwrap(),
        "service.key is damaged: it is no text",
    );
    check(
        &|tls| fs::remove_file(tls.join("client-ca.key")).unwrap(),
        "client-ca.key is missing, though client-ca.crt is there",
    );
    check(
        &|tls| fs::rename(tls.join("client-admin.key"), tls.join("client-kubelet.key")).unwrap(),
        "client-kubelet.crt does not belong to client-kubelet.key: it is of another key",
    );
    check(
        &|tls| {
            for extension in ["crt", "key"] {
                let file = |name: &str| tls.join(format!("{name}.{extension}"));
                fs::copy(file("client-ca"), file("server-ca")).unwrap();
            }
        },
        "serving-kube-apiserver.crt does not belong to server-ca.crt: that authority did not sign it",
    );
    check(
        &|tls| {
            for extension in ["crt", "key"] {
                let file = |name: &str| tls.join(format!("{name}.{extension}"));
                fs::copy(file("client-admin"), file("client-ca")).unwrap();
            }
        },
        "client-ca.crt is damaged: it may not sign certificates",
    );
}

#[tokio::test]
async fn a_crash_between_key_and_certificate_is_made_good() {
    let dir = tempfile::tempdir().unwrap();
    Pki::open(config(dir.path()), clock()).unwrap();
    let key = text(dir.path(), "client-admin.key");
    fs::remove_file(dir.path().join("tls/client-admin.crt")).unwrap();
    fs::write(dir.path().join("tls/client-admin.crt.new"), "half").unwrap();
    Pki::open(config(dir.path()), clock()).unwrap();
    assert_eq!(text(dir.path(), "client-admin.key"), key);
}
