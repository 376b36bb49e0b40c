//! From the command line, the environment and the configuration file to one
//! checked configuration. The command line wins over the environment, and that
//! over the file.

use crate::cli::{Cli, Command};
use crate::component_args;
use crate::instance::Instance;
use crate::server_args::ServerArgs;
use anyhow::{Context as _, Result, bail};
use clap::{CommandFactory as _, Parser as _};
use linux::cidr::Cidr;
use meta::Value;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

/// Parts that can be told not to run.
const PARTS: [&str; 4] = ["controllers", "dns", "proxy", "scheduler"];

/// Reads the command line, and for a server its configuration file.
pub fn parse() -> Result<Cli> {
    let given: Vec<OsString> = std::env::args_os().collect();
    let cli = Cli::parse_from(&given);
    let (Command::Server(args) | Command::Check(args)) = &cli.command else {
        return Ok(cli);
    };
    let from_file = read_files(&args.config)?;
    if from_file.is_empty() {
        return Ok(cli);
    }
    // Options of the file stand before those of the command line, which win;
    // the environment wins over the file.
    let mut all: Vec<OsString> = given.iter().take(2).cloned().collect();
    all.extend(
        from_file
            .into_iter()
            .filter(|(key, _)| !is_in_environment(key))
            .map(|(_, arg)| arg.into()),
    );
    all.extend(given.into_iter().skip(2));
    Ok(Cli::parse_from(all))
}

fn is_in_environment(key: &str) -> bool {
    let command = Cli::command();
    let server = command.find_subcommand("server");
    let found = server.and_then(|s| s.get_arguments().find(|a| a.get_long() == Some(key)));
    found
        .and_then(|a| a.get_env())
        .is_some_and(|name| std::env::var_os(name).is_some())
}

/// The options of the configuration file and of those in the folder beside it
/// (`config.yaml.d`, in the order of their names), as arguments.
fn read_files(path: &Path) -> Result<Vec<(String, String)>> {
    let mut merged = Options::new();
    merge_file(path, &mut merged)?;
    let mut folder = path.as_os_str().to_os_string();
    folder.push(".d");
    for file in files_of(Path::new(&folder))? {
        merge_file(&file, &mut merged)?;
    }
    let arguments = merged.into_iter().flat_map(|(key, values)| {
        let argument = move |value: String| match value.as_str() {
            "true" => Some((key.clone(), format!("--{key}"))),
            "false" => None,
            value => Some((key.clone(), format!("--{key}={value}"))),
        };
        values.into_iter().filter_map(argument).collect::<Vec<_>>()
    });
    Ok(arguments.collect())
}

/// Options and their values.
type Options = BTreeMap<String, Vec<String>>;

/// YAML files of a folder, by name. No folder has none.
fn files_of(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => {
            return Err(error).with_context(|| format!("list {}", folder.display()));
        }
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry
            .with_context(|| format!("list {}", folder.display()))?
            .path();
        if path.extension().is_some_and(|e| e == "yaml" || e == "yml") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// A later file's value replaces an earlier one's; one for `key+` is added to it.
fn merge_file(path: &Path, merged: &mut Options) -> Result<()> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => {
            return Err(error).with_context(|| format!("read configuration {}", path.display()));
        }
    };
    let value = codec::yaml::parse(&text)
        .with_context(|| format!("read configuration {}", path.display()))?;
    if value.is_null() {
        return Ok(());
    }
    let Some(map) = value.as_object() else {
        bail!("configuration {} is not a map of options", path.display());
    };
    for (key, value) in map.iter() {
        let values = match value {
            Value::Array(items) => items.iter().map(text_of).collect(),
            other => vec![text_of(other)],
        };
        match key.strip_suffix('+') {
            Some(key) => merged.entry(key.to_string()).or_default().extend(values),
            None => drop(merged.insert(key.to_string(), values)),
        }
    }
    Ok(())
}

fn text_of(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_json(), str::to_string)
}

/// A server's configuration, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// The options.
    pub args: ServerArgs,
    /// The instance.
    pub instance: Instance,
    /// The node's name.
    pub node_name: String,
    /// Where pods' addresses come from.
    pub cluster_cidr: Cidr,
    /// Where Services' addresses come from.
    pub service_cidr: Cidr,
    /// The API server's own Service address.
    pub service_ip: Ipv4Addr,
    /// The address of cluster DNS.
    pub cluster_dns: Ipv4Addr,
    /// The first and last node port.
    pub node_ports: (u16, u16),
}

