//! A pod's `resolv.conf`.
//!
//! Follows pkg/kubelet/network/dns/dns.go.

use container::config::DnsConfig;
use typed::Typed;
use typed::api::core::v1::Pod;

use crate::config::Config;
use crate::pod::{is_host_network, spec};

const SERVERS_MAX: usize = 3;
const SEARCHES_MAX: usize = 32;
const SEARCH_LENGTH_MAX: usize = 2048;

/// The resolver of a pod. `host` is the text of the node's own file.
pub fn resolver(pod: &Pod, config: &Config, host: &str) -> DnsConfig {
    let mut resolver = match policy(pod, config) {
        Policy::Cluster => cluster(pod, config, host),
        Policy::Node => parse(host),
        Policy::None => DnsConfig::default(),
    };
    append(&mut resolver, pod);
    limit(&mut resolver);
    resolver
}

enum Policy {
    Cluster,
    Node,
    None,
}

fn policy(pod: &Pod, config: &Config) -> Policy {
    match spec(pod).dns_policy.as_deref().unwrap_or("ClusterFirst") {
        "None" => Policy::None,
        "Default" => Policy::Node,
        "ClusterFirstWithHostNet" if !config.cluster_dns.is_empty() => Policy::Cluster,
        "ClusterFirst" if !is_host_network(pod) && !config.cluster_dns.is_empty() => {
            Policy::Cluster
        }
        _ => Policy::Node,
    }
}

fn cluster(pod: &Pod, config: &Config, host: &str) -> DnsConfig {
    let domain = &config.cluster_domain;
    let mut searches = Vec::new();
    if !domain.is_empty() {
        searches.push(format!("{}.svc.{domain}", pod.namespace()));
        searches.push(format!("svc.{domain}"));
        searches.push(domain.clone());
    }
    for search in parse(host).searches {
        if !searches.contains(&search) {
            searches.push(search);
        }
    }
    DnsConfig {
        servers: config.cluster_dns.clone(),
        searches,
        options: vec!["ndots:5".to_owned()],
    }
}

/// Reads a `resolv.conf`.
pub fn parse(text: &str) -> DnsConfig {
    let mut resolver = DnsConfig::default();
    for line in text.lines() {
        let line = line.trim();
        if line.starts_with(['#', ';']) {
            continue;
        }
        let mut words = line.split_whitespace();
        let rest = |words: std::str::SplitWhitespace<'_>| words.map(str::to_owned).collect();
        match words.next() {
            Some("nameserver") => resolver.servers.extend(words.next().map(str::to_owned)),
            Some("search") => {
                let searches: Vec<String> = rest(words);
                resolver.searches = searches
                    .into_iter()
                    .map(|search| match search.as_str() {
                        "." => search,
                        _ => search.trim_end_matches('.').to_owned(),
                    })
                    .collect();
            }
            Some("options") => resolver.options = rest(words),
            _ => {}
        }
    }
    resolver
}

fn append(resolver: &mut DnsConfig, pod: &Pod) {
    let Some(own) = &spec(pod).dns_config else {
        return;
    };
    let add = |to: &mut Vec<String>, more: &Option<Vec<String>>| {
        for item in more.iter().flatten() {
            if !to.contains(item) {
                to.push(item.clone());
            }
        }
    };
    add(&mut resolver.servers, &own.nameservers);
    add(&mut resolver.searches, &own.searches);
    for option in own.options.iter().flatten() {
        let Some(name) = option.name.as_deref() else {
            continue;
        };
        // The pod's own value wins over one that is there.
        let prefix = format!("{name}:");
        resolver
            .options
            .retain(|known| known != name && !known.starts_with(&prefix));
        resolver.options.push(match option.value.as_deref() {
            Some(value) if !value.is_empty() => format!("{name}:{value}"),
            _ => name.to_owned(),
        });
    }
}

fn limit(resolver: &mut DnsConfig) {
    resolver.servers.truncate(SERVERS_MAX);
    resolver.searches.truncate(SEARCHES_MAX);
    while resolver.searches.join(" ").len() > SEARCH_LENGTH_MAX {
        resolver.searches.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::pod;
    use serde_json::{Value, json};

    const HOST: &str =
        "# comment\nnameserver 192.0.2.53\nsearch example.com. lan\noptions ndots:2\n";

    fn check(spec: Value, want: (&[&str], &[&str], &[&str])) {
        let mut config = Config::new("node1", "/nowhere");
        config.cluster_dns = vec!["10.43.0.10".into()];
        let got = resolver(&pod(spec.clone()), &config, HOST);
        assert_eq!(got.servers, want.0, "{spec}");
        assert_eq!(got.searches, want.1, "{spec}");
        assert_eq!(got.options, want.2, "{spec}");
    }

    #[test]
    fn policies() {
        let cluster: &[&str] = &[
            "default.svc.cluster.local",
            "svc.cluster.local",
            "cluster.local",
            "example.com",
            "lan",
        ];
        let node: (&[&str], &[&str], &[&str]) =
            (&["192.0.2.53"], &["example.com", "lan"], &["ndots:2"]);
        check(json!({}), (&["10.43.0.10"], cluster, &["ndots:5"]));
        check(json!({"hostNetwork": true}), node);
        check(json!({"dnsPolicy": "Default"}), node);
        check(
            json!({"hostNetwork": true, "dnsPolicy": "ClusterFirstWithHostNet"}),
            (&["10.43.0.10"], cluster, &["ndots:5"]),
        );
        check(
            json!({"dnsPolicy": "None", "dnsConfig": {
                "nameservers": ["192.0.2.1"], "searches": ["a.b"],
                "options": [{"name": "ndots", "value": "1"}, {"name": "edns0"}],
            }}),
            (&["192.0.2.1"], &["a.b"], &["ndots:1", "edns0"]),
        );
        check(
            json!({"dnsConfig": {"options": [{"name": "ndots", "value": "2"}]}}),
            (&["10.43.0.10"], cluster, &["ndots:2"]),
        );
    }
}
