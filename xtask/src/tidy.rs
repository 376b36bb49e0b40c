//! The house rules that a program can hold, as tests: which crate may depend
//! on which, what every file begins with, what no file may say.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The crates from the ground up: each may depend on those before it only.
const LAYERS: [&str; 33] = [
    "meta",
    "stdx",
    "trust",
    "detour",
    "spdy",
    "streams",
    "api",
    "codec",
    "store",
    "auth",
    "admission",
    "registry",
    "apiserver",
    "typed",
    "client",
    "loopback",
    "manifests",
    "informer",
    "controllers",
    "scheduler",
    "linux",
    "images",
    "container",
    "podnet",
    "proxy",
    "dns",
    "kubelet",
    "kubectl",
    "tiphys",
    "testkit",
    "sim",
    "e2e",
    "bench",
];
/// The server below the API: nobody who speaks the API may reach it.
const SERVER: [&str; 5] = ["store", "auth", "admission", "registry", "apiserver"];
/// Those who speak the API.
const CLIENTS: [&str; 14] = [
    "typed",
    "client",
    "manifests",
    "informer",
    "controllers",
    "scheduler",
    "linux",
    "images",
    "container",
    "podnet",
    "proxy",
    "dns",
    "kubelet",
    "kubectl",
];

fn root() -> PathBuf {
    crate::root()
}

/// Our own crates that each of our crates depends on, tests apart.
fn graph() -> BTreeMap<String, BTreeSet<String>> {
    let mut out = BTreeMap::new();
    for entry in std::fs::read_dir(root().join("crates"))
        .expect("the crates folder")
        .flatten()
    {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Ok(manifest) = std::fs::read_to_string(entry.path().join("Cargo.toml")) else {
            continue;
        };
        out.insert(name, dependencies(&manifest));
    }
    out
}

fn dependencies(manifest: &str) -> BTreeSet<String> {
    let mut inside = false;
    let mut found = BTreeSet::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            inside = line.trim() == "[dependencies]";
        } else if inside {
            let name = line.split(['.', '=', ' ']).next().unwrap_or_default();
            if LAYERS.contains(&name) {
                found.insert(name.to_string());
            }
        }
    }
    found
}

fn layer(name: &str) -> usize {
    LAYERS
        .iter()
        .position(|l| *l == name)
        .unwrap_or_else(|| panic!("crate {name} has no place in LAYERS"))
}

#[test]
fn dependencies_point_downwards() {
    for (name, dependencies) in graph() {
        for dependency in dependencies {
            assert!(
                layer(&dependency) < layer(&name),
                "{name} may not depend on {dependency}, which lies above it"
            );
        }
    }
}

#[test]
fn nobody_reaches_the_server_but_through_its_api() {
    let graph = graph();
    for name in CLIENTS {
        let mut reached = BTreeSet::from([name.to_string()]);
        let mut waiting = vec![name.to_string()];
        while let Some(next) = waiting.pop() {
            for dependency in graph.get(&next).into_iter().flatten() {
                if reached.insert(dependency.clone()) {
                    waiting.push(dependency.clone());
                }
            }
        }
        let forbidden: Vec<_> = SERVER
            .iter()
            .filter(|server| reached.contains(**server))
            .collect();
        assert!(forbidden.is_empty(), "{name} reaches {forbidden:?}");
    }
}

/// Every source file of ours.
fn sources() -> Vec<PathBuf> {
    let mut out = Vec::new();
    for folder in ["crates", "xtask"] {
        collect(&root().join(folder), &mut out);
    }
    out
}

fn collect(folder: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() && !path.ends_with("target") {
            collect(&path, out);
        } else if path.extension().is_some_and(|e| e == "rs") {
            out.push(path);
        }
    }
}

#[test]
fn every_file_says_what_it_is_for() {
    let silent: Vec<PathBuf> = sources()
        .into_iter()
        .filter(|path| !std::fs::read_to_string(path).is_ok_and(|text| text.starts_with("//!")))
        .collect();
    assert!(
        silent.is_empty(),
        "these files do not begin with //!: {silent:?}"
    );
}

#[test]
fn nothing_is_left_open_in_the_code() {
    let words = [
        ["to", "do!("].concat(),
        ["unimple", "mented!("].concat(),
        ["FIX", "ME"].concat(),
    ];
    for path in sources() {
        let text = std::fs::read_to_string(&path).expect("a source file");
        for word in &words {
            assert!(
                !text.contains(word.as_str()),
                "{} says {word}",
                path.display()
            );
        }
    }
}

#[test]
fn unsafe_code_lives_in_one_crate() {
    let word = ["unsafe", " {"].concat();
    for path in sources() {
        let text = std::fs::read_to_string(&path).expect("a source file");
        let is_linux = path
            .strip_prefix(root())
            .is_ok_and(|p| p.starts_with("crates/linux"));
        assert!(
            is_linux || !text.contains(&word),
            "{} has unsafe code",
            path.display()
        );
    }
}

#[test]
fn generated_code_is_fresh() {
    crate::codegen::run(&root(), true).expect("generated files that follow from spec/");
}

/// `docs/conformance.tsv` names tests of ours as `path::function`.
#[test]
fn conformance_names_tests_that_exist() {
    let table =
        std::fs::read_to_string(root().join("docs/conformance.tsv")).expect("docs/conformance.tsv");
    for (number, line) in table.lines().enumerate().skip(1) {
        let ours = line.split('\t').nth(3).unwrap_or_default();
        for name in ours.split(", ").filter(|name| !name.is_empty()) {
            let (path, function) = name.split_once("::").unwrap_or((name, ""));
            let text = std::fs::read_to_string(root().join(path)).unwrap_or_default();
            let exists = !function.is_empty() && text.contains(&format!("fn {function}("));
            assert!(
                exists,
                "docs/conformance.tsv:{}: no test {name}",
                number + 1
            );
        }
    }
}
