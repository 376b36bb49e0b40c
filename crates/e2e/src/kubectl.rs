//! Stock kubectl, of all versions that the machine has.

use crate::bounds;
use serde_json::Value;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// How one calls kubectl against a cluster.
#[derive(Clone, Debug)]
pub struct Kubectl {
    program: PathBuf,
    kubeconfig: PathBuf,
    home: PathBuf,
    namespace: Option<String>,
}

/// What a program said.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Its exit code; none after a signal.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Outcome {
    /// Whether it ended well.
    pub fn is_ok(&self) -> bool {
        self.code == Some(0)
    }

    /// Whatever it said, on either stream.
    pub fn text(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    /// Runs a program to its end, or ends it when it takes too long.
    ///
    /// # Panics
    /// When it cannot be run.
    pub fn of(command: &mut Command) -> Outcome {
        let output = bounds::output(command.stdin(Stdio::null()));
        let output = output.unwrap_or_else(|error| panic!("run {command:?}: {error}"));
        Outcome::from(output)
    }
}

impl From<std::process::Output> for Outcome {
    fn from(output: std::process::Output) -> Self {
        Outcome {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Kubectl {
    pub(crate) fn new(kubeconfig: &Path, home: &Path) -> Self {
        let newest = kubectls().pop().map(|(_, path)| path);
        Kubectl {
            program: newest.unwrap_or_else(|| "kubectl".into()),
            kubeconfig: kubeconfig.to_path_buf(),
            home: home.to_path_buf(),
            namespace: None,
        }
    }

    /// In a namespace unless the arguments say otherwise.
    pub fn within(&self, namespace: &str) -> Self {
        Kubectl {
            namespace: Some(namespace.into()),
            ..self.clone()
        }
    }

    /// Another program.
    pub fn with_program(&self, program: &Path) -> Self {
        Kubectl {
            program: program.into(),
            ..self.clone()
        }
    }

    /// Another kubeconfig.
    pub fn with_kubeconfig(&self, kubeconfig: &Path) -> Self {
        Kubectl {
            kubeconfig: kubeconfig.into(),
            ..self.clone()
        }
    }

    /// The command, not yet run. Arguments are split as [`words`] does.
    pub fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(&self.program);
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", &self.home)
            .env("KUBECONFIG", &self.kubeconfig);
        if let Some(namespace) = &self.namespace {
            command.arg("--namespace").arg(namespace);
        }
        command.args(words(arguments));
        command
    }

    /// Runs it and returns whatever it says.
    pub fn run(&self, arguments: &str) -> Outcome {
        Outcome::of(&mut self.command(arguments))
    }

    /// Runs it with something to read.
    ///
    /// # Panics
    /// When it cannot be run.
    pub fn feed(&self, arguments: &str, input: &str) -> Outcome {
        let mut child = self.spawn(arguments);
        let mut stdin = child.stdin.take().expect("standard input");
        // A program that ends early does not read to the end.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        child.wait_with_output().expect("wait for kubectl").into()
    }

    /// Starts it with pipes on all its streams.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn spawn(&self, arguments: &str) -> Child {
        self.command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("start kubectl")
    }

    /// Runs it and returns what it prints.
    ///
    /// # Panics
    /// When it fails.
    #[track_caller]
    pub fn ok(&self, arguments: &str) -> String {
        let outcome = self.run(arguments);
        assert!(outcome.is_ok(), "kubectl {arguments}\n{outcome:#?}");
        outcome.stdout
    }

    /// Runs it and returns what it complains about.
    ///
    /// # Panics
    /// When it does not fail.
    #[track_caller]
    pub fn fails(&self, arguments: &str) -> String {
        let outcome = self.run(arguments);
        assert!(!outcome.is_ok(), "kubectl {arguments}\n{outcome:#?}");
        outcome.text()
    }

    /// What `get -o json` says, or nothing when there is no such object.
    pub fn find(&self, what: &str) -> Option<Value> {
        let outcome = self.run(&format!("get {what} -o json"));
        match outcome.is_ok() {
            true => serde_json::from_str(&outcome.stdout).ok(),
            false => None,
        }
    }

    /// What `get -o json` says.
    ///
    /// # Panics
    /// When there is no such object.
    #[track_caller]
    pub fn get(&self, what: &str) -> Value {
        let text = self.ok(&format!("get {what} -o json"));
        serde_json::from_str(&text).expect("JSON of kubectl")
    }

    /// Applies manifests.
    ///
    /// # Panics
    /// When they are refused.
    #[track_caller]
    pub fn apply(&self, manifest: &str) {
        let outcome = self.feed("apply -f -", manifest);
        assert!(outcome.is_ok(), "apply {manifest}\n{outcome:#?}");
    }
}

/// The versions that the machine has, oldest first.
pub fn kubectls() -> Vec<(String, PathBuf)> {
    let folder = Path::new("/usr/lib/google-cloud-sdk/bin");
    (27..=33)
        .map(|minor| format!("1.{minor}"))
        .map(|version| (version.clone(), folder.join(format!("kubectl.{version}"))))
        .filter(|(_, path)| path.exists())
        .collect()
}

/// Splits at white space; single quotes keep words together.
pub fn words(text: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted) = (Vec::new(), None::<String>, false);
    for letter in text.chars() {
        match letter {
            '\'' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            letter if letter.is_whitespace() && !quoted => words.extend(word.take()),
            letter => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn quotes_keep_words_together() {
        assert_eq!(words("a  b"), ["a", "b"]);
        assert_eq!(
            words("exec x -- sh -c 'exit 3'"),
            ["exec", "x", "--", "sh", "-c", "exit 3"]
        );
        assert_eq!(words("-o=jsonpath='{.a}' ''"), ["-o=jsonpath={.a}", ""]);
    }
}
