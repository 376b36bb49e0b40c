//! Kubeconfig files: read, merged as client-go merges them, chosen from, written back.
//!
//! They are kept as trees, so that what this program does not know stays as it is. Follows
//! staging/src/k8s.io/client-go/tools/clientcmd.

mod exec;
mod impersonate;
mod resolve;

pub use resolve::{Connection, resolve};
pub(crate) use resolve::{context, environment, pod_namespace};

use crate::error::{Result, said};
use crate::io;
use meta::{Value, value};
use std::path::{Path, PathBuf};

/// The kubeconfig files in force, in the order of their precedence.
#[derive(Debug, Default)]
pub struct Kubeconfig {
    /// Each file and its content; files that are absent are empty.
    pub files: Vec<(PathBuf, Value)>,
}

impl Kubeconfig {
    /// Reads the files: the one that is asked for, or those of `KUBECONFIG`, or the default.
    pub fn load(explicit: Option<&str>) -> Result<Self> {
        if let Some(path) = explicit.filter(|path| !path.is_empty()) {
            let tree = parse(path, &io::read(path)?)?;
            return Ok(Kubeconfig {
                files: vec![(path.into(), tree)],
            });
        }
        let mut files = Vec::new();
        for path in default_paths() {
            let tree = match std::fs::read_to_string(&path) {
                Ok(text) => parse(&path.to_string_lossy(), &text)?,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Value::object(),
                Err(error) => {
                    return said(io::file_words("open", &path.to_string_lossy(), &error));
                }
            };
            files.push((path, tree));
        }
        Ok(Kubeconfig { files })
    }

    /// The same for commands that write: a file that is asked for need not exist yet.
    pub fn load_to_write(explicit: Option<&str>) -> Result<Self> {
        match explicit.filter(|path| !path.is_empty() && !Path::new(path).exists()) {
            Some(path) => Ok(Kubeconfig {
                files: vec![(path.into(), Value::object())],
            }),
            None => Self::load(explicit),
        }
    }

    /// An entry of `clusters`, `contexts` or `users`, and the folder of its file.
    pub fn entry(&self, list: &str, name: &str) -> Option<(&Value, &Path)> {
        self.files.iter().find_map(|(path, tree)| {
            let entry = tree
                .items_at(&[list])
                .iter()
                .find(|entry| entry.str_at(&["name"]) == name)?;
            let body = entry.get(singular(list)).unwrap_or(&Value::Null);
            Some((body, path.parent().unwrap_or(Path::new(""))))
        })
    }

    /// The names of a list's entries, sorted.
    pub fn names(&self, list: &str) -> Vec<String> {
        let mut names: Vec<String> = self
            .files
            .iter()
            .flat_map(|(_, tree)| tree.items_at(&[list]))
            .map(|entry| entry.str_at(&["name"]).to_string())
            .collect();
        names.sort();
        names.dedup();
        names
    }

    /// The context in force unless another is asked for.
    pub fn current_context(&self) -> &str {
        let mut all = self
            .files
            .iter()
            .map(|(_, tree)| tree.str_at(&["current-context"]));
        all.find(|name| !name.is_empty()).unwrap_or_default()
    }

    /// All files as one, entries sorted by name.
    pub fn merged(&self) -> Value {
        let list = |list: &str| -> Value {
            let entries = self.names(list).into_iter().map(|name| {
                let body = self.entry(list, &name).map(|(body, _)| body.clone());
                let mut entry = value!({});
                entry.set_at(&["name"], name);
                entry.set_at(&[singular(list)], body.unwrap_or(Value::Null));
                entry
            });
            match entries.collect::<Vec<_>>() {
                none if none.is_empty() => Value::Null,
                some => Value::Array(some),
            }
        };
        let mut tree = value!({"apiVersion": "v1", "kind": "Config", "preferences": {}});
        tree.set_at(&["current-context"], self.current_context());
        for name in ["clusters", "contexts", "users"] {
            tree.set_at(&[name], list(name));
        }
        tree
    }

    /// The file that holds an entry, or the one for new entries.
    pub fn file_of(&mut self, list: &str, name: &str) -> Result<&mut (PathBuf, Value)> {
        let holds = |tree: &Value| {
            let mut entries = tree.items_at(&[list]).iter();
            entries.any(|entry| entry.str_at(&["name"]) == name)
        };
        let found = self.files.iter().position(|(_, tree)| holds(tree));
        let new = self.files.iter().position(|(path, _)| path.exists());
        let last = self.files.len().saturating_sub(1);
        match self.files.get_mut(found.or(new).unwrap_or(last)) {
            Some(file) => Ok(file),
            None => said("no kubeconfig file to write to"),
        }
    }

