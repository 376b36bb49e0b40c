//! A command line that is still being typed, taken apart.

use clap::{Arg, ArgAction, Command};

/// What stands on the line so far.
pub(super) struct Line<'a> {
    /// The command that is called.
    pub(super) command: &'a Command,
    /// Its path: `kubectl rollout status`.
    pub(super) path: String,
    /// What is neither a command nor an option.
    pub(super) positionals: Vec<String>,
    /// The options that are given, as they are written: `--namespace`, `-n`.
    pub(super) given: Vec<String>,
    /// The values of options, by their long names.
    pub(super) values: Vec<(String, String)>,
    /// The word that is being typed.
    pub(super) typed: String,
    /// The option whose value is being typed, and what there is of it.
    pub(super) value: Option<(String, String)>,
    /// Whether `--` has ended the options.
    pub(super) is_over: bool,
}

impl<'a> Line<'a> {
    /// Takes words apart, the last of which is being typed.
    pub(super) fn read(root: &'a Command, words: &[String]) -> Self {
        let (typed, before) = match words.split_last() {
            Some((typed, before)) => (typed.clone(), before),
            None => (String::new(), words),
        };
        let mut line = Line {
            command: root,
            path: root.get_name().to_string(),
            positionals: Vec::new(),
            given: Vec::new(),
            values: Vec::new(),
            typed,
            value: None,
            is_over: false,
        };
        let mut words = before.iter();
        let mut open = None;
        while let Some(word) = words.next() {
            open = line.take(root, word);
            if let Some(name) = open.take() {
                match words.next() {
                    Some(value) => line.values.push((name, value.clone())),
                    None => open = Some(name),
                }
            }
        }
        line.value = match open {
            Some(name) => Some((name, line.typed.clone())),
            None if line.is_over => None,
            None => line.typed.split_once('=').and_then(|(flag, value)| {
                let arg = line.option(root, flag)?;
                Some((arg.get_long()?.to_string(), value.to_string()))
            }),
        };
        line
    }

    /// Takes a word; gives the option that wants the next one as its value.
    fn take(&mut self, root: &Command, word: &str) -> Option<String> {
        if self.is_over || !word.starts_with('-') || word == "-" {
            match self.command.find_subcommand(word) {
                Some(below) if self.positionals.is_empty() && !self.is_over => {
                    self.path = format!("{} {}", self.path, below.get_name());
                    self.command = below;
                }
                _ => self.positionals.push(word.to_string()),
            }
            return None;
        }
        if word == "--" {
            self.is_over = true;
            return None;
        }
        let (flag, value) = match word.split_once('=') {
            Some((flag, value)) => (flag, Some(value)),
            None => (word, None),
        };
        self.given.push(flag.to_string());
        let arg = self.option(root, flag)?;
        let name = arg.get_long()?.to_string();
        match value {
            Some(value) => self.values.push((name, value.to_string())),
            None if takes_next(arg) => return Some(name),
            None => {}
        }
        None
    }

    /// The option that is written so; letters may stand together behind one dash.
    fn option(&self, root: &'a Command, flag: &str) -> Option<&'a Arg> {
        let mut all = self.command.get_arguments().chain(root.get_arguments());
        match flag.strip_prefix("--") {
            Some(long) => all.find(|arg| arg.get_long() == Some(long)),
            None => {
                let letter = flag.chars().last();
                all.find(|arg| arg.get_short().is_some() && arg.get_short() == letter)
            }
        }
    }

    /// The candidates that begin with what is typed.
    pub(super) fn fitting(&self, candidates: Vec<String>) -> Vec<String> {
        let mut fitting = candidates;
        fitting.retain(|candidate| candidate.starts_with(&self.typed));
        fitting
    }
}

fn takes_next(arg: &Arg) -> bool {
    let takes = matches!(arg.get_action(), ArgAction::Set | ArgAction::Append);
    takes && !arg.is_require_equals_set()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line<R>(words: &str, look: impl Fn(&Line<'_>) -> R) -> R {
        let mut root = crate::cli::command();
        root.build();
        let words: Vec<String> = words.split(' ').map(str::to_string).collect();
        look(&Line::read(&root, &words))
    }

    #[test]
    fn commands_options_and_positions_are_told_apart() {
        line("-n web get --watch pods ", |line| {
            assert_eq!(line.path, "kubectl get");
            assert_eq!(line.positionals, ["pods"]);
            assert_eq!(line.values, [("namespace".to_string(), "web".to_string())]);
            assert!(line.value.is_none() && line.typed.is_empty());
        });
    }

    #[test]
    fn the_value_that_is_typed_has_its_option() {
        let value = |words: &str| line(words, |line| line.value.clone());
        let output = |typed: &str| Some(("output".to_string(), typed.to_string()));
        assert_eq!(value("get pods -o j"), output("j"));
        assert_eq!(value("get pods --output=j"), output("j"));
        assert_eq!(value("get pods -w "), None);
    }
}
