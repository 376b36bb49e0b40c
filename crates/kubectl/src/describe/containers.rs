//! Containers of a pod or of its template.

use super::writer::Writer;
use super::{resources as amounts, text};
use meta::{Map, Value};

/// A list of containers under its title.
pub(super) struct Containers<'a> {
    pub(super) title: &'a str,
    pub(super) containers: &'a [Value],
    pub(super) statuses: &'a [Value],
    /// The pod whose fields their environment may show.
    pub(super) pod: Option<&'a Value>,
    pub(super) indent: &'a str,
}

impl Containers<'_> {
    pub(super) fn print(&self, w: &mut Writer) {
        let none = if self.containers.is_empty() {
            " <none>"
        } else {
            ""
        };
        w.line(0, &format!("{}{}:{none}", self.indent, self.title));
        for container in self.containers {
            let name = container.str_at(&["name"]);
            let mut statuses = self.statuses.iter();
            let status = statuses.find(|s| s.str_at(&["name"]) == name);
            let indent = if self.indent.is_empty() { "" } else { " " };
            w.line(1, &format!("{indent}{name}:"));
            basics(container, status, w);
            command(container, w);
            if let Some(status) = status {
                state(status, w);
            }
            if let Some(resources) = container.get("resources") {
                self::resources(resources, 2, w);
            }
            probes(container, w);
            environment_from(container, w);
            environment(container, self.pod, w);
            mounts(container, w);
        }
    }
}

fn basics(container: &Value, status: Option<&Value>, w: &mut Writer) {
    if let Some(status) = status {
        w.field(2, "Container ID", status.str_at(&["containerID"]));
    }
    w.field(2, "Image", container.str_at(&["image"]));
    if let Some(status) = status {
        w.field(2, "Image ID", status.str_at(&["imageID"]));
    }
    let ports = container.items_at(&["ports"]);
    for (key, title) in [("containerPort", "Port"), ("hostPort", "Host Port")] {
        let texts = ports.iter().map(|port| {
            let number = port.i64_at(&[key]).unwrap_or_default();
            format!("{number}/{}", port.str_at(&["protocol"]))
        });
        let joined = texts.collect::<Vec<_>>().join(", ");
        let plural = if ports.len() > 1 { "s" } else { "" };
        w.field(2, &format!("{title}{plural}"), text::or_none(&joined));
    }
    if let Some(profile) = container.at(&["securityContext", "seccompProfile"]) {
        let kind = profile.str_at(&["type"]);
        w.field(2, "SeccompProfile", kind);
        if kind == "Localhost" {
            w.field(3, "LocalhostProfile", profile.str_at(&["localhostProfile"]));
        }
    }
}

fn command(container: &Value, w: &mut Writer) {
    for (key, title) in [("command", "Command:"), ("args", "Args:")] {
        let words = text::strings(container, &[key]);
        if !words.is_empty() {
            w.line(2, title);
        }
        for line in words.iter().flat_map(|word| word.split('\n')) {
            w.line(3, line);
        }
    }
}

fn state(status: &Value, w: &mut Writer) {
    one_state("State", status.get("state"), w);
    let last = status.get("lastState");
    if last.and_then(|last| last.get("terminated")).is_some() {
        one_state("Last State", last, w);
    }
    w.field(2, "Ready", text::truth(status.is_true_at(&["ready"])));
    let restarts = status.i64_at(&["restartCount"]).unwrap_or_default();
    w.field(2, "Restart Count", restarts);
}

fn one_state(title: &str, state: Option<&Value>, w: &mut Writer) {
    let get = |key| state.and_then(|state| state.get(key));
    if let Some(running) = get("running") {
        w.field(2, title, "Running");
        w.field(3, "Started", text::time(running.str_at(&["startedAt"])));
    } else if let Some(waiting) = get("waiting") {
        w.field(2, title, "Waiting");
        w.field_unless_empty(3, "Reason", waiting.str_at(&["reason"]));
    } else if let Some(ended) = get("terminated") {
        w.field(2, title, "Terminated");
        w.field_unless_empty(3, "Reason", ended.str_at(&["reason"]));
        w.field_unless_empty(3, "Message", ended.str_at(&["message"]));
        w.field(
            3,
            "Exit Code",
            ended.i64_at(&["exitCode"]).unwrap_or_default(),
        );
        if let Some(signal) = ended.i64_at(&["signal"]).filter(|&signal| signal > 0) {
            w.field(3, "Signal", signal);
        }
        w.field(3, "Started", text::time(ended.str_at(&["startedAt"])));
        w.field(3, "Finished", text::time(ended.str_at(&["finishedAt"])));
    } else {
        w.field(2, title, "Waiting");
    }
}

