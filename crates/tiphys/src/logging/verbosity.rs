//! How much is said, as upstream counts it (`-v`, `--vmodule`): 0 says what
//! matters, 4 how it is done, 6 and more everything of ours, 9 and 10 what the
//! libraries below say too.

use anyhow::{Context as _, bail};
use std::path::Path;
use std::str::FromStr;
use tracing::level_filters::LevelFilter;
use tracing::{Level, Metadata};

/// Libraries that have much to say of every byte.
const LIBRARIES: [&str; 5] = ["h2", "hyper", "rustls", "tonic", "tower"];

/// The verbosity from which an event of this level is said.
pub(super) fn of(level: Level) -> u8 {
    match level {
        Level::ERROR | Level::WARN | Level::INFO => 0,
        Level::DEBUG => 4,
        Level::TRACE => 6,
    }
}

/// One `pattern=N` of `--vmodule`: another verbosity for files of that name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VModule {
    pattern: String,
    verbosity: u8,
}

impl FromStr for VModule {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // Upstream's words, component-base's vmoduleConfigurationPFlag.
        let Some((pattern, verbosity)) = text
            .split_once('=')
            .filter(|(p, v)| !p.is_empty() && !v.is_empty())
        else {
            bail!("{text:?} does not have the pattern=N format");
        };
        let verbosity = verbosity
            .parse()
            .with_context(|| format!("parsing verbosity in {text:?}"))?;
        Ok(VModule {
            pattern: pattern.into(),
            verbosity,
        })
    }
}

impl VModule {
    /// Whether the pattern is meant for this file: its name without `.rs`, the
    /// folder's for one that stands for its folder, or the whole path when the
    /// pattern has a slash.
    fn is_for(&self, file: &str) -> bool {
        let path = file.strip_suffix(".rs").unwrap_or(file);
        if self.pattern.contains('/') {
            return matches(&self.pattern, path);
        }
        let stem = |path: &Path| -> String {
            let name = path.file_name().unwrap_or_default();
            name.to_string_lossy().into_owned()
        };
        let path = Path::new(path);
        let name = stem(path);
        let folder = path.ancestors().skip(1).find(|a| !a.ends_with("src"));
        let stands_for_folder = ["mod", "lib", "main"].contains(&name.as_str());
        matches(&self.pattern, &name)
            || (stands_for_folder && folder.is_some_and(|f| matches(&self.pattern, &stem(f))))
    }
}

/// How much is said, and where more.
#[derive(Clone, Debug)]
pub(super) struct Verbosity {
    everywhere: u8,
    modules: Vec<VModule>,
}

impl Verbosity {
    pub(super) fn new(everywhere: u8, modules: &[VModule]) -> Self {
        Verbosity {
            everywhere,
            modules: modules.to_vec(),
        }
    }

    /// The lowest level of which anything is said: what is below it costs nothing.
    pub(super) fn lowest(&self) -> LevelFilter {
        let modules = self.modules.iter().map(|module| module.verbosity);
        match modules.fold(self.everywhere, u8::max) {
            0..4 => LevelFilter::INFO,
            4..6 => LevelFilter::DEBUG,
            _ => LevelFilter::TRACE,
        }
    }

    /// Whether an event at this place is said. The first module that is meant
    /// decides, as with klog.
    pub(super) fn is_wanted(&self, metadata: &Metadata<'_>) -> bool {
        let file = metadata.file().unwrap_or_default();
        let module = self.modules.iter().find(|module| module.is_for(file));
        let verbosity = module.map_or(self.everywhere, |module| module.verbosity);
        verbosity >= needed(metadata)
    }
}

fn needed(metadata: &Metadata<'_>) -> u8 {
    let library = metadata.target().split("::").next().unwrap_or_default();
    match (*metadata.level(), LIBRARIES.contains(&library)) {
        (Level::DEBUG, true) => 9,
        (Level::TRACE, true) => 10,
        (level, _) => of(level),
    }
}

/// Shell patterns with `*` and `?`.
fn matches(pattern: &str, text: &str) -> bool {
    let mut characters = pattern.chars();
    let Some(first) = characters.next() else {
        return text.is_empty();
    };
    let rest = characters.as_str();
    let mut ends = text.char_indices().map(|(at, c)| (at + c.len_utf8(), c));
    match first {
        '*' => matches(rest, text) || ends.any(|(end, _)| matches(rest, &text[end..])),
        '?' => ends
            .next()
            .is_some_and(|(end, _)| matches(rest, &text[end..])),
        first => ends
            .next()
            .is_some_and(|(end, c)| c == first && matches(rest, &text[end..])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(module: &str, file: &str, expected: bool) {
        let module: VModule = module.parse().unwrap();
        assert_eq!(module.is_for(file), expected, "{module:?} {file}");
    }

    #[test]
    fn modules_are_named_by_file_or_path() {
        check("node=4", "crates/tiphys/src/node.rs", true);
        check("node=4", "crates/kubelet/src/nodes.rs", false);
        check("node*=4", "crates/kubelet/src/nodes.rs", true);
        check("nod?=4", "crates/tiphys/src/node.rs", true);
        check("plugins=4", "crates/scheduler/src/plugins/mod.rs", true);
        check("stdx=4", "crates/stdx/src/lib.rs", true);
        check(
            "*/scheduler/*=4",
            "crates/scheduler/src/plugins/mod.rs",
            true,
        );
        check("*/scheduler/*=4", "crates/kubelet/src/plan.rs", false);
    }

    #[test]
    fn modules_that_are_none_are_refused() {
        let refused = |text: &str| format!("{:#}", text.parse::<VModule>().unwrap_err());
        assert_eq!(
            refused("node"),
            "\"node\" does not have the pattern=N format"
        );
        assert_eq!(refused("=4"), "\"=4\" does not have the pattern=N format");
        assert!(refused("node=x").starts_with("parsing verbosity in \"node=x\""));
    }

    #[test]
    fn a_module_says_more_or_less() {
        let modules = ["verbosity=6".parse().unwrap()];
        let text = super::super::heard(
            super::super::klog::line,
            Verbosity::new(0, &modules),
            || {
                tracing::trace!("everything");
            },
        );
        assert!(text.contains("\"everything\""), "{text}");
        let modules = ["other=6".parse().unwrap()];
        let text = super::super::heard(
            super::super::klog::line,
            Verbosity::new(4, &modules),
            || {
                tracing::trace!("everything");
            },
        );
        assert_eq!(text, "");
    }
}
