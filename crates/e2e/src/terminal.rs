//! A terminal with a program in it, and somebody who types and reads.

use crate::wait::eventually;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcgetattr, tcsetwinsize};
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, Mutex, PoisonError};

/// A terminal, and the program in it. The program ends with it.
pub struct Terminal {
    keys: File,
    program: Child,
    said: Arc<Mutex<String>>,
    seen: usize,
}

impl Terminal {
    /// Starts a program in a terminal of this size.
    ///
    /// # Panics
    /// When there is no terminal to be had.
    pub fn start(command: &Command, rows: u16, columns: u16) -> Terminal {
        let keys = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC);
        let keys = File::from(keys.expect("a terminal"));
        grantpt(&keys)
            .and_then(|()| unlockpt(&keys))
            .expect("a terminal of our own");
        let name = ptsname(&keys, Vec::new()).expect("the terminal's name");
        let name = name.to_str().expect("a name of letters");
        let screen = OpenOptions::new().read(true).write(true).open(name);
        let screen = screen.expect("the terminal's other end");
        let share = || screen.try_clone().expect("a share of the terminal");
        // The program in front is told of new sizes; that takes a session of its own.
        let mut started = Command::new("setsid");
        started
            .arg("--ctty")
            .arg(command.get_program())
            .args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => started.env(name, value),
                None => started.env_remove(name),
            };
        }
        set_size(&keys, rows, columns);
        let program = started
            .stdin(share())
            .stdout(share())
            .stderr(share())
            .spawn();
        let said = Arc::default();
        listen(&keys, &said);
        Terminal {
            keys,
            program: program.expect("a program in the terminal"),
            said,
            seen: 0,
        }
    }

    /// Types.
    ///
    /// # Panics
    /// When the terminal is gone.
    pub fn enter(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).expect("a terminal");
    }

    /// Makes it larger or smaller.
    pub fn resize(&self, rows: u16, columns: u16) {
        set_size(&self.keys, rows, columns);
    }

    /// Waits until a text stands behind all that was waited for before.
    ///
    /// # Panics
    /// When it does not come.
    #[track_caller]
    pub fn expect(&mut self, text: &str) {
        let (said, seen) = (self.said.clone(), self.seen);
        let all = || said.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.seen = eventually(&format!("{text:?} behind {:?}", &all()[seen..]), || {
            all()[seen..].find(text).map(|at| seen + at + text.len())
        });
    }

    /// Whether keys are shown as they are typed, line by line, as in a terminal that nobody uses.
    ///
    /// # Panics
    /// When the terminal is gone.
    pub fn is_at_rest(&self) -> bool {
        use rustix::termios::LocalModes;
        let state = tcgetattr(&self.keys).expect("the terminal's state");
        state
            .local_modes
            .contains(LocalModes::ECHO | LocalModes::ICANON)
    }

    /// Waits until the program has ended.
    ///
    /// # Panics
    /// When it does not end.
    #[track_caller]
    pub fn end(&mut self) -> ExitStatus {
        eventually("the end of the program in the terminal", || {
            self.program.try_wait().expect("a program of ours")
        })
    }

    /// All that was said.
    pub fn said(&self) -> String {
        self.said
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // What has ended cannot be killed.
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

fn set_size(terminal: &File, rows: u16, columns: u16) {
    let size = Winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(terminal, size).expect("a terminal with a size");
}

/// Reads until nobody has the terminal any more.
fn listen(terminal: &File, said: &Arc<Mutex<String>>) {
    let mut terminal = terminal.try_clone().expect("a share of the terminal");
    let said = said.clone();
    std::thread::spawn(move || {
        let mut piece = [0; 4096];
        while let Ok(length @ 1..) = terminal.read(&mut piece) {
            let text = String::from_utf8_lossy(&piece[..length]);
            said.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push_str(&text);
        }
    });
}
