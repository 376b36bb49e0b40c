//! Cases of unpacking: faithful, and hostile.

use std::{
    fs,
    os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt},
    path::Path,
};

use tempfile::TempDir;

use super::*;
use crate::{
    build::Layer,
    tarball::{Member, Time, Writer},
};

/// A layer's root, with something beside it that must stay as it is.
struct Place {
    directory: TempDir,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("root")).unwrap();
        fs::create_dir(directory.path().join("outside")).unwrap();
        fs::write(directory.path().join("outside/canary"), "alive").unwrap();
        Self { directory }
    }

    fn root(&self) -> PathBuf {
        self.directory.path().join("root")
    }

    fn outside(&self) -> String {
        let path = self.directory.path().join("outside");
        path.to_str().unwrap().to_owned()
    }

    fn unpack(&self, layer: &Layer) -> Result<Unpacked, Error> {
        self.unpack_above(layer, &[], Limits::default())
    }

    fn unpack_above(
        &self,
        layer: &Layer,
        parents: &[PathBuf],
        limits: Limits,
    ) -> Result<Unpacked, Error> {
        let result = unpack(&tar(layer)[..], &self.root(), parents, limits);
        let canary = self.directory.path().join("outside/canary");
        assert_eq!(fs::read_to_string(&canary).unwrap(), "alive");
        assert_eq!(fs::metadata(&canary).unwrap().nlink(), 1);
        let outside = fs::read_dir(self.outside()).unwrap().count();
        assert_eq!(outside, 1, "something was put outside");
        result
    }

    fn mode(&self, path: &str) -> u32 {
        let file = fs::symlink_metadata(self.root().join(path)).unwrap();
        file.permissions().mode() & 0o7777
    }
}

fn tar(layer: &Layer) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    for (member, content) in layer.members() {
        writer.append(member, content).unwrap();
    }
    writer.finish().unwrap()
}

fn at(mut member: Member, seconds: i64) -> Member {
    member.mtime = Time { seconds, nanos: 5 };
    member
}

#[test]
fn what_was_packed_comes_out() {
    let place = Place::new();
    let capability = b"\x01\0\0\x02\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0".to_vec();
    let mut ping = Member::new("bin/ping", Kind::File).mode(0o4755);
    ping.xattrs = vec![
        (b"security.capability".to_vec(), capability.clone()),
        (b"trusted.overlay.redirect".to_vec(), b"/etc".to_vec()),
    ];
    let mut null = Member::new("dev/null", Kind::Char).mode(0o666);
    null.device = (1, 3);
    let layer = Layer::new()
        .member(at(Member::new("", Kind::Directory).mode(0o711), 7), "")
        .member(
            at(Member::new("etc", Kind::Directory).mode(0o700), 1000),
            "",
        )
        .member(
            at(Member::new("etc/a", Kind::File).owner(5, 6), 2000),
            "one",
        )
        .member(at(Member::new("etc/b", Kind::Symlink).link("a"), 3000), "")
        .member(ping, "elf")
        .hardlink("bin/ping6", "bin/ping")
        .member(Member::new("run/pipe", Kind::Fifo).mode(0o600), "")
        .member(null, "")
        .directory("tmp", 0o1777);
    let done = place.unpack(&layer).unwrap();
    assert_eq!(done.bytes, 6);

    let root = place.root();
    let a = fs::metadata(root.join("etc/a")).unwrap();
    assert_eq!(
        (a.uid(), a.gid(), a.mtime(), a.mtime_nsec()),
        (5, 6, 2000, 5)
    );
    assert_eq!(fs::read_link(root.join("etc/b")).unwrap(), Path::new("a"));
    assert_eq!(
        fs::symlink_metadata(root.join("etc/b")).unwrap().mtime(),
        3000
    );
    assert_eq!(fs::metadata(root.join("etc")).unwrap().mtime(), 1000);
    assert_eq!(fs::metadata(&root).unwrap().mtime(), 7);
    assert_eq!(place.mode(""), 0o711);
    assert_eq!(place.mode("etc"), 0o700);
    assert_eq!(place.mode("tmp"), 0o1777);
    assert_eq!(place.mode("bin/ping"), 0o4755);
    assert_eq!(fs::metadata(root.join("bin/ping6")).unwrap().nlink(), 2);
    let null = fs::metadata(root.join("dev/null")).unwrap();
    assert!(null.file_type().is_char_device());
    assert_eq!(null.rdev(), rustix::fs::makedev(1, 3));
    assert!(
        fs::metadata(root.join("run/pipe"))
            .unwrap()
            .file_type()
            .is_fifo()
    );
    assert_eq!(
        xattr(&root.join("bin/ping"), "security.capability"),
        Some(capability)
    );
    assert_eq!(
        xattr(&root.join("bin/ping"), "trusted.overlay.redirect"),
        None
    );
}

