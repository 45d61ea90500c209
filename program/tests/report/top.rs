//! `ipct top` in a real terminal (tmux), at two sizes, with its keys.

use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use super::listings::flood;

/// A terminal with the program in it.
struct Terminal {
    socket: String,
}

impl Terminal {
    fn new(dir: &Path, width: u16, height: u16, command: &str) -> Option<Terminal> {
        let terminal = Terminal {
            socket: dir.join(format!("tmux{width}")).display().to_string(),
        };
        let size = [width.to_string(), height.to_string()];
        let started = Command::new("tmux")
            .args([
                "-S",
                &terminal.socket,
                "-f",
                "/dev/null",
                "new-session",
                "-d",
                "-x",
                &size[0],
                "-y",
                &size[1],
                command,
            ])
            .current_dir(dir)
            .output();
        match started {
            Ok(started) if started.status.success() => Some(terminal),
            _ if std::env::var_os("IP_CONNTRACK_REQUIRE_KERNEL").is_some() => {
                panic!("tmux is needed: {started:?}")
            }
            _ => {
                eprintln!("passed over: no tmux");
                None
            }
        }
    }

    fn tmux(&self, arguments: &[&str]) -> String {
        let output = Command::new("tmux")
            .args(["-S", &self.socket])
            .args(arguments)
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn key(&self, key: &str) {
        self.tmux(&["send-keys", key]);
    }

    /// The screen, once it shows that.
    #[track_caller]
    fn shows(&self, text: &str) -> String {
        let began = Instant::now();
        loop {
            let screen = self.tmux(&["capture-pane", "-p"]);
            if screen.contains(text) {
                return screen;
            }
            assert!(
                began.elapsed() < Duration::from_secs(10),
                "no {text:?} in\n{screen}"
            );
            thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
    }
}

#[test]
fn a_table_is_looked_at_in_small_and_large_terminals() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("table"), flood(900, 100)).unwrap();
    let command = format!("{} top table --max 1200", env!("CARGO_BIN_EXE_ipct"));
    for (width, height) in [(80, 24), (200, 60)] {
        let Some(terminal) = Terminal::new(dir.path(), width, height, &command) else {
            return;
        };
        let screen = terminal.shows("SYN flood from made-up addresses");
        assert!(
            screen
                .lines()
                .all(|line| line.chars().count() <= usize::from(width)),
            "{screen}"
        );
        for part in [
            "1,000 of 1,200 (83 %)",
            "assured 100 (10 %)",
            "half-open 900 (90 %)",
            "Tab",
        ] {
            assert!(screen.contains(part), "{part}: {screen}");
        }
        terminal.key("Tab");
        terminal.shows("198.51.100.80");
        terminal.key("f");
        terminal.shows("203.0.113.0/25");
        terminal.key("/");
        for c in ["2", "0", "3"] {
            terminal.key(c);
        }
        terminal.key("Enter");
        assert!(!terminal.shows("/203").contains("0.0.0.0/0"));
        terminal.key("d");
        terminal.shows("a file's entries cannot be deleted");
        terminal.tmux(&["resize-window", "-x", "100", "-y", "30"]);
        terminal.shows("203.0.113.0/25");
        terminal.key("q");
    }
}

#[test]
fn without_colours_there_are_none() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("table"), flood(900, 100)).unwrap();
    let command = format!(
        "NO_COLOR=1 {} top table --max 1200",
        env!("CARGO_BIN_EXE_ipct")
    );
    let Some(terminal) = Terminal::new(dir.path(), 90, 24, &command) else {
        return;
    };
    terminal.shows("SYN flood");
    let screen = terminal.tmux(&["capture-pane", "-p", "-e"]);
    // Colours are 30 to 49 and 90 to 107 (ECMA-48); bold, reversed and underlined are less.
    let coloured = screen
        .split("\x1b[")
        .skip(1)
        .filter_map(|rest| rest.split_once('m'))
        .any(|(codes, _)| {
            codes
                .split(';')
                .any(|code| matches!(code.parse(), Ok(30..=38 | 40..=48 | 90..=107)))
        });
    assert!(!coloured, "{screen:?}");
}