/// Limits and requests.
pub(super) fn resources(resources: &Value, level: usize, w: &mut Writer) {
    for (key, title) in [("limits", "Limits:"), ("requests", "Requests:")] {
        let map = resources.get(key).and_then(Value::as_object);
        if map.is_some_and(|map| !map.is_empty()) {
            w.line(level, title);
        }
        for (name, amount) in map.into_iter().flat_map(Map::iter) {
            w.field(level + 1, name, text::show(Some(amount)));
        }
    }
}

fn probes(container: &Value, w: &mut Writer) {
    for (key, title) in [
        ("livenessProbe", "Liveness"),
        ("readinessProbe", "Readiness"),
        ("startupProbe", "Startup"),
    ] {
        if let Some(probe) = container.get(key) {
            w.field(2, title, one_probe(probe));
        }
    }
}

fn one_probe(probe: &Value) -> String {
    let number = |key| probe.i64_at(&[key]).unwrap_or_default();
    let times = format!(
        "delay={}s timeout={}s period={}s #success={} #failure={}",
        number("initialDelaySeconds"),
        number("timeoutSeconds"),
        number("periodSeconds"),
        number("successThreshold"),
        number("failureThreshold"),
    );
    if let Some(exec) = probe.get("exec") {
        let command = text::strings(exec, &["command"]).join(" ");
        return format!("exec [{command}] {times}");
    }
    if let Some(get) = probe.get("httpGet") {
        let scheme = get.str_at(&["scheme"]).to_lowercase();
        let (host, path) = (get.str_at(&["host"]), get.str_at(&["path"]));
        let host = match host.contains(':') {
            true => format!("[{host}]"),
            false => host.to_string(),
        };
        let slash = if path.is_empty() || path.starts_with('/') {
            ""
        } else {
            "/"
        };
        let port = text::show(get.get("port"));
        let path = path.replace('?', "%3F");
        return format!("http-get {scheme}://{host}:{port}{slash}{path} {times}");
    }
    if let Some(socket) = probe.get("tcpSocket") {
        let (host, port) = (socket.str_at(&["host"]), text::show(socket.get("port")));
        return format!("tcp-socket {host}:{port} {times}");
    }
    if let Some(grpc) = probe.get("grpc") {
        let (port, service) = (text::show(grpc.get("port")), grpc.str_at(&["service"]));
        return format!("grpc <pod>:{port} {service} {times}");
    }
    format!("unknown {times}")
}

fn environment_from(container: &Value, w: &mut Writer) {
    let sources = container.items_at(&["envFrom"]);
    if !sources.is_empty() {
        w.line(2, "Environment Variables from:");
    }
    for source in sources {
        let (kind, reference) = match (source.get("configMapRef"), source.get("secretRef")) {
            (Some(reference), _) => ("ConfigMap", Some(reference)),
            (None, Some(reference)) => ("Secret", Some(reference)),
            (None, None) => ("", None),
        };
        let name = reference.map_or("", |r| r.str_at(&["name"]));
        let optional = reference.is_some_and(|r| r.is_true_at(&["optional"]));
        let prefix = match source.str_at(&["prefix"]) {
            "" => String::new(),
            prefix => format!(" with prefix '{prefix}'"),
        };
        w.line(3, &format!("{name}\t{kind}{prefix}\tOptional: {optional}"));
    }
}

fn environment(container: &Value, pod: Option<&Value>, w: &mut Writer) {
    let variables = container.items_at(&["env"]);
    let none = if variables.is_empty() { "\t<none>" } else { "" };
    w.line(2, &format!("Environment:{none}"));
    for variable in variables {
        let name = variable.str_at(&["name"]);
        match variable.get("valueFrom") {
            None => {
                for (i, line) in variable.str_at(&["value"]).split('\n').enumerate() {
                    let name = if i == 0 {
                        format!("{name}:")
                    } else {
                        String::new()
                    };
                    w.line(3, &format!("{name}\t{line}"));
                }
            }
            Some(from) => value_from(name, from, container, pod, w),
        }
    }
}

