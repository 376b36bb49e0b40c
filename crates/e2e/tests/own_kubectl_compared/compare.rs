//! Two programs, one command line.

use e2e::{Folder, Kubectl, Outcome, Scope, until};

/// Both programs in the namespace of a test.
pub struct Both<'a> {
    /// The stock one.
    pub stock: &'a Kubectl,
    /// Ours.
    pub own: &'a Kubectl,
}

/// What a program said, as far as it can be compared.
pub fn shown(outcome: &Outcome) -> (Option<i32>, String, String) {
    let text = |text: &str| {
        text.lines()
            .map(without_ages)
            .collect::<Vec<_>>()
            .join("\n")
    };
    (outcome.code, text(&outcome.stdout), text(&outcome.stderr))
}

/// A line without the ages in it, which pass while one looks, and without the width of columns
/// that hang on them.
fn without_ages(line: &str) -> String {
    let is_age = |word: &str| {
        let word = word.trim_matches(['(', ')']);
        word.starts_with(|c: char| c.is_ascii_digit())
            && word.ends_with(['s', 'm', 'h', 'd'])
            && word
                .chars()
                .all(|c| c.is_ascii_digit() || "smhd".contains(c))
    };
    let words = line.split_whitespace().map(|word| match word {
        word if is_age(word) => "AGE",
        word if word.chars().all(|c| c == '-') => "-",
        word => word,
    });
    words.collect::<Vec<_>>().join(" ")
}

/// Both without a namespace of their own: upstream looks at the first words of a command line
/// before it reads options.
pub fn bare(t: &Scope, own: &Folder) -> (Kubectl, Kubectl) {
    let stock = t.cluster.kubectl();
    let own = stock.with_program(&own.path().join("kubectl"));
    (stock, own)
}

impl Both<'_> {
    /// Both say the same, to the letter but for ages.
    #[track_caller]
    pub fn agree(&self, arguments: &str) {
        let (theirs, ours) = (self.stock.run(arguments), self.own.run(arguments));
        assert_eq!(shown(&ours), shown(&theirs), "kubectl {arguments}");
    }

    /// The same for what the cluster may still be changing: they come to agree.
    #[track_caller]
    pub fn come_to_agree(&self, arguments: &str) {
        let mut last = (String::new(), String::new());
        until(&format!("both say the same to kubectl {arguments}"), || {
            let (theirs, ours) = (self.stock.run(arguments), self.own.run(arguments));
            let agree = shown(&ours) == shown(&theirs);
            if !agree {
                last = (ours.text(), theirs.text());
                eprintln!("ours: {}\ntheirs: {}", last.0, last.1);
            }
            agree
        });
    }

    /// Each does the same to an object of its own; what they say differs in its name only.
    #[track_caller]
    pub fn do_alike(&self, step: &str) {
        let said = |kubectl: &Kubectl, name: &str| {
            let outcome = kubectl.run(&step.replace("NAME", name));
            let text = format!("{:?}\n{}", outcome.code, outcome.text());
            text.replace(name, "NAME")
        };
        assert_eq!(
            said(self.own, "one-of-ours"),
            said(self.stock, "one-of-theirs"),
            "{step}"
        );
    }
}
