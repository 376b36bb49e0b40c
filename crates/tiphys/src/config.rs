//! From the command line, the environment and the configuration file to one
//! checked configuration. The command line wins over the environment, and that
//! over the file.

use crate::cli::{Cli, Command, ServerArgs};
use crate::instance::Instance;
use anyhow::{Context as _, Result, bail};
use clap::{CommandFactory as _, Parser as _};
use linux::cidr::Cidr;
use meta::Value;
use std::ffi::OsString;
use std::net::Ipv4Addr;
use std::path::Path;

/// Parts that can be told not to run.
const PARTS: [&str; 4] = ["controllers", "dns", "proxy", "scheduler"];

/// Reads the command line, and for a server its configuration file.
pub fn parse() -> Result<Cli> {
    let given: Vec<OsString> = std::env::args_os().collect();
    let cli = Cli::parse_from(&given);
    let Command::Server(args) = &cli.command else {
        return Ok(cli);
    };
    let from_file = read_file(&args.config)?;
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

/// The options of a configuration file, as arguments.
fn read_file(path: &Path) -> Result<Vec<(String, String)>> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => {
            return Err(error).with_context(|| format!("read configuration {}", path.display()));
        }
    };
    let value = codec::yaml::parse(&text)
        .with_context(|| format!("read configuration {}", path.display()))?;
    if value.is_null() {
        return Ok(Vec::new());
    }
    let Some(map) = value.as_object() else {
        bail!("configuration {} is not a map of options", path.display());
    };
    let mut out = Vec::new();
    for (key, value) in map.iter() {
        let values = match value {
            Value::Array(items) => items.iter().map(text_of).collect(),
            other => vec![text_of(other)],
        };
        for value in values {
            match value.as_str() {
                "true" => out.push((key.to_string(), format!("--{key}"))),
                "false" => {}
                value => out.push((key.to_string(), format!("--{key}={value}"))),
            }
        }
    }
    Ok(out)
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
}
