//! From a container's configuration and its image's defaults to the process that
//! is to run.

use crate::config::{ContainerConfig, SandboxConfig};

/// Where programs are looked for when neither image nor pod says so.
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Program and arguments: the pod's command replaces the image's entrypoint and
/// with it the image's arguments. Follows pkg/kubelet/container/helpers.go and
/// containerd's internal/cri/opts.
pub fn arguments(config: &ContainerConfig) -> Vec<String> {
    let image = &config.image.defaults;
    let (mut command, mut args) = (config.command.clone(), config.args.clone());
    if command.is_empty() {
        if args.is_empty() {
            args.clone_from(&image.cmd);
        }
        command.clone_from(&image.entrypoint);
    }
    command.append(&mut args);
    command
}

/// The environment as `NAME=value`: the image's, then the pod's; a later value of
/// a name replaces the earlier one.
pub fn environment(config: &ContainerConfig, sandbox: &SandboxConfig) -> Vec<String> {
    let mut all = vec![PATH.to_owned()];
    let mut set = |entry: String| {
        let name = |one: &str| one.split('=').next().unwrap_or_default().to_owned();
        match all.iter_mut().find(|one| name(one) == name(&entry)) {
            Some(one) => *one = entry,
            None => all.push(entry),
        }
    };
    if config.tty {
        set("TERM=xterm".to_owned());
    }
    set(format!("HOSTNAME={}", hostname(sandbox)));
    config.image.defaults.env.iter().cloned().for_each(&mut set);
    for var in &config.env {
        set(format!("{}={}", var.name, var.value));
    }
    all
}

/// The host name inside a sandbox.
pub fn hostname(sandbox: &SandboxConfig) -> String {
    if sandbox.hostname.is_empty() {
        rustix::system::uname()
            .nodename()
            .to_string_lossy()
            .into_owned()
    } else {
        sandbox.hostname.clone()
    }
}

/// The directory that the process starts in.
pub fn working_directory(config: &ContainerConfig) -> String {
    let candidates = [&config.working_dir, &config.image.defaults.working_dir];
    let first = candidates
        .into_iter()
        .find(|directory| !directory.is_empty());
    first.cloned().unwrap_or_else(|| "/".to_owned())
}

/// The signal that asks it to end.
pub fn stop_signal(config: &ContainerConfig) -> i32 {
    let candidates = [&config.stop_signal, &config.image.defaults.stop_signal];
    let named = candidates.into_iter().find(|name| !name.is_empty());
    named
        .and_then(|name| linux::process::signal_number(name))
        .unwrap_or(SIGTERM)
}

const SIGTERM: i32 = 15;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{EnvVar, Image, ImageDefaults};

    fn config(command: &[&str], args: &[&str]) -> ContainerConfig {
        let words = |list: &[&str]| list.iter().map(|word| (*word).to_owned()).collect();
        let defaults = ImageDefaults {
            entrypoint: words(&["entry", "point"]),
            cmd: words(&["cmd"]),
            env: words(&["PATH=/image", "A=1", "B=2"]),
            ..ImageDefaults::default()
        };
        let image = Image {
            defaults,
            ..Image::default()
        };
        ContainerConfig {
            command: words(command),
            args: words(args),
            image,
            ..Default::default()
        }
    }

    #[test]
    fn command_and_args_replace_those_of_the_image() {
        assert_eq!(arguments(&config(&[], &[])), ["entry", "point", "cmd"]);
        assert_eq!(arguments(&config(&["run"], &[])), ["run"]);
        assert_eq!(arguments(&config(&[], &["x"])), ["entry", "point", "x"]);
        assert_eq!(arguments(&config(&["run"], &["x"])), ["run", "x"]);
    }

    #[test]
    fn later_variables_win() {
        let mut config = config(&[], &[]);
        let var = |name: &str, value: &str| EnvVar {
            name: name.into(),
            value: value.into(),
        };
        config.env = vec![var("B", "3"), var("C", "a=b"), var("B", "4")];
        let sandbox = SandboxConfig {
            hostname: "web-0".into(),
            ..Default::default()
        };
        let environment = environment(&config, &sandbox);
        assert_eq!(
            environment,
            ["PATH=/image", "HOSTNAME=web-0", "A=1", "B=4", "C=a=b"]
        );
    }

    #[test]
    fn the_stop_signal_is_the_pods_or_the_images() {
        let mut config = config(&[], &[]);
        assert_eq!(stop_signal(&config), 15);
        config.image.defaults.stop_signal = "SIGQUIT".into();
        assert_eq!(stop_signal(&config), 3);
        config.stop_signal = "SIGUSR1".into();
        assert_eq!(stop_signal(&config), 10);
    }
}
