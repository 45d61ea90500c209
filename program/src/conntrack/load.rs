//! `-R`: commands from a file, one a line, as `-o save` writes them.
//!
//! Blank lines and lines that begin with `#` are passed over. Words are parted by blanks; double quotes keep
//! blanks together, and a backslash in quotes takes the next character as it is. Only commands that change a
//! table may stand in a file, and they say nothing of how many entries they changed. The first line that fails ends
//! the run; whose table is meant stands before `-R`, and holds for all lines.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::process::ExitCode;

use super::options::{self, Command};
use super::say::{Failure, Voice, usage};

/// Lines longer than that are no commands: labels and all, they have a few hundred bytes.
const LONGEST: u64 = 1 << 16;

/// The file that a command line names with `-R`, and the words before it, which may only say where the
/// table is. `None` if the line is another; a file that is missing is `None` inside.
pub(super) fn asked(words: &[String]) -> Option<(&[String], Option<String>)> {
    let mut place = 0;
    while let Some(word) = words.get(place) {
        place += match word.as_str() {
            "--kernel" | "--ipct" => 1,
            "--socket" => 2,
            word if word.starts_with("--socket=") => 1,
            _ => break,
        };
    }
    let (before, rest) = words.split_at_checked(place)?;
    let (word, rest) = rest.split_first()?;
    let joined = match word.strip_prefix("-R") {
        Some(joined) => Some(joined).filter(|joined| !joined.is_empty()),
        None => {
            let (name, value) = match word.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (word.as_str(), None),
            };
            let is_it = name.len() > "--lo".len() && "--load-file".starts_with(name);
            is_it.then_some(value)?
        }
    };
    Some((before, joined.map(str::to_owned).or(rest.first().cloned())))
}

/// Carries out the commands of a file; `-` is standard input.
pub(super) fn run(before: &[String], path: &str, voice: Voice) -> Result<ExitCode, Failure> {
    if path == "-" {
        return lines(before, io::stdin().lock(), voice);
    }
    match File::open(path) {
        Ok(file) => lines(before, BufReader::new(file), voice),
        Err(_) => usage(format!("Failed to open file {path} for reading")),
    }
}

fn lines(before: &[String], mut file: impl BufRead, voice: Voice) -> Result<ExitCode, Failure> {
    let mut tables = super::change::Tables::default();
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = io::Read::take(&mut file, LONGEST).read_until(b'\n', &mut line);
        match read {
            Ok(0) => return Ok(ExitCode::SUCCESS),
            Ok(_) => {}
            Err(error) => return usage(format!("Failed to read commands: {error}")),
        }
        let text = String::from_utf8_lossy(&line);
        let words = words(&text);
        if words.is_empty() {
            continue;
        }
        let all: Vec<String> = before.iter().cloned().chain(words).collect();
        let order = options::parse(&all, voice)?;
        if !order.command.may_be_loaded() {
            let name = all
                .iter()
                .skip(before.len())
                .find(|word| word.starts_with('-'));
            let name = name.map_or("", String::as_str);
            return usage(format!("Cannot use command `{name}' with --load-file"));
        }
        super::change::run(&order, &mut tables)?;
    }
}

impl Command {
    /// Whether it changes a table.
    const fn may_be_loaded(self) -> bool {
        matches!(
            self,
            Command::Create | Command::Add | Command::Update | Command::Delete | Command::Flush
        )
    }
}

/// The words of a line; none if it is blank or a remark.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let (mut word, mut begun, mut quoted) = (String::new(), false, false);
    let mut letters = line.trim().chars();
    if line.trim_start().starts_with('#') {
        return words;
    }
    while let Some(letter) = letters.next() {
        match letter {
            '"' => (quoted, begun) = (!quoted, true),
            '\\' if quoted => word.extend(letters.next()),
            blank if blank.is_whitespace() && !quoted => {
                if begun {
                    words.push(core::mem::take(&mut word));
                }
                begun = false;
            }
            letter => {
                word.push(letter);
                begun = true;
            }
        }
    }
    if begun {
        words.push(word);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::{asked, words};

    #[test]
    fn quotes_keep_words_together() {
        assert_eq!(
            words("  -I  -l \"a b\\\"c\" \"\" x\n"),
            ["-I", "-l", "a b\"c", "", "x"]
        );
    }

    #[test]
    fn remarks_and_blank_lines_have_no_words() {
        assert!(words(" # -F\n").is_empty());
        assert!(words(" \t\n").is_empty());
    }

    #[test]
    fn the_file_comes_first_or_after_the_place_of_the_table() {
        let asked = |line: &str| {
            let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            asked(&words).map(|(before, file)| (before.len(), file))
        };
        assert_eq!(asked("-R x"), Some((0, Some("x".to_owned()))));
        assert_eq!(
            asked("--kernel --load-file=x"),
            Some((1, Some("x".to_owned())))
        );
        assert_eq!(asked("--socket -R -Rx"), Some((2, Some("x".to_owned()))));
        assert_eq!(asked("--load x"), Some((0, Some("x".to_owned()))));
        assert_eq!(asked("-R"), Some((0, None)));
        assert_eq!(asked("-L -R x"), None);
        assert_eq!(asked("--label x"), None);
        assert_eq!(asked("--socket"), None);
    }
}
