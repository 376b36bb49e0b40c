//! `create deployment`.

use super::Common;
use crate::error::{Result, said};
use meta::{Value, value};

/// The arguments.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    name: String,
    /// Image names to run.
    #[arg(long, value_delimiter = ',', required = true)]
    image: Vec<String>,
    /// The container port that this deployment exposes.
    #[arg(long, default_value_t = -1)]
    port: i64,
    /// Number of replicas to create.
    #[arg(short, long, default_value_t = 1)]
    replicas: i64,
    /// The command of the container.
    #[arg(last = true)]
    command: Vec<String>,
    #[command(flatten)]
    pub(super) common: Common,
}

impl Args {
    pub(super) fn object(&self) -> Result<Value> {
        if self.image.len() > 1 && !self.command.is_empty() {
            return said("cannot specify multiple --image options and command");
        }
        let containers: Vec<Value> = self
            .image
            .iter()
            .map(|image| self.container(image))
            .collect();
        let name = self.name.as_str();
        Ok(value!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": (name), "labels": {"app": (name)}, "creationTimestamp": null},
            "spec": {
                "replicas": (self.replicas),
                "selector": {"matchLabels": {"app": (name)}},
                "strategy": {},
                "template": {
                    "metadata": {"labels": {"app": (name)}, "creationTimestamp": null},
                    "spec": {"containers": (containers)}
                }
            },
            "status": {}
        }))
    }

    fn container(&self, image: &str) -> Value {
        let mut container =
            value!({"image": (image), "name": (container_name(image)), "resources": {}});
        if self.port >= 0 {
            container.set_at(&["ports"], vec![value!({"containerPort": (self.port)})]);
        }
        if !self.command.is_empty() {
            container.set_at(&["command"], self.command.clone());
        }
        container
    }
}

/// A container's name from its image: the last word of the repository.
fn container_name(image: &str) -> String {
    let last = image.rsplit('/').next().unwrap_or(image);
    let name = last.split(['@', ':']).next().unwrap_or(last);
    name.chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_lowercase()
            } else {
                '-'
            }
        })
        .collect::<String>()
        .trim_matches('-')
        .to_string()
}
