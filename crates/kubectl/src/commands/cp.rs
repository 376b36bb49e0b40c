//! `cp`: files and folders to containers and back, by `tar` in the container.
//!
//! Follows staging/src/k8s.io/kubectl/pkg/cmd/cp/cp.go.

mod download;
mod pack;
mod place;
mod unpack;
mod upload;

use crate::api::Api;
use crate::commands::exec::completed;
use crate::error::{Result, said};
use crate::shell::Shell;
use crate::streaming::remote::{Ends, converse};
use crate::streaming::session::exec_path;
use crate::{io, pods};
use meta::Value;
use place::Place;
use std::path::Path;

/// The arguments of `cp`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// From where, then whither: a path here, or [NAMESPACE/]POD:PATH.
    places: Vec<String>,
    /// Container name. If omitted, use the kubectl.kubernetes.io/default-container annotation for
    /// selecting the container to be attached or the first container in the pod will be chosen.
    #[arg(short, long, default_value = "")]
    container: String,
    /// The copied file/directory's ownership and permissions will not be preserved in the
    /// container.
    #[arg(long)]
    no_preserve: bool,
    /// Set number of retries to complete a copy operation from a container. Specify 0 to disable or
    /// any negative value for infinite retrying.
    #[arg(long, default_value_t = 0)]
    retries: i64,
}

/// Runs it.
pub async fn run(shell: &Shell, args: Args) -> Result {
    let [from, to] = args.places.as_slice() else {
        return said("source and destination are required");
    };
    let (from, to) = (Place::parse(from)?, Place::parse(to)?);
    if !from.pod.is_empty() && !to.pod.is_empty() {
        return said("one of src or dest must be a local file specification");
    }
    if from.path.is_empty() || to.path.is_empty() {
        return said("filepath can not be empty");
    }
    if !from.pod.is_empty() {
        // What a command complains about goes where its archive does not.
        let copy = Copy::new(shell, &args, &from, |note| io::line(note)).await?;
        return download::download(&copy, &from, &to).await;
    }
    if !to.pod.is_empty() {
        if Path::new(&from.path).metadata().is_err() {
            return said(format!("{} doesn't exist in local filesystem", from.path));
        }
        let copy = Copy::new(shell, &args, &to, |note| io::warn(note)).await?;
        return upload::upload(&copy, &from, &to).await;
    }
    said("one of src or dest must be a remote file specification")
}

/// A copy that is being made, and the container at its other end.
struct Copy<'a> {
    api: &'a Api,
    args: &'a Args,
    pod: Value,
    container: String,
}

impl<'a> Copy<'a> {
    async fn new(
        shell: &'a Shell,
        args: &'a Args,
        place: &Place,
        say: impl Fn(&str),
    ) -> Result<Self> {
        let namespace = match place.namespace.as_str() {
            "" => shell.namespace()?.0,
            namespace => namespace.to_string(),
        };
        let api = shell.api().await?;
        let pods = shell.resource("pods").await?;
        let pod = api.get(&pods.object(&namespace, &place.pod)).await?;
        completed(&pod, "cannot exec into a container in a completed pod")?;
        let (container, note) = pods::choose_container(&pod, &args.container)?;
        if let Some(note) = note {
            say(&note);
        }
        Ok(Copy {
            api,
            args,
            pod,
            container,
        })
    }

    /// Runs a command in the container.
    async fn execute(&self, command: &[String], ends: Ends) -> Result {
        let path = exec_path(&self.pod, &self.container, command, &ends, false);
        converse(self.api, &path, ends).await
    }
}