fn xattr(path: &Path, name: &str) -> Option<Vec<u8>> {
    let mut value = vec![0; 256];
    let size = rustix::fs::lgetxattr(path, name, &mut value[..]).ok()?;
    value.truncate(size);
    Some(value)
}

#[test]
fn hostile_names_are_refused() {
    for (layer, want) in [
        (raw("../outside/evil"), "a name with \"..\" is refused"),
        (raw("a/../../outside/evil"), "a name with \"..\" is refused"),
        (raw(".wh."), "a whiteout of nothing"),
        (raw(".wh.."), "a whiteout of nothing"),
        (raw("a/.wh..."), "a whiteout of nothing"),
        (
            Layer::new().member(
                Member::new("x", Kind::Hardlink).link("../outside/canary"),
                "",
            ),
            "a name with \"..\" is refused",
        ),
        (
            Layer::new().member(Member::new("", Kind::File), "x"),
            "only a directory can be the root",
        ),
        (
            Layer::new().member(Member::new("x", Kind::Char), ""),
            "a character device 0/0 is no device",
        ),
        (
            Layer::new().member(Member::new("x", Kind::File).owner(u32::MAX, 0), ""),
            "uid is invalid",
        ),
    ] {
        let error = Place::new().unpack(&layer).unwrap_err();
        let text = crate::chain(&error);
        assert!(text.contains(want), "{text}");
    }
}

fn raw(path: &str) -> Layer {
    Layer::new().member(Member::new(path, Kind::File), "x")
}

#[test]
fn links_lead_nowhere_but_inside() {
    let place = Place::new();
    let outside = place.outside();
    let layer = Layer::new()
        .symlink("absolute", &outside)
        .file("absolute/evil", 0o644, "x")
        .symlink("up", "../../../../../../../../../..")
        .file("up/top", 0o644, "x")
        .symlink("canary", &format!("{outside}/canary"))
        .file("canary", 0o644, "replaced")
        .symlink("dir", &outside)
        .directory("dir", 0o777)
        .symlink("loop1", "loop2")
        .symlink("relative", "down/here")
        .file("relative/file", 0o644, "x");
    place.unpack(&layer).unwrap();
    let root = place.root();
    let inside = root.join(outside.trim_start_matches('/')).join("evil");
    assert!(inside.is_file(), "the absolute link means the layer's root");
    assert!(root.join("top").is_file());
    assert!(root.join("down/here/file").is_file());
    assert_eq!(fs::read_to_string(root.join("canary")).unwrap(), "replaced");
    assert!(fs::symlink_metadata(root.join("dir")).unwrap().is_dir());
    assert!(
        fs::symlink_metadata(root.join("absolute"))
            .unwrap()
            .is_symlink()
    );
}

#[test]
fn hard_links_stay_inside() {
    let place = Place::new();
    let canary = format!("{}/canary", place.outside());
    let direct = Layer::new().member(Member::new("x", Kind::Hardlink).link(canary), "");
    assert!(matches!(place.unpack(&direct), Err(Error::Io { .. })));
    let place = Place::new();
    let through = Layer::new()
        .symlink("s", &place.outside())
        .member(Member::new("x", Kind::Hardlink).link("s/canary"), "");
    assert!(matches!(place.unpack(&through), Err(Error::Io { .. })));
    let place = Place::new();
    let to_link = Layer::new()
        .symlink("s", &format!("{}/canary", place.outside()))
        .member(Member::new("x", Kind::Hardlink).link("s"), "")
        .member(Member::new("x", Kind::File), "over");
    place.unpack(&to_link).unwrap();
    assert_eq!(fs::read_to_string(place.root().join("x")).unwrap(), "over");
}

#[test]
fn link_loops_end() {
    let place = Place::new();
    let layer = Layer::new()
        .symlink("a", "b")
        .symlink("b", "a")
        .file("a/file", 0o644, "x");
    assert!(matches!(place.unpack(&layer), Err(Error::Io { .. })));
}

