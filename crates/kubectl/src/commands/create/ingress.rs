//! `create ingress`.
//!
//! Follows staging/src/k8s.io/kubectl/pkg/cmd/create/create_ingress.go.

use super::Common;
use crate::error::{Result, said};
use meta::{Value, value};

/// The arguments.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    name: String,
    /// Ingress class to be used.
    #[arg(long, default_value = "")]
    class: String,
    /// Rule in format host/path=service:port[,tls=secretname].
    #[arg(long)]
    rule: Vec<String>,
    /// Default service for backend, in format of service:port.
    #[arg(long, default_value = "")]
    default_backend: String,
    /// Annotation of the ingress, in the format annotation=value.
    #[arg(long)]
    annotation: Vec<String>,
    #[command(flatten)]
    pub(super) common: Common,
}

impl Args {
    pub(super) fn object(&self) -> Result<Value> {
        if self.default_backend.is_empty() && self.rule.is_empty() {
            return said(
                "not enough information provided: every ingress has to either specify a default-backend (which catches all traffic) or a list of rules (which catch specific paths)",
            );
        }
        let mut rules = Vec::new();
        for text in &self.rule {
            match Rule::parse(text) {
                Some(rule) => rules.push(rule),
                None => {
                    return said(format!(
                        "rule {text} is invalid and should be in format host/path=svcname:svcport[,tls[=secret]]"
                    ));
                }
            }
        }
        let mut made = value!({
            "apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
            "metadata": {"name": (self.name.as_str()), "creationTimestamp": null},
            "spec": {}, "status": {"loadBalancer": {}}
        });
        for text in &self.annotation {
            let Some((key, value)) = text.split_once('=') else {
                return said(format!(
                    "annotation {text} is invalid and should be in format key=[value]"
                ));
            };
            made.set_at(&["metadata", "annotations", key], value);
        }
        if !self.class.is_empty() {
            made.set_at(&["spec", "ingressClassName"], self.class.as_str());
        }
        if !self.default_backend.is_empty() {
            let Some(backend) = backend(&self.default_backend) else {
                return said("default-backend should be in format servicename:serviceport");
            };
            made.set_at(&["spec", "defaultBackend"], backend);
        }
        if !rules.is_empty() {
            made.set_at(&["spec", "rules"], of_hosts(&rules));
        }
        let secured = secured(&rules);
        if !secured.is_empty() {
            made.set_at(&["spec", "tls"], secured);
        }
        Ok(made)
    }
}

/// `host/path=service:port,tls=secret`, taken apart.
struct Rule<'a> {
    host: &'a str,
    path: &'a str,
    service: &'a str,
    /// The secret's name, empty where TLS is wanted without one.
    secret: Option<&'a str>,
}

impl<'a> Rule<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (rule, secret) = match text.split_once(',') {
            None => (text, None),
            Some((rule, "tls")) => (rule, Some("")),
            Some((rule, tls)) => {
                let secret = tls.strip_prefix("tls=")?;
                (rule, Some(secret).filter(|name| is_name(name)))
            }
        };
        let (host, rest) = rule.split_once('/')?;
        let (path, service) = rest.split_once('=')?;
        let (name, port) = service.split_once(':')?;
        let plain = |text: &str| {
            text.chars()
                .all(|c| c.is_ascii_graphic() && !",=".contains(c))
        };
        let fits = plain(host) && plain(path) && is_name(name) && is_name(port);
        fits.then_some(Rule {
            host,
            path,
            service,
            secret,
        })
    }

    fn http_path(&self) -> Option<Value> {
        let (path, kind) = match self.path.strip_suffix('*') {
            Some(path) => (path, "Prefix"),
            None => (self.path, "Exact"),
        };
        let backend = backend(self.service)?;
        Some(value!({"path": (format!("/{path}")), "pathType": (kind), "backend": (backend)}))
    }
}

fn is_name(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    !text.is_empty() && text.chars().all(plain)
}

/// `service:port`; the port is a number or a name.
fn backend(text: &str) -> Option<Value> {
    let (name, port) = text.split_once(':')?;
    if port.contains(':') {
        return None;
    }
    let port = match port.parse::<i64>() {
        Ok(number) => value!({"number": (number)}),
        Err(_) => value!({"name": (port)}),
    };
    Some(value!({"service": {"name": (name), "port": (port)}}))
}

/// The rules, those of a host together.
fn of_hosts(rules: &[Rule<'_>]) -> Vec<Value> {
    let mut out: Vec<Value> = Vec::new();
    for rule in rules {
        let Some(path) = rule.http_path() else {
            continue;
        };
        let known = out
            .iter_mut()
            .find(|made| made.str_at(&["host"]) == rule.host);
        match known.and_then(|made| made.at_mut(&["http", "paths"])) {
            Some(paths) => paths.make_array().push(path),
            None => {
                let mut made = value!({"http": {"paths": [(path)]}});
                if !rule.host.is_empty() {
                    made.set_at(&["host"], rule.host);
                }
                out.push(made);
            }
        }
    }
    out
}

/// Which hosts speak TLS, those of a secret together; each host once.
fn secured(rules: &[Rule<'_>]) -> Vec<Value> {
    let (mut out, mut seen) = (Vec::<Value>::new(), Vec::new());
    for rule in rules {
        let Some(secret) = rule.secret else {
            continue;
        };
        if seen.contains(&rule.host) {
            continue;
        }
        seen.push(rule.host);
        let known = out
            .iter_mut()
            .find(|made| made.str_at(&["secretName"]) == secret);
        if let Some(made) = known {
            made.make_object()
                .entry("hosts")
                .make_array()
                .push(Value::from(rule.host));
            continue;
        }
        let mut made = value!({});
        if !rule.host.is_empty() {
            made.set_at(&["hosts"], vec![rule.host]);
        }
        if !secret.is_empty() {
            made.set_at(&["secretName"], secret);
        }
        if !made.is_empty() {
            out.push(made);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_of_a_host_stand_together() {
        let texts = ["a.io/=web:80,tls=cert", "a.io/api*=api:http", "/all=web:80"];
        let rules: Vec<Rule<'_>> = texts.iter().filter_map(|text| Rule::parse(text)).collect();
        let made = of_hosts(&rules);
        assert_eq!(made.len(), 2);
        assert_eq!(made[0].items_at(&["http", "paths"]).len(), 2);
        assert_eq!(
            made[0].items_at(&["http", "paths"])[1],
            value!({"path": "/api", "pathType": "Prefix", "backend": {"service": {"name": "api", "port": {"name": "http"}}}})
        );
        assert_eq!(
            secured(&rules),
            [value!({"hosts": ["a.io"], "secretName": "cert"})]
        );
    }

    #[test]
    fn what_is_no_rule_is_refused() {
        for text in ["a.io=web:80", "a.io/path", "a.io/=web", "a.io/=web:80,ssl"] {
            assert!(Rule::parse(text).is_none(), "{text}");
        }
    }
}