impl Config {
    /// Checks the options of a server.
    pub fn new(args: ServerArgs) -> Result<Self> {
        let args = component_args::translate(args)?;
        let instance = Instance::of(&args.data_dir);
        let cluster_cidr = cidr("cluster-cidr", &args.cluster_cidr)?;
        let service_cidr = cidr("service-cidr", &args.service_cidr)?;
        let (base, _) = ipv4_parts(&service_cidr);
        let nth = |n: u32| Ipv4Addr::from(u32::from(base).wrapping_add(n));
        let cluster_dns = args.cluster_dns.unwrap_or_else(|| nth(10));
        check_ranges(&cluster_cidr, &service_cidr, cluster_dns)?;
        for part in &args.disable {
            if !PARTS.contains(&part.as_str()) {
                bail!(
                    "--disable: unknown part {part:?}; known are {}",
                    PARTS.join(", ")
                );
            }
        }
        let node_name = match &args.node_name {
            Some(name) => name.to_lowercase(),
            None => hostname()?.to_lowercase(),
        };
        if let Some(complaint) = meta::names::dns1123_subdomain(&node_name).first() {
            bail!("--node-name: {node_name:?}: {complaint}");
        }
        let node_ports = port_range(&args.service_node_port_range)?;
        let service_ip = nth(1);
        Ok(Config {
            args,
            instance,
            node_name,
            cluster_cidr,
            service_cidr,
            service_ip,
            cluster_dns,
            node_ports,
        })
    }

    /// Whether a part runs.
    pub fn runs(&self, part: &str) -> bool {
        !self.args.disable.iter().any(|p| p == part)
    }
}

fn cidr(option: &str, text: &str) -> Result<Cidr> {
    let cidr: Cidr = text
        .parse()
        .map_err(|e| anyhow::anyhow!("--{option}: {text:?}: {e}"))?;
    if !text.contains('.') {
        bail!("--{option}: {text:?}: IPv6 is not supported yet");
    }
    Ok(cidr)
}

/// Refuses ranges that leave no address for pods or none for cluster DNS.
/// Services may have a part of the pods' range: no node gets that part.
fn check_ranges(pods: &Cidr, services: &Cidr, dns: Ipv4Addr) -> Result<()> {
    if services.contains(pods) {
        bail!(
            "--service-cidr: {services} leaves no address of --cluster-cidr {pods} for pods\nhint: choose ranges that do not overlap"
        );
    }
    if !services.holds(dns.into()) {
        bail!(
            "--cluster-dns: {dns} is not in --service-cidr {services}\nhint: choose an address or a wider range"
        );
    }
    Ok(())
}

/// The first address and the prefix length of an IPv4 range.
pub fn ipv4_parts(cidr: &Cidr) -> (Ipv4Addr, u8) {
    let text = cidr.to_string();
    let (address, length) = text.split_once('/').unwrap_or((&text, "32"));
    (
        address.parse().unwrap_or(Ipv4Addr::UNSPECIFIED),
        length.parse().unwrap_or(32),
    )
}

fn port_range(text: &str) -> Result<(u16, u16)> {
    let parts = text
        .split_once('-')
        .and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
    match parts.filter(|(first, last)| first <= last && *first > 0) {
        Some(range) => Ok(range),
        None => bail!("--service-node-port-range: {text:?} is not of the form 30000-32767"),
    }
}

fn hostname() -> Result<String> {
    let name =
        std::fs::read_to_string("/proc/sys/kernel/hostname").context("read the host's name")?;
    Ok(name.trim().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pods: &str, services: &str, dns: &str) -> String {
        let range = |text| cidr("cidr", text).unwrap();
        let dns = dns.parse().unwrap();
        match check_ranges(&range(pods), &range(services), dns) {
            Ok(()) => "ok".to_string(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn ranges_leave_room() {
        assert_eq!(check("10.42.0.0/16", "10.43.0.0/16", "10.43.0.10"), "ok");
        assert_eq!(check("10.0.0.0/8", "10.43.0.0/16", "10.43.0.10"), "ok");
        let same = check("10.42.0.0/16", "10.42.0.0/16", "10.42.0.10");
        assert!(same.starts_with("--service-cidr: 10.42.0.0/16 leaves no address"));
        let outside = check("10.42.0.0/16", "10.43.0.0/29", "10.43.0.10");
        assert!(outside.starts_with("--cluster-dns: 10.43.0.10 is not in"));
    }

    #[test]
    fn later_files_replace_or_add() {
        let dir = tempfile::tempdir().expect("a directory");
        let write = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
            std::fs::write(path, text).expect("a file");
        };
        write(
            "config.yaml",
            "node-label: [a=1]\ntoken: one\ndisable-agent: true\n",
        );
        write(
            "config.yaml.d/20.yaml",
            "node-label+: [c=3]\ndisable-agent: false\n",
        );
        write("config.yaml.d/10.yaml", "node-label+: b=2\ntoken: two\n");
        write("config.yaml.d/notes.txt", "[");
        let read = read_files(&dir.path().join("config.yaml")).expect("options");
        let arguments: Vec<&str> = read.iter().map(|(_, argument)| argument.as_str()).collect();
        assert_eq!(
            arguments,
            [
                "--node-label=a=1",
                "--node-label=b=2",
                "--node-label=c=3",
                "--token=two"
            ]
        );
        let absent = read_files(&dir.path().join("absent.yaml"));
        assert!(absent.expect("no options").is_empty());
    }
}
