//! The files of one layer.

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::Error;
use crate::tarball::{Kind, Member};

/// Files in the order in which they were added. Directories that are not
/// added come by themselves.
#[derive(Clone, Debug, Default)]
pub struct Layer {
    members: Vec<(Member, Vec<u8>)>,
    known: HashSet<String>,
}

impl Layer {
    /// A layer without files.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a file of root's.
    #[must_use]
    pub fn file(self, path: &str, mode: u32, content: impl Into<Vec<u8>>) -> Self {
        self.member(Member::new(plain(path), Kind::File).mode(mode), content)
    }

    /// Adds a directory of root's.
    #[must_use]
    pub fn directory(self, path: &str, mode: u32) -> Self {
        self.member(Member::new(plain(path), Kind::Directory).mode(mode), "")
    }

    /// Adds a symbolic link.
    #[must_use]
    pub fn symlink(self, path: &str, target: &str) -> Self {
        let member = Member::new(plain(path), Kind::Symlink).mode(0o777);
        self.member(member.link(target), "")
    }

    /// Adds another name of an earlier file.
    #[must_use]
    pub fn hardlink(self, path: &str, target: &str) -> Self {
        let member = Member::new(plain(path), Kind::Hardlink);
        self.member(member.link(plain(target)), "")
    }

    /// Hides a file or directory of the layers below.
    #[must_use]
    pub fn whiteout(self, path: &str) -> Self {
        let path = plain(path);
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        let slash = if parent.is_empty() { "" } else { "/" };
        self.file(&format!("{parent}{slash}.wh.{name}"), 0o644, "")
    }

    /// Hides what the layers below have in a directory.
    #[must_use]
    pub fn opaque(self, path: &str) -> Self {
        self.file(&format!("{}/.wh..wh..opq", plain(path)), 0o644, "")
    }

    /// Adds anything.
    #[must_use]
    pub fn member(mut self, member: Member, content: impl Into<Vec<u8>>) -> Self {
        self.parents_of(&member.path);
        let new = self.known.insert(member.path.clone());
        if !new && member.kind == Kind::Directory {
            // If it came by itself before, what is said now counts.
            self.members
                .retain(|(other, _)| other.kind != Kind::Directory || other.path != member.path);
        }
        self.members.push((member, content.into()));
        self
    }

    /// Adds a file of the machine under the same name.
    pub fn copy(self, path: &Path, mode: u32) -> Result<Self, Error> {
        let content = read(path)?;
        Ok(self.file(&path.to_string_lossy(), mode, content))
    }

    /// Adds a program with the libraries that `ldd` says it needs.
    pub fn program(self, path: &Path) -> Result<Self, Error> {
        let mut layer = self.copy(path, 0o755)?;
        for library in libraries(path)? {
            layer = layer.copy(&library, 0o755)?;
        }
        Ok(layer)
    }

    /// The files, in their order.
    pub fn members(&self) -> impl Iterator<Item = (&Member, &[u8])> {
        self.members
            .iter()
            .map(|(member, content)| (member, &content[..]))
    }

    /// Leaves out the directories, as sloppy tools do.
    #[must_use]
    pub fn without_directories(mut self) -> Self {
        self.members
            .retain(|(member, _)| member.kind != Kind::Directory);
        self
    }

    fn parents_of(&mut self, path: &str) {
        for (at, _) in path.match_indices('/') {
            let parent = &path[..at];
            if self.known.insert(parent.to_owned()) {
                let member = Member::new(parent, Kind::Directory);
                self.members.push((member, Vec::new()));
            }
        }
    }
}

/// A path as archives have it.
fn plain(path: &str) -> &str {
    path.trim_matches('/')
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>, Error> {
    fs::read(path).map_err(|source| Error::Read {
        path: path.to_owned(),
        source,
    })
}

/// What a program prints.
pub(super) fn output(program: &Path, argument: &str) -> Result<(String, bool), Error> {
    let command = format!("{} {argument}", program.display());
    let output = Command::new(program)
        .arg(argument)
        .output()
        .map_err(|source| Error::Run { command, source })?;
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        text += &String::from_utf8_lossy(&output.stderr);
    }
    Ok((text, output.status.success()))
}

/// The shared libraries of a program, and the loader.
fn libraries(program: &Path) -> Result<Vec<PathBuf>, Error> {
    let (text, success) = output(Path::new("ldd"), &program.to_string_lossy())?;
    if text.contains("not a dynamic executable") || text.contains("statically linked") {
        return Ok(Vec::new());
    }
    if !success {
        return Err(Error::Failed {
            command: format!("ldd {}", program.display()),
            output: text.trim().to_owned(),
        });
    }
    parse_libraries(program, &text)
}

/// Reads lines such as `libz.so.1 => /lib/libz.so.1 (0x…)`.
fn parse_libraries(program: &Path, text: &str) -> Result<Vec<PathBuf>, Error> {
    let mut found = Vec::new();
    for line in text.lines().map(str::trim) {
        let (name, path) = line.split_once(" => ").unwrap_or(("", line));
        if path.starts_with("not found") {
            return Err(Error::Library {
                program: program.to_owned(),
                library: name.to_owned(),
            });
        }
        let path = path.split(" (").next().unwrap_or(path);
        if path.starts_with('/') {
            found.push(PathBuf::from(path));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_ldd() {
        let text = "\tlinux-vdso.so.1 (0x00007f)\n\tlibz.so.1 => /lib/x/libz.so.1 (0x0)\n\
                    \t/lib64/ld-linux.so.2 (0x0)\n";
        let program = Path::new("/p");
        assert_eq!(
            parse_libraries(program, text).unwrap(),
            [
                PathBuf::from("/lib/x/libz.so.1"),
                PathBuf::from("/lib64/ld-linux.so.2")
            ]
        );
        let error = parse_libraries(program, "\tlibq.so => not found\n").unwrap_err();
        assert_eq!(
            error.to_string(),
            "/p needs libq.so, which is not installed"
        );
    }
}
