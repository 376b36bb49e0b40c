//! `config`: the same steps on a kubeconfig of each program's own.

use e2e::{Scope, own};

const STEPS: &[&str] = &[
    "config set-cluster one --server=https://127.0.0.1:1 --tls-server-name=a",
    "config set-cluster one --server=https://127.0.0.1:2 --proxy-url=http://proxy:1",
    "config set-cluster one --insecure-skip-tls-verify=true",
    "config set-cluster two --embed-certs",
    "config set-credentials anna --token=t",
    "config set-credentials anna --username=u --password=p",
    "config set-credentials eve --exec-command=/bin/login --exec-api-version=client.authentication.k8s.io/v1 --exec-arg=a,b --exec-env=K=V --exec-interactive-mode=Never",
    "config set-credentials eve --exec-env=K- --exec-env=L=W",
    "config set-context work --cluster=one --user=anna --namespace=web",
    "config use-context work",
    "config get-contexts",
    "config get-contexts -o name",
    "config rename-context work play",
    "config set contexts.play.namespace shop",
    "config set clusters.one.certificate-authority-data cert --set-raw-bytes=true",
    "config view",
    "config view --raw --minify",
    "config unset contexts.play.namespace",
    "config delete-user eve",
    "config delete-cluster nothing",
    "config delete-context play",
    "config current-context",
    "config view -o yaml",
];

pub fn kubeconfigs_are_changed_alike(t: &Scope) {
    let (folder, own) = own(t, "config");
    let path = folder.path().join("config");
    let other = folder.path().join("other");
    let (stock, own) = (t.with_kubeconfig(&other), own.with_kubeconfig(&path));
    for step in STEPS {
        let said = |kubectl: &e2e::Kubectl, file: &std::path::Path| {
            let outcome = kubectl.run(step);
            let text = outcome
                .text()
                .replace(&file.display().to_string(), "CONFIG");
            (outcome.code, text)
        };
        assert_eq!(said(&own, &path), said(&stock, &other), "{step}");
    }
}
