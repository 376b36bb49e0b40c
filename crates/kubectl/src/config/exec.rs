//! Exec credential plugins. Follows staging/src/k8s.io/client-go/plugin/pkg/client/auth/exec.

use crate::error::{Result, said};
use meta::{Value, value};
use std::path::Path;
use std::process::{Command, Stdio};

/// What a plugin gave.
#[derive(Debug, Default)]
pub(super) struct Credential {
    pub(super) token: Option<String>,
    pub(super) certificate: Option<(Vec<u8>, Vec<u8>)>,
}

/// Runs the plugin that a user's entry names.
pub(super) fn run(exec: &Value, folder: &Path) -> Result<Credential> {
    let name = exec.str_at(&["command"]);
    let version = match exec.str_at(&["apiVersion"]) {
        "" => return said("exec plugin: apiVersion must be specified"),
        version => version,
    };
    // A path with a separator is meant from the kubeconfig's folder, as client-go has it.
    let program = match name.contains('/') && !name.starts_with('/') {
        true => folder.join(name),
        false => name.into(),
    };
    let mut info = value!({"kind": "ExecCredential", "spec": {"interactive": false}});
    info.set_at(&["apiVersion"], version);
    let mut command = Command::new(&program);
    command.args(exec.items_at(&["args"]).iter().filter_map(Value::as_str));
    for entry in exec.items_at(&["env"]) {
        command.env(entry.str_at(&["name"]), entry.str_at(&["value"]));
    }
    command.env("KUBERNETES_EXEC_INFO", info.to_json());
    let output = command
        .stdin(Stdio::inherit())
        .stderr(Stdio::inherit())
        .output();
    let output = output.or_else(|error| {
        let hint = exec.str_at(&["installHint"]);
        let hint = if hint.is_empty() {
            String::new()
        } else {
            format!("\n\n{hint}")
        };
        said(format!(
            "getting credentials: exec: executable {name} cannot be run: {error}{hint}"
        ))
    })?;
    if !output.status.success() {
        let code = output.status.code().unwrap_or(-1);
        return said(format!(
            "getting credentials: exec: executable {name} failed with exit code {code}"
        ));
    }
    read(&output.stdout)
}

fn read(answer: &[u8]) -> Result<Credential> {
    let tree = codec::json::parse_value(answer)
        .or_else(|error| said(format!("getting credentials: decoding stdout: {error}")))?;
    let text = |field: &str| {
        let text = tree.str_at(&["status", field]);
        (!text.is_empty()).then(|| text.to_string())
    };
    let certificate = text("clientCertificateData").zip(text("clientKeyData"));
    let credential = Credential {
        token: text("token"),
        certificate: certificate.map(|(c, k)| (c.into_bytes(), k.into_bytes())),
    };
    if credential.token.is_none() && credential.certificate.is_none() {
        return said("getting credentials: exec plugin didn't return a token or cert/key pair");
    }
    Ok(credential)
}
