//! Files come, change and go.

use crate::file;
use crate::folder::Folder;
use crate::set::Parent;
use meta::object::Object as _;
use std::fs;

#[test]
fn files_are_found_and_skipped() {
    let dir = tempfile::tempdir().expect("a directory");
    let write = |name: &str| {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        fs::write(path, "{}").expect("a file");
    };
    for name in [
        "a.yaml",
        "b.yml",
        "sub/c.json",
        "d.txt",
        ".e.yaml",
        "a.yaml.skip",
    ] {
        write(name);
    }
    let files = Folder::new(dir.path().into()).files().expect("files");
    let found: Vec<(&str, bool)> = files.iter().map(|(n, f)| (n.as_str(), f.skipped)).collect();
    assert_eq!(
        found,
        [("a.yaml", true), ("b.yml", false), ("sub/c.json", false)]
    );
    let none = Folder::new(dir.path().join("absent")).files();
    assert!(none.expect("no files").is_empty());
}

#[test]
fn documents_and_lists_are_opened() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("a.yaml");
    let read = |text: &str| {
        fs::write(&path, text).expect("a file");
        file::read(&path)
    };
    let objects = read(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n---\napiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Secret, metadata: {name: b}}\n",
    );
    let objects = objects.expect("objects");
    let names: Vec<&str> = objects.iter().map(|object| object.name()).collect();
    assert_eq!(names, ["a", "b"]);
    for (text, complaint) in [
        ("a: [", "document 1 of"),
        ("a: 1", "has no apiVersion and kind"),
        ("apiVersion: v1\nkind: ConfigMap\n", "has no metadata.name"),
    ] {
        let error = read(text).expect_err(text).to_string();
        assert!(error.contains(complaint), "{error}");
    }
}

#[test]
fn sets_have_names_of_their_own() {
    let names = ["a/b.yaml", "a-b.yaml", "A/b.yaml"].map(|file| Parent::of(file).name());
    assert!(
        names
            .iter()
            .all(|name| meta::names::dns1123_subdomain(name).is_empty())
    );
    assert_ne!(names[0], names[1]);
    assert_ne!(names[0], names[2]);
    assert!(Parent::of("a.yaml").id().starts_with("applyset-"));
}