    /// The body of an entry to change; made when it is absent.
    pub fn edit(&mut self, list: &'static str, name: &str) -> Result<(PathBuf, &mut Value)> {
        let (path, tree) = self.file_of(list, name)?;
        let entries = tree.make_object().entry(list).make_array();
        let at = entries
            .iter()
            .position(|entry| entry.str_at(&["name"]) == name);
        let at = at.unwrap_or_else(|| {
            let mut entry = value!({});
            entry.set_at(&["name"], name);
            entries.push(entry);
            entries.len() - 1
        });
        let body = entries[at].make_object().entry(singular(list));
        body.make_object();
        Ok((path.clone(), body))
    }

    /// Takes an entry out; says from which file.
    pub fn remove(&mut self, list: &str, name: &str) -> Option<PathBuf> {
        for (path, tree) in &mut self.files {
            let Some(entries) = tree.get_mut(list).and_then(Value::as_array_mut) else {
                continue;
            };
            if let Some(at) = entries.iter().position(|e| e.str_at(&["name"]) == name) {
                entries.remove(at);
                return Some(path.clone());
            }
        }
        None
    }

    /// Writes one of the files back, readable by its owner only.
    pub fn save(&self, path: &Path) -> Result {
        let Some((_, tree)) = self.files.iter().find(|(known, _)| known == path) else {
            return Ok(());
        };
        let mut tree = tree.clone();
        tree.set_at(&["apiVersion"], "v1");
        tree.set_at(&["kind"], "Config");
        for list in ["clusters", "contexts", "users"] {
            tree.make_object().entry(list);
        }
        tree.make_object().entry("preferences").make_object();
        if tree.get("current-context").is_none() {
            tree.set_at(&["current-context"], "");
        }
        write_private(path, &codec::yaml::write(&tree))
            .or_else(|error| said(io::file_words("open", &path.to_string_lossy(), &error)))
    }
}

fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    if let Some(folder) = path.parent().filter(|f| !f.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder)?;
    }
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(text.as_bytes())
}

/// `clusters` holds entries with a `cluster`.
pub fn singular(list: &str) -> &str {
    list.strip_suffix('s').unwrap_or(list)
}

fn parse(path: &str, text: &str) -> Result<Value> {
    match codec::yaml::parse(text) {
        Ok(Value::Null) => Ok(Value::object()),
        Ok(tree @ Value::Object(_)) => Ok(tree),
        Ok(_) => said(format!("error loading config file \"{path}\": not a map")),
        Err(error) => said(format!("error loading config file \"{path}\": {error}")),
    }
}

/// Where a server on this machine writes its administrator's kubeconfig.
const OWN_KUBECONFIG: &str = "/etc/tiphys/kubeconfig.yaml";

fn default_paths() -> Vec<PathBuf> {
    let listed = std::env::var("KUBECONFIG").unwrap_or_default();
    let listed: Vec<PathBuf> = listed
        .split(':')
        .filter(|path| !path.is_empty())
        .map(PathBuf::from)
        .collect();
    match listed.is_empty() {
        // As k3s: who may read the administrator's file of this machine need not name it.
        true if std::fs::File::open(OWN_KUBECONFIG).is_ok() => vec![OWN_KUBECONFIG.into()],
        true => vec![home().join(".kube/config")],
        false => listed,
    }
}

/// The user's home.
pub fn home() -> PathBuf {
    std::env::var_os("HOME")
        .map(PathBuf::from)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_file_that_says_something_wins() {
        let tree = |text: &str| codec::yaml::parse(text).expect("YAML");
        let mut config = Kubeconfig {
            files: vec![
                (
                    "/a/one".into(),
                    tree("contexts: [{name: x, context: {cluster: c1}}]"),
                ),
                (
                    "/b/two".into(),
                    tree(
                        "current-context: x\ncontexts: [{name: x, context: {cluster: c2}}, {name: other}]",
                    ),
                ),
            ],
        };
        assert_eq!(config.current_context(), "x");
        let (body, folder) = config.entry("contexts", "x").expect("a context");
        assert_eq!((body.str_at(&["cluster"]), folder), ("c1", Path::new("/a")));
        assert_eq!(config.names("contexts"), ["other", "x"]);
        let (path, body) = config.edit("contexts", "other").expect("a file");
        body.set_at(&["namespace"], "web");
        assert_eq!(path, Path::new("/b/two"));
        assert_eq!(config.remove("contexts", "x"), Some("/a/one".into()));
    }
}
