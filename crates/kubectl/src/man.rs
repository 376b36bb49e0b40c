//! Manual pages of a command and of all that is below it, made of what its help says.

use crate::help::{about, default, entry, shown, usage};
use clap::{Arg, Command};

/// The pages of a program, each with the name of its file: `kubectl-create-role.1`.
pub fn pages(root: &Command, version: &str) -> Vec<(String, String)> {
    let mut out = Vec::new();
    let mut root = root.clone();
    root.build();
    let path = root.get_name().to_string();
    let globals: Vec<&Arg> = root.get_arguments().filter(|a| a.is_global_set()).collect();
    collect(
        &Page {
            version,
            globals: &globals,
        },
        &root,
        &path,
        &mut out,
    );
    out
}

/// What all pages have in common.
struct Page<'a> {
    version: &'a str,
    globals: &'a [&'a Arg],
}

fn collect(page: &Page<'_>, command: &Command, path: &str, out: &mut Vec<(String, String)>) {
    let name = path.replace(' ', "-");
    out.push((format!("{name}.1"), page.text(command, path)));
    for below in shown(command) {
        collect(page, below, &format!("{path} {}", below.get_name()), out);
    }
}

impl Page<'_> {
    fn text(&self, command: &Command, path: &str) -> String {
        let name = path.replace(' ', "-");
        let mut out = format!(
            ".TH \"{}\" \"1\" \"\" \"{}\" \"Kubernetes\"\n",
            escaped(&name.to_uppercase()),
            escaped(self.version)
        );
        let about = about(command);
        let brief = about.trim_end_matches('.');
        out.push_str(&format!(
            ".SH NAME\n{} \\- {}\n",
            escaped(&name),
            escaped(brief)
        ));
        out.push_str(&format!(
            ".SH SYNOPSIS\n\\fB{}\\fR\n",
            escaped(&usage(command, path))
        ));
        out.push_str(&format!(
            ".SH DESCRIPTION\n{}\n",
            lines(&described(command))
        ));
        let is_global = |arg: &&Arg| self.globals.iter().any(|g| g.get_id() == arg.get_id());
        let own: Vec<&Arg> = command
            .get_arguments()
            .filter(|arg| !is_global(arg))
            .collect();
        out.push_str(&options(path, "OPTIONS", &own));
        if !path.contains(' ') {
            out.push_str(&options(path, "OPTIONS OF ALL COMMANDS", self.globals));
        }
        if let Some(entry) = entry(path).filter(|entry| !entry.examples.is_empty()) {
            let text = entry.indented("");
            out.push_str(&format!(
                ".SH EXAMPLES\n.EX\n{}\n.EE\n",
                lines(text.trim_end())
            ));
        }
        out + &see_also(command, path)
    }
}

fn described(command: &Command) -> String {
    let long = command.get_long_about().or(command.get_about());
    long.map(ToString::to_string).unwrap_or_default()
}

fn options(path: &str, title: &str, arguments: &[&Arg]) -> String {
    let mut named: Vec<&&Arg> = arguments
        .iter()
        .filter(|arg| arg.get_long().is_some() && !arg.is_hide_set())
        .collect();
    named.sort_by_key(|arg| arg.get_long());
    if named.is_empty() {
        return String::new();
    }
    let each = named.iter().map(|arg| {
        let short = arg
            .get_short()
            .map(|c| format!("\\fB\\-{c}\\fR, "))
            .unwrap_or_default();
        let long = escaped(arg.get_long().unwrap_or_default());
        let help = arg.get_long_help().or(arg.get_help());
        let help = help.map(ToString::to_string).unwrap_or_default();
        let default = match default(path, arg) {
            text if text.is_empty() => String::new(),
            text => format!("={}", escaped(&text)),
        };
        format!(
            ".TP\n{short}\\fB\\-\\-{long}\\fR{default}\n{}\n",
            lines(&help)
        )
    });
    format!(".SH {title}\n{}", each.collect::<String>())
}

/// The command above and those below.
fn see_also(command: &Command, path: &str) -> String {
    let above = path.rsplit_once(' ').map(|(above, _)| above.to_string());
    let below = shown(command).map(|sub| format!("{path} {}", sub.get_name()));
    let all = above.into_iter().chain(below);
    let all: Vec<String> = all
        .map(|path| format!("\\fB{}\\fR(1)", escaped(&path.replace(' ', "-"))))
        .collect();
    match all.is_empty() {
        true => String::new(),
        false => format!(".SH SEE ALSO\n{}\n", all.join(",\n")),
    }
}

/// Text as it is: what the formatter would take for its own is escaped.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\e")
        .replace('-', "\\-")
        .replace('"', "\\(dq")
}

/// The same for whole lines, which may begin as requests do.
fn lines(text: &str) -> String {
    let each = text
        .lines()
        .map(|line| match line.starts_with(['.', '\'']) {
            true => format!("\\&{}", escaped(line)),
            false => escaped(line),
        });
    each.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page_with_its_options_and_examples() {
        let pages = pages(&crate::cli::command(), "v1");
        let page = |name: &str| {
            let found = pages.iter().find(|(file, _)| file == name);
            found.map(|(_, text)| text.as_str()).expect(name)
        };
        assert!(page("kubectl.1").contains("\\fB\\-\\-kubeconfig\\fR"));
        let role = page("kubectl-create-role.1");
        for part in [
            ".TH \"KUBECTL\\-CREATE\\-ROLE\" \"1\" \"\" \"v1\"",
            "\\fB\\-\\-verb\\fR=[]",
            "kubectl create role pod\\-reader",
            "\\fBkubectl\\-create\\fR(1)",
        ] {
            assert!(role.contains(part), "{part}\n{role}");
        }
    }

    #[test]
    fn requests_are_not_taken_from_text() {
        assert_eq!(lines(".so x\n'a\\b"), "\\&.so x\n\\&'a\\eb");
    }
}
