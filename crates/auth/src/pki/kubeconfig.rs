//! The file by which kubectl finds the cluster.

use super::pair::Pair;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A kubeconfig with everything in it: authority, certificate and key.
pub(super) fn write(server: &str, authority: &str, client: &Pair) -> String {
    let authority = STANDARD.encode(authority);
    let certificate = STANDARD.encode(&client.certificates);
    let key = STANDARD.encode(&client.key);
    let server = meta::field::quote(server);
    format!(
        "apiVersion: v1
kind: Config
clusters:
- cluster:
    certificate-authority-data: {authority}
    server: {server}
  name: default
contexts:
- context:
    cluster: default
    user: default
  name: default
current-context: default
preferences: {{}}
users:
- name: default
  user:
    client-certificate-data: {certificate}
    client-key-data: {key}
"
    )
}
