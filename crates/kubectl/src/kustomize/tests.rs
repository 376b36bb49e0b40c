//! Builds of folders in memory, with what stock kubectl 1.33 makes of them.

use super::*;
use std::collections::BTreeMap;

struct Memory(BTreeMap<PathBuf, Vec<u8>>);

impl Files for Memory {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let found = self.0.get(path).cloned();
        found.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }
    fn is_dir(&self, path: &Path) -> bool {
        self.0
            .keys()
            .any(|file| file != path && file.starts_with(path))
    }
}

fn folder(files: &[(&str, &[u8])]) -> Memory {
    let files = files
        .iter()
        .map(|(name, bytes)| (PathBuf::from(name), bytes.to_vec()));
    Memory(files.collect())
}

fn overlay() -> Memory {
    folder(&[
        (
            "kustomization.yaml",
            include_bytes!("testdata/overlay.yaml"),
        ),
        (
            "base/kustomization.yaml",
            include_bytes!("testdata/base.yaml"),
        ),
        ("base/a.yaml", include_bytes!("testdata/objects.yaml")),
        ("base/f.txt", b"hello\n  world\n"),
        ("base/bin.dat", b"\xff\xfe\x00"),
        ("base/e.env", b"# c\nX=1\n\nY = 2 \n"),
    ])
}

#[test]
fn an_overlay_is_built_as_upstream_builds_it() {
    let built = build(&overlay(), Path::new(".")).expect("a build");
    assert_eq!(built.to_yaml(), include_str!("testdata/built.yaml"));
    assert_eq!(built.warnings.len(), 1);
}

#[test]
fn what_is_not_supported_is_refused_by_name() {
    for (text, wanted) in [
        (
            "vars: [{name: X}]",
            "the field vars of a kustomization is not supported",
        ),
        (
            "helmCharts: [{name: x}]",
            "the field helmCharts of a kustomization is not supported",
        ),
        (
            "resources: ['https://example.com/x.yaml']",
            "the remote resource https://example.com/x.yaml is not supported",
        ),
        (
            "frobnicate: 1",
            "invalid Kustomization: json: unknown field \"frobnicate\"",
        ),
    ] {
        let files = folder(&[("kustomization.yaml", text.as_bytes())]);
        let error = build(&files, Path::new(".")).expect_err("refused");
        assert_eq!(error.to_string(), wanted);
    }
    let error = build(&folder(&[]), Path::new("x")).expect_err("refused");
    assert_eq!(
        error.to_string(),
        "unable to find one of 'kustomization.yaml', 'kustomization.yml' or 'Kustomization' in directory 'x'"
    );
}

#[test]
fn components_change_what_was_there() {
    let files = folder(&[
        ("kustomization.yaml", b"resources: [a.yaml]\ncomponents: [c]\nnamePrefix: p-\n"),
        ("a.yaml", b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {k: v}\n"),
        ("c/kustomization.yaml", b"apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\npatches:\n- patch: '{\"apiVersion\": \"v1\", \"kind\": \"ConfigMap\", \"metadata\": {\"name\": \"a\"}, \"data\": {\"l\": \"w\"}}'\n"),
    ]);
    let built = build(&files, Path::new(".")).expect("a build");
    assert_eq!(
        built.to_yaml(),
        "apiVersion: v1\ndata:\n  k: v\n  l: w\nkind: ConfigMap\nmetadata:\n  name: p-a\n"
    );
}

#[test]
fn a_folder_must_not_include_itself() {
    let files = folder(&[
        ("a/kustomization.yaml", b"resources: [../b]"),
        ("b/kustomization.yaml", b"resources: [../a]"),
    ]);
    assert!(matches!(
        build(&files, Path::new("a")),
        Err(Error::Cycle(_))
    ));
}

#[test]
fn patches_need_one_target() {
    let files = folder(&[(
        "kustomization.yaml",
        b"patches:\n- patch: '{apiVersion: apps/v1, kind: Deployment, metadata: {name: x}}'\n",
    )]);
    let error = build(&files, Path::new(".")).expect_err("refused");
    assert_eq!(
        error.to_string(),
        "no matches for Id Deployment.v1.apps/x.[noNs]; failed to find unique target for patch Deployment.v1.apps/x.[noNs]"
    );
}

#[test]
fn patterns_match_whole_names() {
    for (pattern, text, wanted) in [
        ("we.*", "web", true),
        ("we", "web", false),
        ("web|api", "api", true),
        ("^(web|api)$", "web", true),
        ("[a-c]+-\\d?", "abc-1", true),
        ("a.c", "abcd", false),
    ] {
        let parsed = super::pattern::Pattern::parse(pattern).expect("a pattern");
        assert_eq!(parsed.matches(text), wanted, "{pattern} {text}");
    }
    assert!(super::pattern::Pattern::parse("a(b)*").is_err());
}
