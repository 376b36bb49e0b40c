//! From a container of a pod to what the runtime runs.
//!
//! Follows pkg/kubelet/kuberuntime/kuberuntime_container.go,
//! generateContainerConfig, and kubelet_pods.go, makeMounts.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use container::config::{ContainerConfig, EnvVar, Image, Mount, MountPropagation, NamespaceMode};
use typed::Typed;
use typed::api::core::v1::{Container, Pod, Volume, VolumeMount};

use crate::config::Config;
use crate::env::expand::expand_noting;
use crate::env::expand_all;
use crate::labels::{TERMINATION_MESSAGE_FILE, container_annotations, container_labels};
use crate::observed::Observed;
use crate::pod::{ephemeral_containers, is_host_network, spec, stop_signal};
use crate::resources::{NodeMemory, container_limits};
use crate::security::{SecurityError, security};
use crate::volumes::Mounted;

/// A container's configuration cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The security contexts do not fit.
    #[error(transparent)]
    Security(#[from] SecurityError),
    /// A volume that is mounted is not there.
    #[error("cannot find volume \"{volume}\" to mount into container \"{container}\"")]
    Volume {
        /// The volume.
        volume: String,
        /// The container.
        container: String,
    },
    /// A part of a volume cannot be mounted.
    #[error(
        "failed to prepare subPath for volumeMount \"{mount}\" of container \"{container}\": {path:?} leads out of the volume"
    )]
    SubPath {
        /// The volume.
        mount: String,
        /// The container.
        container: String,
        /// What is asked for.
        path: String,
    },
    /// A subPathExpr has names without values.
    #[error("missing value for {0}")]
    Expression(String),
    /// What is asked of a mount does not go together.
    #[error("{0}")]
    Mount(String),
    /// A file cannot be made.
    #[error("cannot {operation} {path:?}: {source}")]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
}

/// What is not in the pod itself.
pub struct ContainerParts<'a> {
    /// The kubelet's configuration.
    pub config: &'a Config,
    /// The image that it runs.
    pub image: Image,
    /// Containers of this name before this one.
    pub attempt: u32,
    /// Its environment.
    pub environment: Vec<EnvVar>,
    /// Where the pod's volumes are.
    pub volumes: &'a Mounted,
    /// The pod's own directory.
    pub pod_directory: PathBuf,
    /// The pod's hosts file, if it has one.
    pub hosts: Option<PathBuf>,
    /// The node's memory.
    pub memory: NodeMemory,
    /// The containers that run, for a debugging container's target.
    pub observed: &'a Observed,
    /// A number that was never used for this container's message file.
    pub serial: u64,
}

/// The configuration of a container.
pub fn container_config(
    pod: &Pod,
    container: &Container,
    parts: ContainerParts<'_>,
) -> Result<ContainerConfig, ConfigError> {
    let security = security(pod, container, &parts.image.defaults, parts.config)?;
    let mut mounts = volume_mounts(pod, container, &parts)?;
    let mounts_at = |path: &str| {
        let mut own = container.volume_mounts.iter().flatten();
        own.any(|mount| mount.mount_path == path)
    };
    if let Some(hosts) = parts.hosts.clone().filter(|_| !mounts_at("/etc/hosts")) {
        mounts.push(Mount {
            container_path: PathBuf::from("/etc/hosts"),
            host_path: hosts,
            readonly: security.readonly_rootfs,
            ..Mount::default()
        });
    }
    let mut annotations = container_annotations(pod, container, parts.attempt);
    let message_path = container.termination_message_path.as_deref();
    if let Some(path) = message_path.filter(|path| !path.is_empty()) {
        let file = message_file(&parts.pod_directory, container, parts.serial)?;
        annotations.insert(
            TERMINATION_MESSAGE_FILE.to_owned(),
            file.to_string_lossy().into_owned(),
        );
        mounts.push(Mount {
            container_path: PathBuf::from(path),
            host_path: file,
            ..Mount::default()
        });
    }
    Ok(ContainerConfig {
        name: container.name.clone(),
        attempt: parts.attempt,
        command: expand_all(container.command.as_deref(), &parts.environment),
        args: expand_all(container.args.as_deref(), &parts.environment),
        working_dir: container.working_dir.clone().unwrap_or_default(),
        env: parts.environment,
        mounts,
        devices: Vec::new(),
        resources: container_limits(pod, container, parts.memory),
        security,
        stdin: container.stdin == Some(true),
        stdin_once: container.stdin_once == Some(true),
        tty: container.tty == Some(true),
        stop_signal: stop_signal(container).unwrap_or_default().to_owned(),
        log_path: Some(log_path(&container.name, parts.attempt)),
        labels: container_labels(pod, container),
        annotations,
        pid: target(pod, container, parts.observed),
        image: parts.image,
    })
}

/// The log file below the pod's log directory.
pub fn log_path(container: &str, attempt: u32) -> PathBuf {
    PathBuf::from(format!("{container}/{attempt}.log"))
}

/// Whose processes a debugging container sees.
fn target(pod: &Pod, container: &Container, observed: &Observed) -> Option<NamespaceMode> {
    let debug = ephemeral_containers(pod)
        .iter()
        .find(|debug| debug.name == container.name)?;
    let target = debug.target_container_name.as_deref()?;
    let running = observed.active(target)?;
    Some(NamespaceMode::Target(running.id.clone()))
}

