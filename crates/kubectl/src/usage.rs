//! What is wrong with a command line, in the words of upstream's flag library.
//!
//! Follows github.com/spf13/cobra and pflag as staging/src/k8s.io/kubectl/pkg/cmd uses them.

use crate::{help, io};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, Command};
use std::any::TypeId;
use std::ffi::OsString;
use std::process::ExitCode;

/// A command line that cannot be run.
pub(crate) struct Refusal<'a> {
    /// All commands.
    pub(crate) root: &'a Command,
    /// What is wrong.
    pub(crate) error: &'a clap::Error,
    /// The command that is called: `kubectl rollout status`.
    pub(crate) called: &'a str,
    /// What was given.
    pub(crate) arguments: &'a [OsString],
}

impl Refusal<'_> {
    /// Says it, or shows the help that was asked for.
    pub(crate) fn tell(&self) -> ExitCode {
        let page = || help::page(self.root, self.called);
        let words = match self.error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
                io::out(&page());
                return ExitCode::SUCCESS;
            }
            ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand => {
                return self.without_command(&page());
            }
            ErrorKind::InvalidSubcommand => self.unknown_command(),
            ErrorKind::UnknownArgument => self.unknown_argument(),
            ErrorKind::InvalidValue | ErrorKind::ValueValidation => self.value(),
            ErrorKind::MissingRequiredArgument => self.missing(),
            ErrorKind::NoEquals | ErrorKind::TooFewValues | ErrorKind::WrongNumberOfValues => {
                self.usage(&self.needs_argument())
            }
            _ => format!("error: {}", self.error.render()),
        };
        io::warn(words.trim_end());
        ExitCode::FAILURE
    }

    /// A command alone that has others below it shows them. Most of them call that a failure.
    fn without_command(&self, page: &str) -> ExitCode {
        match self.called {
            "kubectl" | "kubectl certificate" => {
                io::out(page);
                ExitCode::SUCCESS
            }
            _ => {
                io::warn(page.trim_end());
                ExitCode::FAILURE
            }
        }
    }

    fn context(&self, kind: ContextKind) -> String {
        match self.error.get(kind) {
            Some(ContextValue::String(text)) => text.clone(),
            Some(ContextValue::Strings(texts)) => texts.join(" "),
            _ => String::new(),
        }
    }

    fn usage(&self, words: &str) -> String {
        format!("error: {words}\nSee '{} --help' for usage.", self.called)
    }

    fn help(&self, words: &str) -> String {
        format!(
            "error: {words}\nSee '{} -h' for help and examples",
            self.called
        )
    }

    fn unknown_command(&self) -> String {
        let word = self.context(ContextKind::InvalidSubcommand);
        if self.called != "kubectl" {
            return match ["kubectl apply", "kubectl create"].contains(&self.called) {
                true => self.help(&format!("Unexpected args: [{word}]")),
                false => self.help(&format!("unknown command \"{word}\"")),
            };
        }
        let names = help::shown(self.root).map(Command::get_name);
        let like = names.filter(|name| is_like(&word, name));
        let mut out = format!("error: unknown command \"{word}\" for \"kubectl\"\n");
        let suggestions: String = like.map(|name| format!("\t{name}\n")).collect();
        if !suggestions.is_empty() {
            out.push_str(&format!("\nDid you mean this?\n{suggestions}"));
        }
        out
    }

    fn unknown_argument(&self) -> String {
        let flag = self.context(ContextKind::InvalidArg);
        if flag.starts_with("--") {
            return self.usage(&format!("unknown flag: {flag}"));
        }
        if let Some(letters) = flag.strip_prefix('-') {
            let letter = letters.chars().next().unwrap_or('-');
            return self.usage(&format!("unknown shorthand flag: '{letter}' in {flag}"));
        }
        let command = help::find(self.root, self.called);
        let takes_name = command.is_some_and(|command| command.get_positionals().count() == 1);
        match takes_name && self.called.starts_with("kubectl create ") {
            true => self.help("exactly one NAME is required, got 2"),
            false => self.help(&format!("unknown command \"{flag}\"")),
        }
    }

    /// The option that an error is about; the library writes it with its values.
    fn argument(&self) -> Option<&Arg> {
        let shown = self.context(ContextKind::InvalidArg);
        let name = shown.split(['[', '=', '<', ' ']).next().unwrap_or_default();
        let command = help::find(self.root, self.called)?;
        let globals = self.root.get_arguments();
        let mut all = command.get_arguments().chain(globals);
        all.find(|arg| match name.strip_prefix("--") {
            Some(long) => arg.get_long() == Some(long),
            None => arg.get_short().is_some_and(|c| name == format!("-{c}")),
        })
    }

    fn value(&self) -> String {
        let value = self.context(ContextKind::InvalidValue);
        let Some(arg) = self.argument() else {
            return format!("error: {}", self.error.render());
        };
        if value.is_empty() {
            return self.usage(&self.needs_argument());
        }
        let title = match (arg.get_short(), arg.get_long()) {
            (Some(short), Some(long)) => format!("-{short}, --{long}"),
            (_, long) => format!("--{}", long.unwrap_or_default()),
        };
        let function = match arg.get_value_parser().type_id() == TypeId::of::<bool>() {
            true => "ParseBool",
            false => "ParseInt",
        };
        self.usage(&format!(
            "invalid argument \"{value}\" for \"{title}\" flag: strconv.{function}: parsing \"{value}\": invalid syntax"
        ))
    }

    fn needs_argument(&self) -> String {
        let Some(arg) = self.argument() else {
            return self.error.render().to_string();
        };
        let last = self.arguments.last().map(|word| word.to_string_lossy());
        let last = last.unwrap_or_default();
        match arg.get_short().filter(|_| !last.starts_with("--")) {
            Some(letter) => format!("flag needs an argument: '{letter}' in {last}"),
            None => format!(
                "flag needs an argument: --{}",
                arg.get_long().unwrap_or_default()
            ),
        }
    }

    fn missing(&self) -> String {
        let all = match self.error.get(ContextKind::InvalidArg) {
            Some(ContextValue::Strings(all)) => all.clone(),
            _ => Vec::new(),
        };
        if all.iter().any(|argument| !argument.starts_with('-')) {
            return match self.called.starts_with("kubectl create ") {
                true => self.help("exactly one NAME is required, got 0"),
                false => self.help("Unexpected args: []"),
            };
        }
        let names = all.iter().map(|flag| {
            let name = flag
                .trim_start_matches('-')
                .split(['[', '=', '<', ' '])
                .next();
            format!("\"{}\"", name.unwrap_or_default())
        });
        let names = names.collect::<Vec<_>>().join(", ");
        format!("error: required flag(s) {names} not set")
    }
}

/// Whether a user may have meant a name: it begins so, or two letters differ. Follows cobra's
/// SuggestionsFor.
fn is_like(word: &str, name: &str) -> bool {
    let (word, name) = (word.to_lowercase(), name.to_lowercase());
    name.starts_with(&word) || distance(&word, &name) <= 2
}

/// How many letters must be added, removed or changed to get from one word to another.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, letter) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, other) in to.iter().enumerate() {
            let changed = diagonal + usize::from(letter != *other);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_are_nearly_right_are_known() {
        assert_eq!((distance("gte", "get"), distance("", "get")), (2, 3));
        assert!(is_like("gte", "get") && is_like("desc", "describe"));
        assert!(!is_like("foo", "get"));
    }
}
