//! The commands, a file each, and their table.

use crate::error::Result;
use crate::shell::Shell;
use clap::Subcommand;

macro_rules! commands {
    ($($(#[$note:meta])* $name:ident => $module:ident,)*) => {
        /// A command with its arguments.
        #[derive(Debug, Subcommand)]
        pub enum Command {
            $($(#[$note])* $name(Box<$module::Args>),)*
        }

        impl Command {
            /// Runs the command.
            pub async fn run(self, shell: &Shell) -> Result {
                match self {
                    $(Command::$name(args) => $module::run(shell, *args).await,)*
                }
            }
        }
    };
}

pub mod annotate;
pub mod api_resources;
pub mod api_versions;
pub mod apply;
pub mod attach;
pub mod auth;
pub mod autoscale;
pub mod certificate;
pub mod cluster_info;
pub mod completion;
pub mod config;
pub mod cordon;
pub mod cp;
pub mod create;
pub mod debug;
pub mod delete;
pub mod describe;
pub mod diff;
pub mod drain;
pub mod edit;
pub mod events;
pub mod exec;
pub mod explain;
pub mod expose;
pub mod get;
pub mod kuberc;
pub mod kustomize;
pub mod label;
pub mod logs;
pub mod options;
pub mod patch;
pub mod plugin;
pub mod port_forward;
pub mod proxy;
pub mod replace;
pub mod rollout;
pub mod run;
pub mod scale;
pub mod set;
pub mod taint;
pub mod top;
pub mod uncordon;
pub mod version;
pub mod wait;

commands! {
    /// Update the annotations on a resource.
    Annotate => annotate,
    /// Print the supported API resources on the server.
    ApiResources => api_resources,
    /// Print the supported API versions on the server, in the form of "group/version".
    ApiVersions => api_versions,
    /// Apply a configuration to a resource by file name or stdin.
    Apply => apply,
    /// Attach to a running container.
    Attach => attach,
    /// Inspect authorization.
    Auth => auth,
    /// Auto-scale a deployment, replica set, stateful set, or replication controller.
    Autoscale => autoscale,
    /// Modify certificate resources.
    Certificate => certificate,
    /// Display cluster information.
    ClusterInfo => cluster_info,
    /// Output shell completion code for the specified shell (bash, zsh, or fish).
    Completion => completion,
    /// Modify kubeconfig files.
    Config => config,
    /// Mark node as unschedulable.
    Cordon => cordon,
    /// Copy files and directories to and from containers.
    Cp => cp,
    /// Create a resource from a file or from stdin.
    Create => create,
    /// Create debugging sessions for troubleshooting workloads and nodes.
    Debug => debug,
    /// Delete resources by file names, stdin, resources and names, or by resources and label selector.
    Delete => delete,
    /// Show details of a specific resource or group of resources.
    Describe => describe,
    /// Diff the live version against a would-be applied version.
    Diff => diff,
    /// Drain node in preparation for maintenance.
    Drain => drain,
    /// Edit a resource on the server.
    Edit => edit,
    /// List events.
    Events => events,
    /// Execute a command in a container.
    Exec => exec,
    /// Get documentation for a resource.
    Explain => explain,
    /// Expose a replication controller, service, deployment or pod as a new Kubernetes service.
    Expose => expose,
    /// Display one or many resources.
    Get => get,
    /// Manage kuberc configuration files.
    Kuberc => kuberc,
    /// Build a kustomization target from a directory.
    Kustomize => kustomize,
    /// Update the labels on a resource.
    Label => label,
    /// Print the logs for a container in a pod.
    Logs => logs,
    /// Print the list of flags inherited by all commands.
    Options => options,
    /// Update fields of a resource.
    Patch => patch,
    /// Provides utilities for interacting with plugins.
    Plugin => plugin,
    /// Forward one or more local ports to a pod.
    PortForward => port_forward,
    /// Run a proxy to the Kubernetes API server.
    Proxy => proxy,
    /// Replace a resource by file name or stdin.
    Replace => replace,
    /// Manage the rollout of a resource.
    Rollout => rollout,
    /// Run a particular image on the cluster.
    Run => run,
    /// Set a new size for a deployment, replica set, or replication controller.
    Scale => scale,
    /// Set specific features on objects.
    Set => set,
    /// Update the taints on one or more nodes.
    Taint => taint,
    /// Display resource (CPU/memory) usage.
    Top => top,
    /// Mark node as schedulable.
    Uncordon => uncordon,
    /// Print the client and server version information.
    Version => version,
    /// Wait for a specific condition on one or many resources.
    Wait => wait,
}
