//! Commands and their options, as the pages of help list them: none of upstream's is missing here,
//! and each has the same letter and the same default.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// What is newer than the stock program, or differs on purpose (docs/kubectl.md).
const DIFFERENT: [&str; 6] = [
    "kubectl debug --profile",
    "kubectl explain --output",
    "kubectl explain --recursive",
    // The folder of the user's home, in which this program keeps nothing.
    "kubectl options --cache-dir",
    "kubectl options --vmodule",
    "kubectl options --kuberc",
];

pub fn options_are_upstreams() {
    let folder = e2e::Folder::new("own-kubectl-options");
    let own = folder.path().join("kubectl");
    std::os::unix::fs::symlink(e2e::tiphys(), &own).expect("a link");
    let (_, stock) = e2e::kubectls().pop().expect("a stock kubectl");
    let mut wrong = Vec::new();
    let options = ["kubectl options".to_string()];
    for command in commands(&stock, "kubectl").into_iter().chain(options) {
        let (theirs, ours) = (page(&stock, &command), page(&own, &command));
        let listed = names(&ours);
        for name in names(&theirs) {
            if !listed.contains(&name) {
                wrong.push(format!("{command} {name} is not listed as there"));
            }
        }
        let ours = options_of(&ours);
        for (name, shown) in options_of(&theirs) {
            let option = format!("{command} {name}");
            if !DIFFERENT.contains(&option.as_str()) && ours.get(&name) != Some(&shown) {
                wrong.push(format!(
                    "{option}: {:?} instead of {shown}",
                    ours.get(&name)
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn page(program: &Path, command: &str) -> String {
    let mut call = Command::new(program);
    call.env_clear().env("HOME", "/nowhere");
    call.args(command.split(' ').skip(1));
    if command != "kubectl options" {
        call.arg("--help");
    }
    let output = call.output().expect("run kubectl");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A command and all those below it.
fn commands(program: &Path, command: &str) -> Vec<String> {
    let mut all = vec![command.to_string()];
    for name in names(&page(program, command)) {
        let name = name.split_whitespace().next().expect("a name");
        all.extend(commands(program, &format!("{command} {name}")));
    }
    all
}

/// The names of the commands that a page lists, with the space up to what they do.
fn names(page: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut is_listing = false;
    for line in page.lines() {
        if !line.starts_with(' ') {
            is_listing = line.ends_with(':') && line.contains("ommands");
            continue;
        }
        let begin = line.strip_prefix("  ").filter(|_| is_listing);
        let name = begin.and_then(|line| line.split_once("  "));
        if let Some((name, rest)) = name {
            let space = rest.len() - rest.trim_start().len();
            names.push(format!("{name}  {}", " ".repeat(space)));
        }
    }
    names
}

/// `--output`, and the line `-o, --output='':` without its margin.
fn options_of(page: &str) -> BTreeMap<String, String> {
    let lines = page.lines().filter_map(|line| line.strip_prefix("    "));
    let options = lines.filter(|line| line.starts_with('-') && line.ends_with(':'));
    let named = options.filter_map(|line| {
        let at = line.find("--")?;
        let end = line[at..].find('=')?;
        Some((line[at..at + end].to_string(), line.to_string()))
    });
    named.collect()
}