fn value_from(name: &str, from: &Value, container: &Value, pod: Option<&Value>, w: &mut Writer) {
    if let Some(field) = from.get("fieldRef") {
        let (version, path) = (field.str_at(&["apiVersion"]), field.str_at(&["fieldPath"]));
        let value = pod.map(|pod| field_value(pod, path)).unwrap_or_default();
        w.field(3, name, format!("{value} ({version}:{path})"));
    } else if let Some(field) = from.get("resourceFieldRef") {
        let resource = field.str_at(&["resource"]);
        let mut value = amounts::of_container(container, resource, field.str_at(&["divisor"]));
        if value == "0" && matches!(resource, "limits.cpu" | "limits.memory") {
            value = "node allocatable".to_string();
        }
        w.field(3, name, format!("{value} ({resource})"));
    } else if let Some(key) = from.get("secretKeyRef") {
        w.field(3, name, key_of("in secret", key));
    } else if let Some(key) = from.get("configMapKeyRef") {
        w.field(3, name, key_of("of config map", key));
    }
}

fn key_of(place: &str, reference: &Value) -> String {
    let (key, name) = (reference.str_at(&["key"]), reference.str_at(&["name"]));
    let optional = reference.is_true_at(&["optional"]);
    format!("<set to the key '{key}' {place} '{name}'>\tOptional: {optional}")
}

/// A field of a pod's metadata; other fields are known to the kubelet only.
fn field_value(pod: &Value, path: &str) -> String {
    let metadata = |key| pod.str_at(&["metadata", key]).to_string();
    match path {
        "metadata.name" => metadata("name"),
        "metadata.namespace" => metadata("namespace"),
        "metadata.uid" => metadata("uid"),
        "metadata.labels" => lines(pod.at(&["metadata", "labels"])),
        "metadata.annotations" => lines(pod.at(&["metadata", "annotations"])),
        path => {
            let (map, rest) = path.split_once('[').unwrap_or_default();
            let key = rest.trim_end_matches(']').trim_matches('\'');
            match map {
                "metadata.labels" => pod.str_at(&["metadata", "labels", key]).to_string(),
                "metadata.annotations" => pod.str_at(&["metadata", "annotations", key]).to_string(),
                _ => String::new(),
            }
        }
    }
}

fn lines(map: Option<&Value>) -> String {
    let entries = map.and_then(Value::as_object).into_iter();
    let pairs = entries.flat_map(Map::iter).map(|(key, value)| {
        let value = meta::field::quote(value.as_str().unwrap_or_default());
        format!("{key}={value}")
    });
    pairs.collect::<Vec<_>>().join("\n")
}

fn mounts(container: &Value, w: &mut Writer) {
    let mut mounts: Vec<&Value> = container.items_at(&["volumeMounts"]).iter().collect();
    let none = if mounts.is_empty() { "\t<none>" } else { "" };
    w.line(2, &format!("Mounts:{none}"));
    mounts.sort_by_key(|mount| mount.str_at(&["mountPath"]));
    for mount in mounts {
        let mode = if mount.is_true_at(&["readOnly"]) {
            "ro"
        } else {
            "rw"
        };
        let sub = match mount.str_at(&["subPath"]) {
            "" => String::new(),
            sub => format!(",path={}", meta::field::quote(sub)),
        };
        let (path, name) = (mount.str_at(&["mountPath"]), mount.str_at(&["name"]));
        w.line(3, &format!("{path} from {name} ({mode}{sub})"));
    }
    let mut devices: Vec<&Value> = container.items_at(&["volumeDevices"]).iter().collect();
    if !devices.is_empty() {
        w.line(2, &format!("Devices:{none}"));
    }
    devices.sort_by_key(|device| device.str_at(&["devicePath"]));
    for device in devices {
        let (path, name) = (device.str_at(&["devicePath"]), device.str_at(&["name"]));
        w.line(3, &format!("{path} from {name}"));
    }
}