#[test]
fn later_members_replace_earlier_ones() {
    let place = Place::new();
    let layer = Layer::new()
        .file("a", 0o644, "file")
        .file("a/b", 0o644, "below what was a file")
        .file("d/e/f", 0o644, "x")
        .file("d", 0o600, "was a directory")
        .file("g", 0o644, "old")
        .hardlink("h", "g")
        .file("g", 0o644, "new");
    place.unpack(&layer).unwrap();
    let root = place.root();
    assert!(root.join("a/b").is_file());
    assert_eq!(
        fs::read_to_string(root.join("d")).unwrap(),
        "was a directory"
    );
    assert_eq!(fs::read_to_string(root.join("g")).unwrap(), "new");
    assert_eq!(fs::read_to_string(root.join("h")).unwrap(), "old");
}

#[test]
fn limits_hold() {
    let limits = Limits {
        bytes_max: 10,
        entries_max: 3,
    };
    let big = raw("a").file("b", 0o644, "0123456789");
    assert!(matches!(
        Place::new().unpack_above(&big, &[], limits),
        Err(Error::Bytes(10))
    ));
    let many = raw("a").file("b", 0o644, "").file("c", 0o644, "");
    let many = many.file("d", 0o644, "");
    assert!(matches!(
        Place::new().unpack_above(&many, &[], limits),
        Err(Error::Entries(3))
    ));
    let deep = raw(&format!("{}f", "d/".repeat(700)));
    assert!(matches!(Place::new().unpack(&deep), Err(Error::Io { .. })));
}

#[test]
fn torn_layers_are_errors() {
    let layer = raw("a").file("b", 0o644, vec![7; 3000]);
    let bytes = tar(&layer);
    for cut in (1..4096).step_by(97) {
        let place = Place::new();
        let result = unpack(&bytes[..cut], &place.root(), &[], Limits::default());
        // Between two members there is nothing to notice; digests do.
        assert!(
            result.is_err() || (513..=1024).contains(&cut),
            "cut at {cut}"
        );
    }
}

#[test]
fn missing_directories_are_as_below() {
    let below = Place::new();
    let layer = Layer::new().directory("tmp", 0o1777).member(
        Member::new("srv", Kind::Directory).mode(0o750).owner(7, 8),
        "",
    );
    below.unpack(&layer).unwrap();
    let place = Place::new();
    let layer = Layer::new()
        .member(Member::new("tmp/a", Kind::File), "x")
        .without_directories()
        .member(Member::new("srv/deep/b", Kind::File), "x")
        .without_directories();
    place
        .unpack_above(&layer, &[below.root()], Limits::default())
        .unwrap();
    assert_eq!(place.mode("tmp"), 0o1777);
    assert_eq!(place.mode("srv"), 0o750);
    assert_eq!(place.mode("srv/deep"), 0o755);
    let srv = fs::metadata(place.root().join("srv")).unwrap();
    assert_eq!((srv.uid(), srv.gid()), (7, 8));
}

#[test]
fn overlayfs_hides_what_layers_hide() {
    let below = Place::new();
    let layer = Layer::new()
        .file("gone", 0o644, "x")
        .file("kept", 0o644, "x")
        .file("dir/gone", 0o644, "x")
        .file("opaque/gone", 0o644, "x")
        .file("again/gone", 0o644, "x");
    below.unpack(&layer).unwrap();
    let above = Place::new();
    let layer = Layer::new()
        .whiteout("gone")
        .whiteout("dir/gone")
        .file("dir/.wh..wh.plnk", 0o644, "books of aufs")
        .file("opaque/new", 0o644, "x")
        .opaque("opaque")
        .whiteout("again")
        .directory("again", 0o755)
        .file("again/new", 0o644, "x");
    above.unpack(&layer).unwrap();
    let merged = tempfile::tempdir().unwrap();
    let option = format!(
        "lowerdir={}:{}",
        above.root().display(),
        below.root().display()
    );
    let option = std::ffi::CString::new(option).unwrap();
    rustix::mount::mount(
        "overlay",
        merged.path(),
        "overlay",
        rustix::mount::MountFlags::RDONLY,
        Some(option.as_c_str()),
    )
    .unwrap();
    let list = |path: &str| -> Vec<String> {
        let Ok(entries) = fs::read_dir(merged.path().join(path)) else {
            return vec!["unreadable".to_owned()];
        };
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    let seen = [list(""), list("dir"), list("opaque"), list("again")];
    rustix::mount::unmount(merged.path(), rustix::mount::UnmountFlags::DETACH).unwrap();
    assert_eq!(seen[0], ["again", "dir", "kept", "opaque"]);
    assert_eq!(seen[1], [""; 0]);
    assert_eq!(seen[2], ["new"]);
    assert_eq!(seen[3], ["new"]);
}
