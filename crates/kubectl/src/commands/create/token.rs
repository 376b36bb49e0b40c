//! `create token`: a token of a service account.

use crate::error::{Result, said};
use crate::print::{DryRun, PrintArgs};
use crate::shell::Shell;
use crate::{io, words};
use meta::value;

/// The arguments.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    name: String,
    /// Audience of the requested token; may be repeated.
    #[arg(long)]
    audience: Vec<String>,
    /// Requested lifetime of the issued token.
    #[arg(long, default_value = "0s")]
    duration: String,
    /// Kind of an object to bind the token to: Pod, Secret, Node.
    #[arg(long, default_value = "")]
    bound_object_kind: String,
    /// Name of an object to bind the token to.
    #[arg(long, default_value = "")]
    bound_object_name: String,
    /// UID of an object to bind the token to.
    #[arg(long, default_value = "")]
    bound_object_uid: String,
    #[command(flatten)]
    print: PrintArgs,
}

pub(super) async fn run(shell: &Shell, args: Args) -> Result {
    let mut reporter = args.print.reporter(DryRun::None)?;
    let mut request = value!({
        "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}
    });
    if !args.audience.is_empty() {
        request.set_at(&["spec", "audiences"], args.audience.clone());
    }
    let seconds = words::duration_flag("--duration", &args.duration)?;
    if seconds < 0.0 {
        return said("--duration must be greater than or equal to 0");
    }
    if seconds > 0.0 {
        request.set_at(&["spec", "expirationSeconds"], seconds as i64);
    }
    if !args.bound_object_kind.is_empty() {
        if args.bound_object_name.is_empty() {
            return said("--bound-object-name is required if --bound-object-kind is provided");
        }
        let mut bound = value!({"apiVersion": "v1"});
        bound.set_at(&["kind"], args.bound_object_kind.as_str());
        bound.set_at(&["name"], args.bound_object_name.as_str());
        if !args.bound_object_uid.is_empty() {
            bound.set_at(&["uid"], args.bound_object_uid.as_str());
        }
        request.set_at(&["spec", "boundObjectRef"], bound);
    }
    let (namespace, _) = shell.namespace()?;
    let path = format!(
        "/api/v1/namespaces/{namespace}/serviceaccounts/{}/token",
        args.name
    );
    let answer = shell.api().await?.post(&path, &request).await;
    let answer = answer.map_err(|error| error.doing("failed to create token"))?;
    if reporter.is_human() {
        io::line(answer.str_at(&["status", "token"]));
        return Ok(());
    }
    reporter.print(&answer)
}
