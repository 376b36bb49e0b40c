//! `certificate`: approve or deny requests to sign certificates.
//!
//! Follows staging/src/k8s.io/kubectl/pkg/cmd/certificates/certificates.go.

use crate::error::{Error, Result, said};
use crate::print::{DryRun, PrintArgs};
use crate::select::{FileArgs, Info, from_files, of_server};
use crate::shell::Shell;
use crate::words;
use clap::Subcommand;
use http::Method;
use meta::{Value, value};

/// The arguments of `certificate`.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(subcommand)]
    command: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Approve a certificate signing request.
    Approve(DecideArgs),
    /// Deny a certificate signing request.
    Deny(DecideArgs),
}

#[derive(clap::Args, Debug)]
struct DecideArgs {
    /// Certificate signing requests.
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    #[command(flatten)]
    files: FileArgs,
    #[command(flatten)]
    print: PrintArgs,
    /// Update the request even if it is decided that way already.
    #[arg(long)]
    force: bool,
}

/// How a request is decided.
struct Decision {
    condition: &'static str,
    against: &'static str,
    reason: &'static str,
    message: &'static str,
    done: &'static str,
}

const APPROVE: Decision = Decision {
    condition: "Approved",
    against: "Denied",
    reason: "KubectlApprove",
    message: "This CSR was approved by kubectl certificate approve.",
    done: "approved",
};

const DENY: Decision = Decision {
    condition: "Denied",
    against: "Approved",
    reason: "KubectlDeny",
    message: "This CSR was denied by kubectl certificate deny.",
    done: "denied",
};

const ATTEMPTS: usize = 10;

/// Runs it.
pub async fn run(shell: &Shell, args: Args) -> Result {
    match args.command {
        What::Approve(args) => decide(shell, &args, &APPROVE).await,
        What::Deny(args) => decide(shell, &args, &DENY).await,
    }
}

async fn decide(shell: &Shell, args: &DecideArgs, decision: &Decision) -> Result {
    if args.names.is_empty() && args.files.is_empty() {
        return said("one or more CSRs must be specified as <name> or -f <filename>");
    }
    let mut reporter = args.print.reporter(DryRun::None)?;
    let (requests, mut errors) = requests(shell, args).await?;
    for request in requests {
        match one(shell, &request, decision, args.force).await {
            Ok(()) => reporter.report(&request.object, decision.done)?,
            Err(error) => errors.push(error),
        }
    }
    Error::collect(errors)
}

async fn requests(shell: &Shell, args: &DecideArgs) -> Result<(Vec<Info>, Vec<Error>)> {
    let mut wanted = Vec::new();
    if !args.files.is_empty() {
        wanted = from_files(shell, &args.files).await?;
    }
    for name in &args.names {
        let (kind, name) = name
            .split_once('/')
            .unwrap_or(("certificatesigningrequests", name));
        let object = value!({"metadata": {"name": (name)}});
        wanted.push(of_server(shell.resource(kind).await?, object));
    }
    let (mut found, mut errors) = (Vec::new(), Vec::new());
    for mut info in wanted {
        match info.fetch(shell).await {
            Ok(object) => {
                info.object = object;
                found.push(info);
            }
            Err(error) => errors.push(error),
        }
    }
    Ok((found, errors))
}

async fn one(shell: &Shell, info: &Info, decision: &Decision, force: bool) -> Result {
    let (group, kind) = (info.resource.group.as_str(), info.resource.kind.as_str());
    if (group, kind) != ("certificates.k8s.io", "CertificateSigningRequest") {
        return said(format!(
            "can only handle CertificateSigningRequest.certificates.k8s.io objects, got {kind}.{group}"
        ));
    }
    let api = shell.api().await?;
    let path = format!("{}/approval", info.path());
    for _ in 0..ATTEMPTS {
        let mut request = info.fetch(shell).await?;
        let decided = decided(&request, decision)?;
        if decided && !force {
            return Ok(());
        }
        if !decided {
            add_condition(&mut request, decision);
        }
        match api.send(Method::PUT, &path, &request).await {
            Err(error) if error.reason() == "Conflict" => {}
            answer => return answer.map(|_| ()),
        }
    }
    said("the request changed again and again while it was decided")
}

/// Whether a request is decided that way; an error when it is decided otherwise.
fn decided(request: &Value, decision: &Decision) -> Result<bool> {
    let conditions = request.items_at(&["status", "conditions"]);
    let has = |name: &str| conditions.iter().any(|c| c.str_at(&["type"]) == name);
    match has(decision.against) {
        true => said(format!(
            "certificate signing request {} is already {}",
            words::quote(request.str_at(&["metadata", "name"])),
            decision.against
        )),
        false => Ok(has(decision.condition)),
    }
}

fn add_condition(request: &mut Value, decision: &Decision) {
    let now = meta::time::seconds(stdx::Clock::system().wall());
    let condition = value!({
        "type": (decision.condition), "status": "True", "reason": (decision.reason),
        "message": (decision.message), "lastUpdateTime": (now)
    });
    let status = request.make_object().object("status");
    status.entry("conditions").make_array().push(condition);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_denied_cannot_be_approved() {
        let mut request = value!({"metadata": {"name": "a"}});
        assert!(matches!(decided(&request, &DENY), Ok(false)));
        add_condition(&mut request, &DENY);
        assert!(matches!(decided(&request, &DENY), Ok(true)));
        let refused = decided(&request, &APPROVE).expect_err("a decision");
        assert_eq!(
            refused.to_string(),
            "certificate signing request \"a\" is already Denied"
        );
    }
}