fn message_file(
    pod_directory: &Path,
    container: &Container,
    serial: u64,
) -> Result<PathBuf, ConfigError> {
    use std::os::unix::fs::PermissionsExt;
    let directory = pod_directory.join("containers").join(&container.name);
    let file = directory.join(format!("{serial:08x}"));
    let failed = |operation, path: &Path, source| ConfigError::Io {
        operation,
        path: path.to_owned(),
        source,
    };
    std::fs::create_dir_all(&directory).map_err(|error| failed("create", &directory, error))?;
    std::fs::File::create(&file).map_err(|error| failed("create", &file, error))?;
    // Any user of the container may write it.
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o666))
        .map_err(|error| failed("change mode of", &file, error))?;
    Ok(file)
}

fn volume_mounts(
    pod: &Pod,
    container: &Container,
    parts: &ContainerParts<'_>,
) -> Result<Vec<Mount>, ConfigError> {
    let mounts = container.volume_mounts.iter().flatten();
    mounts
        .map(|mount| volume_mount(pod, container, mount, parts))
        .collect()
}

fn volume_mount(
    pod: &Pod,
    container: &Container,
    mount: &VolumeMount,
    parts: &ContainerParts<'_>,
) -> Result<Mount, ConfigError> {
    let Some(source) = parts.volumes.get(&mount.name) else {
        return Err(ConfigError::Volume {
            volume: mount.name.clone(),
            container: container.name.clone(),
        });
    };
    let part = part(mount, &parts.environment)?;
    let inside = Path::new(&part)
        .components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if !inside {
        return Err(ConfigError::SubPath {
            mount: mount.name.clone(),
            container: container.name.clone(),
            path: part,
        });
    }
    let volume = find_volume(pod, &mount.name);
    if volume.is_some_and(|volume| volume.image.is_some()) {
        return Ok(image_mount(mount, source, part));
    }
    let always_read_only = volume.is_some_and(|volume| {
        volume.config_map.is_some()
            || volume.secret.is_some()
            || volume.downward_api.is_some()
            || volume.projected.is_some()
    });
    Ok(Mount {
        container_path: absolute(&mount.mount_path),
        host_path: source.clone(),
        // Followed by the runtime without leaving the volume.
        sub_path: Some(PathBuf::from(part)).filter(|part| !part.as_os_str().is_empty()),
        readonly: mount.read_only == Some(true) || always_read_only,
        recursive_readonly: recursive(mount)?,
        propagation: propagation(mount)?,
    })
}

/// An image is read, whatever else is asked for; it is one mount that passes
/// nothing on.
fn image_mount(mount: &VolumeMount, source: &Path, part: String) -> Mount {
    Mount {
        container_path: absolute(&mount.mount_path),
        host_path: source.to_owned(),
        sub_path: Some(PathBuf::from(part)).filter(|part| !part.as_os_str().is_empty()),
        readonly: true,
        ..Mount::default()
    }
}

fn find_volume<'a>(pod: &'a Pod, name: &str) -> Option<&'a Volume> {
    let mut volumes = spec(pod).volumes.iter().flatten();
    volumes.find(|volume| volume.name == name)
}

fn absolute(path: &str) -> PathBuf {
    Path::new("/").join(path)
}

/// The part of the volume that is wanted: literally, or by variables.
fn part(mount: &VolumeMount, environment: &[EnvVar]) -> Result<String, ConfigError> {
    let expression = mount.sub_path_expr.as_deref().unwrap_or_default();
    if expression.is_empty() {
        return Ok(mount.sub_path.clone().unwrap_or_default());
    }
    let values: BTreeMap<&str, &str> = environment
        .iter()
        .map(|variable| (variable.name.as_str(), variable.value.as_str()))
        .collect();
    let mut missing = Vec::new();
    let lookup = |name: &str| values.get(name).map(|value| (*value).to_owned());
    let path = expand_noting(expression, lookup, |name| missing.push(name.to_owned()));
    if missing.is_empty() {
        Ok(path)
    } else {
        Err(ConfigError::Expression(missing.join(", ")))
    }
}

fn recursive(mount: &VolumeMount) -> Result<bool, ConfigError> {
    let wanted = match mount.recursive_read_only.as_deref() {
        None | Some("Disabled") => return Ok(false),
        Some("Enabled" | "IfPossible") => true,
        Some(other) => {
            let text = format!("unknown recursive read-only mode \"{other}\"");
            return Err(ConfigError::Mount(text));
        }
    };
    let name = &mount.name;
    if mount.read_only != Some(true) {
        let text = format!(
            "volume \"{name}\" requested recursive read-only mode, but it is not read-only"
        );
        return Err(ConfigError::Mount(text));
    }
    match mount.mount_propagation.as_deref() {
        None | Some("None") => Ok(wanted),
        Some(propagation) => Err(ConfigError::Mount(format!(
            "volume \"{name}\" requested recursive read-only mode, but it is not compatible with propagation \"{propagation}\""
        ))),
    }
}

fn propagation(mount: &VolumeMount) -> Result<MountPropagation, ConfigError> {
    match mount.mount_propagation.as_deref() {
        None | Some("None") => Ok(MountPropagation::Private),
        Some("HostToContainer") => Ok(MountPropagation::HostToContainer),
        Some("Bidirectional") => Ok(MountPropagation::Bidirectional),
        Some(other) => {
            let text = format!("invalid MountPropagation mode: \"{other}\"");
            Err(ConfigError::Mount(text))
        }
    }
}

/// Whether the kubelet writes a hosts file for the pod.
pub fn has_hosts_file(pod: &Pod, ips: &[String]) -> bool {
    tracing::trace!(pod = pod.name(), "hosts file");
    is_host_network(pod) || !ips.is_empty()
}
