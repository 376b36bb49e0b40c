//! A pod's `/etc/hosts` and its host name.
//!
//! Follows pkg/kubelet/kubelet_pods.go, ensureHostsFile and
//! GeneratePodHostNameAndDomain.

use std::fmt::Write;

use typed::Typed;
use typed::api::core::v1::Pod;

use crate::pod::{is_host_network, spec};

const HEADER: &str = "# Kubernetes-managed hosts file.\n";
const HEADER_NODE: &str = "# Kubernetes-managed hosts file (host network).\n";
const HOSTNAME_MAX: usize = 63;

/// A pod's host name and the domain that it is in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostName {
    /// The name without dots.
    pub name: String,
    /// `subdomain.namespace.svc.domain`, if the pod has a subdomain.
    pub domain: String,
    /// What the kernel tells programs.
    pub kernel: String,
}

/// The host name of a pod.
pub fn host_name(pod: &Pod, cluster_domain: &str) -> Result<HostName, String> {
    let spec = spec(pod);
    if let Some(name) = spec
        .hostname_override
        .as_deref()
        .filter(|name| !name.is_empty())
    {
        return Ok(HostName {
            name: name.to_owned(),
            domain: String::new(),
            kernel: name.to_owned(),
        });
    }
    let own = spec.hostname.as_deref().filter(|name| !name.is_empty());
    let name = truncate(own.unwrap_or(pod.name()));
    let subdomain = spec.subdomain.as_deref().filter(|name| !name.is_empty());
    let domain = subdomain.map_or_else(String::new, |subdomain| {
        format!("{subdomain}.{}.svc.{cluster_domain}", pod.namespace())
    });
    let kernel = if spec.set_hostname_as_fqdn == Some(true) && !domain.is_empty() {
        let whole = format!("{name}.{domain}");
        if whole.len() > 64 {
            return Err(format!(
                "Failed to construct FQDN from Pod hostname and cluster domain, FQDN {whole} is too long (64 characters is the max, {} characters requested)",
                whole.len()
            ));
        }
        whole
    } else {
        name.clone()
    };
    Ok(HostName {
        name,
        domain,
        kernel,
    })
}

/// Cuts to what the kernel takes, without ending in a separator.
fn truncate(name: &str) -> String {
    let cut: String = name.chars().take(HOSTNAME_MAX).collect();
    cut.trim_end_matches(['-', '.']).to_owned()
}

/// The text of the file. `node` is the node's own file, for pods in its network.
pub fn hosts_file(pod: &Pod, ips: &[String], host_name: &HostName, node: &str) -> String {
    let mut text = if is_host_network(pod) {
        format!("{HEADER_NODE}{node}")
    } else {
        managed(ips, host_name)
    };
    let aliases = spec(pod).host_aliases.as_deref().unwrap_or_default();
    if !aliases.is_empty() {
        text.push_str("\n# Entries added by HostAliases.\n");
    }
    for alias in aliases {
        let names = alias.hostnames.clone().unwrap_or_default().join("\t");
        let _ = writeln!(text, "{}\t{names}", alias.ip);
    }
    text
}

fn managed(ips: &[String], host_name: &HostName) -> String {
    let mut text = String::from(HEADER);
    text.push_str("127.0.0.1\tlocalhost\n");
    text.push_str("::1\tlocalhost ip6-localhost ip6-loopback\n");
    text.push_str("fe00::0\tip6-localnet\n");
    text.push_str("fe00::0\tip6-mcastprefix\n");
    text.push_str("fe00::1\tip6-allnodes\n");
    text.push_str("fe00::2\tip6-allrouters\n");
    let HostName { name, domain, .. } = host_name;
    for ip in ips {
        let _ = match domain.as_str() {
            "" => writeln!(text, "{ip}\t{name}"),
            domain => writeln!(text, "{ip}\t{name}.{domain}\t{name}"),
        };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::pod;
    use expect_test::expect;
    use serde_json::json;

    #[test]
    fn a_pod_finds_itself_and_its_aliases() {
        let pod = pod(json!({
            "hostname": "one", "subdomain": "web",
            "hostAliases": [{"ip": "192.0.2.9", "hostnames": ["a", "b"]}],
        }));
        let name = host_name(&pod, "cluster.local").unwrap();
        expect![[r#"
            # Kubernetes-managed hosts file.
            127.0.0.1	localhost
            ::1	localhost ip6-localhost ip6-loopback
            fe00::0	ip6-localnet
            fe00::0	ip6-mcastprefix
            fe00::1	ip6-allnodes
            fe00::2	ip6-allrouters
            10.42.0.7	one.web.default.svc.cluster.local	one

            # Entries added by HostAliases.
            192.0.2.9	a	b
        "#]]
        .assert_eq(&hosts_file(&pod, &["10.42.0.7".into()], &name, ""));
    }

    #[test]
    fn long_names_are_cut() {
        let long = format!("{}-{}", "a".repeat(62), "b");
        let pod = pod(json!({"hostname": long}));
        assert_eq!(host_name(&pod, "x").unwrap().name, "a".repeat(62));
    }
}
