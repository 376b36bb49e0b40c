//! Usage and examples of all commands, kept as text.

use std::sync::LazyLock;

/// What `examples.txt` says of a command.
pub(crate) struct Entry {
    path: &'static str,
    /// What follows the command's name.
    pub(crate) usage: &'static str,
    /// Lines: `# what it does`, the command line, an empty line.
    pub(crate) examples: Vec<&'static str>,
}

impl Entry {
    /// The examples with a margin.
    pub(crate) fn indented(&self, margin: &str) -> String {
        let lines = self.examples.iter().map(|line| match *line {
            "" => "\n".to_string(),
            line => format!("{margin}{line}\n"),
        });
        lines.collect()
    }
}

static ENTRIES: LazyLock<Vec<Entry>> = LazyLock::new(|| {
    let text = include_str!("examples.txt");
    text.split("\n= ").skip(1).map(read).collect()
});

/// What is known of a command, by its path.
pub(crate) fn entry(path: &str) -> Option<&'static Entry> {
    ENTRIES.iter().find(|entry| entry.path == path)
}

fn read(section: &'static str) -> Entry {
    let (head, body) = section.split_once('\n').unwrap_or((section, ""));
    let (path, usage) = head.split_once(" | ").unwrap_or((head, ""));
    Entry {
        path,
        usage,
        examples: body.trim_matches('\n').lines().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::command;

    /// Every command with nothing below it.
    fn leaves(command: &clap::Command, path: &str, out: &mut Vec<String>) {
        let below: Vec<_> = crate::help::shown(command).collect();
        if below.is_empty() {
            out.push(path.to_string());
        }
        for sub in below {
            leaves(sub, &format!("{path} {}", sub.get_name()), out);
        }
    }

    #[test]
    fn every_command_has_an_example() {
        let mut all = Vec::new();
        leaves(&command(), "kubectl", &mut all);
        let bare: Vec<&String> = all
            .iter()
            .filter(|path| entry(path).is_none_or(|entry| entry.examples.is_empty()))
            .collect();
        assert!(bare.is_empty(), "no examples of {bare:?}");
    }

    #[test]
    fn examples_are_command_lines_that_can_be_read() {
        let root = command();
        for entry in ENTRIES.iter() {
            assert!(
                crate::help::find(&root, entry.path).is_some(),
                "{}",
                entry.path
            );
            for line in entry.examples.iter().filter(|l| l.starts_with("kubectl ")) {
                let line = line.split(['|', '>']).next().unwrap_or(line);
                let words = line.split(' ').filter(|word| !word.is_empty());
                let words = words.map(|word| word.trim_matches(['\'', '"']));
                if let Err(error) = root.clone().try_get_matches_from(words) {
                    panic!("{line}: {error}");
                }
            }
        }
    }
}
