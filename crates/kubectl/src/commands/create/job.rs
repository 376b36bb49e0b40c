//! `create job` and `create cronjob`.

use super::Common;
use crate::error::{Result, said};
use crate::shell::Shell;
use meta::{Value, value};

/// The arguments of `create job`.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    name: String,
    /// Image name to run.
    #[arg(long)]
    image: Option<String>,
    /// The name of the resource to create a Job from (only cronjob is supported).
    #[arg(long)]
    from: Option<String>,
    /// The command of the container.
    #[arg(last = true)]
    command: Vec<String>,
    #[command(flatten)]
    pub(super) common: Common,
}

/// The arguments of `create cronjob`.
#[derive(clap::Args, Debug)]
pub(super) struct CronArgs {
    name: String,
    /// Image name to run.
    #[arg(long)]
    image: String,
    /// A schedule in the Cron format the job should be run with.
    #[arg(long)]
    schedule: String,
    /// Job's restart policy: OnFailure, Never.
    #[arg(long, default_value = "OnFailure")]
    restart: String,
    /// The command of the container.
    #[arg(last = true)]
    command: Vec<String>,
    #[command(flatten)]
    pub(super) common: Common,
}

impl Args {
    pub(super) async fn object(&self, shell: &Shell) -> Result<Value> {
        match (&self.image, &self.from) {
            (Some(image), None) => Ok(value!({
                "apiVersion": "batch/v1", "kind": "Job",
                "metadata": {"name": (self.name.as_str()), "creationTimestamp": null},
                "spec": (spec(&self.name, image, "Never", &self.command)), "status": {}
            })),
            (None, Some(from)) => self.copy(shell, from).await,
            _ => said("either --image or --from must be specified"),
        }
    }

    async fn copy(&self, shell: &Shell, from: &str) -> Result<Value> {
        let Some((kind, name)) = from.split_once('/') else {
            return said("from must be an existing cronjob");
        };
        let resource = shell.resource(kind).await?;
        if resource.kind != "CronJob" {
            return said("from must be an existing cronjob");
        }
        let (namespace, _) = shell.namespace()?;
        let source = shell
            .api()
            .await?
            .get(&resource.object(&namespace, name))
            .await?;
        let mut job = value!({
            "apiVersion": "batch/v1", "kind": "Job",
            "metadata": {"name": (self.name.as_str()), "annotations": {"cronjob.kubernetes.io/instantiate": "manual"}}
        });
        let template = source
            .at(&["spec", "jobTemplate"])
            .cloned()
            .unwrap_or_default();
        job.set_at(&["spec"], template.get("spec").cloned().unwrap_or_default());
        if let Some(labels) = template.at(&["metadata", "labels"]) {
            job.set_at(&["metadata", "labels"], labels.clone());
        }
        let owner = value!({
            "apiVersion": "batch/v1", "kind": "CronJob", "name": (name), "controller": true,
            "uid": (source.str_at(&["metadata", "uid"]))
        });
        job.set_at(&["metadata", "ownerReferences"], vec![owner]);
        Ok(job)
    }
}

impl CronArgs {
    pub(super) fn object(&self) -> Value {
        let name = self.name.as_str();
        value!({
            "apiVersion": "batch/v1", "kind": "CronJob",
            "metadata": {"name": (name), "creationTimestamp": null},
            "spec": {
                "schedule": (self.schedule.as_str()),
                "jobTemplate": {
                    "metadata": {"name": (name), "creationTimestamp": null},
                    "spec": (spec(name, &self.image, &self.restart, &self.command))
                }
            },
            "status": {}
        })
    }
}

fn spec(name: &str, image: &str, restart: &str, command: &[String]) -> Value {
    let mut container = value!({"image": (image), "name": (name), "resources": {}});
    if !command.is_empty() {
        container.set_at(&["command"], command.to_vec());
    }
    value!({"template": {
        "metadata": {"creationTimestamp": null},
        "spec": {"containers": [(container)], "restartPolicy": (restart)}
    }})
}
