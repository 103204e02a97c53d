//! Output and input on a plain terminal: no colours, no cursor movement, 80 columns.
//!
//! In: wrapped text, numbered choices, questions, passwords, pasted certificates. Out: the texts themselves.

use std::io::{self, Write as _};
use std::time::Duration;

use zeroize::Zeroizing;

use super::Ended;
use super::keyboard::{Keyboard, Mode};

/// Some terminals begin a new line in the 80th column, so it stays free.
const WIDTH: usize = 79;

/// Where the values of titled rows begin.
const COLUMN: usize = 15;

/// Longest typed line in bytes; more is read and dropped.
const MAX_LINE_BYTES: usize = 4_096;

/// Longest pasted text in bytes; no certificate comes near it.
const MAX_PASTE_BYTES: usize = 48 << 10;

/// Bytes of a certificate in each printed line.
const CERTIFICATE_LINE: usize = 64;

/// Input that follows an empty line within this time belongs to the paste: a terminal that pastes CR LF
/// makes an empty line after each full one.
const PAUSE: Duration = Duration::from_millis(500);

/// Keys of a line that is read byte by byte.
const END_OF_INPUT: u8 = 4;
const ERASE: [u8; 2] = [8, 127];

/// The terminal: keyboard and output.
pub(super) struct Screen {
    keyboard: Keyboard,
}

const NOTHING_TYPED: &str = "Nothing was typed, so nothing was changed.";
const TOO_LONG: &str = "That is longer than any certificate. Nothing was changed.";

fn unchanged(why: &str) -> Ended {
    Ended::Failed(why.to_owned())
}

impl Screen {
    pub(super) fn new() -> Screen {
        Screen { keyboard: Keyboard::new() }
    }

    /// Lines, each wrapped to the width; control characters are escaped, because some
    /// of it comes from files.
    pub(super) fn say(&mut self, text: &str) -> Result<(), Ended> {
        for line in text.lines() {
            let indent = line.len() - line.trim_start_matches(' ').len();
            self.wrapped(line, indent)?;
        }
        Ok(())
    }

    /// A title and its value.
    pub(super) fn row(&mut self, title: &str, value: &str) -> Result<(), Ended> {
        self.wrapped(&format!("  {title:<width$}{value}", width = COLUMN - 2), COLUMN)
    }

    pub(super) fn blank(&mut self) -> Result<(), Ended> {
        self.print("\n")
    }

    /// The head of a screen.
    pub(super) fn title(&mut self, title: &str) -> Result<(), Ended> {
        self.print(&format!("\n{title}\n{}\n", "-".repeat(title.chars().count())))
    }

    /// Shows a numbered menu; 0 chooses `last`. `None` if the input is none of the numbers.
    pub(super) fn choose<T: Copy>(
        &mut self,
        entries: &[(&str, T)],
        last: (&str, T),
    ) -> Result<Option<T>, Ended> {
        self.blank()?;
        for (number, (entry, _)) in entries.iter().enumerate() {
            self.say(&format!("  {}  {entry}", number + 1))?;
        }
        self.say(&format!("  0  {}", last.0))?;
        self.blank()?;
        let typed = self.ask(&format!("Choose 0 to {}:", entries.len()))?;
        let chosen = match typed.parse::<usize>() {
            Ok(0) => Some(last.1),
            Ok(number) => entries.get(number - 1).map(|entry| entry.1),
            Err(_) => None,
        };
        // Enter alone shows the screen again.
        if chosen.is_none() && !typed.is_empty() {
            let most = entries.len();
            self.say(&format!("Please type one of the numbers 0 to {most}, then Enter."))?;
        }
        Ok(chosen)
    }

    /// Goes on after a confirmation, asked for in the words of MA-25: `Choose OK to …`.
    pub(super) fn confirm(&mut self, question: &[&str]) -> Result<(), Ended> {
        loop {
            self.blank()?;
            for line in question {
                self.say(line)?;
            }
            match self.choose(&[("OK", true)], ("Cancel", false))? {
                Some(true) => return Ok(()),
                Some(false) => {
                    self.say("Cancelled. Nothing was changed.")?;
                    return Err(Ended::Cancelled);
                }
                None => {}
            }
        }
    }

    /// Says how something ended, and waits for Enter.
    pub(super) fn tell(&mut self, text: &str) -> Result<(), Ended> {
        self.blank()?;
        self.say(text)?;
        self.pause()
    }

    /// Waits for Enter.
    pub(super) fn pause(&mut self) -> Result<(), Ended> {
        self.ask("Press Enter to go on:").map(drop)
    }

    /// One typed line, without the white space around it.
    pub(super) fn ask(&mut self, prompt: &str) -> Result<String, Ended> {
        loop {
            self.print(&format!("{prompt} "))?;
            let line = self.line()?;
            match std::str::from_utf8(&line) {
                Ok(text) => return Ok(text.trim().to_owned()),
                Err(_) => self.say("That was not UTF-8 text. Please type it again.")?,
            }
        }
    }

    /// As [`Screen::ask`]; an empty line ends the screen.
    pub(super) fn require(&mut self, prompt: &str) -> Result<String, Ended> {
        let typed = self.ask(prompt)?;
        if typed.is_empty() { Err(unchanged(NOTHING_TYPED)) } else { Ok(typed) }
    }

    /// A password, typed twice without echo; the screen ends if it was empty or the two differ.
    pub(super) fn password(&mut self, prompt: &str) -> Result<Zeroizing<String>, Ended> {
        let first = self.hidden(&format!("{prompt} (not shown):"))?;
        if first.is_empty() {
            return Err(unchanged(NOTHING_TYPED));
        }
        if first != self.hidden("The same again:")? {
            return Err(unchanged("The two are not the same. Nothing was changed."));
        }
        let text = std::str::from_utf8(&first);
        text.map(|text| Zeroizing::new(text.to_owned()))
            .map_err(|_| unchanged("That was not UTF-8 text. Nothing was changed."))
    }

    fn hidden(&mut self, prompt: &str) -> Result<Zeroizing<Vec<u8>>, Ended> {
        self.keyboard.set(Mode::NoEcho);
        let line = self.print(&format!("{prompt} ")).and_then(|()| self.line());
        self.keyboard.set(Mode::Original);
        line
    }

    /// Lines up to an empty one, but not none.
    pub(super) fn paste_certificate(&mut self) -> Result<String, Ended> {
        let text = self.paste()?;
        if text.is_empty() {
            return Err(unchanged("Nothing was pasted, so nothing was changed."));
        }
        Ok(text)
    }

    /// Lines up to an empty one.
    pub(super) fn paste(&mut self) -> Result<String, Ended> {
        self.keyboard.set(Mode::Noncanonical);
        let text = self.pasted();
        self.keyboard.set(Mode::Original);
        text
    }

    fn pasted(&mut self) -> Result<String, Ended> {
        let terminal = self.keyboard.is_terminal();
        let mut text = String::new();
        loop {
            let line = if terminal { self.noncanonical_line()? } else { self.line()? };
            let line = String::from_utf8_lossy(&line);
            if !line.trim().is_empty() {
                if text.len() <= MAX_PASTE_BYTES {
                    text.push_str(line.trim());
                    text.push('\n');
                }
            } else if !(terminal && self.keyboard.has_more(PAUSE)) {
                let fits = text.len() <= MAX_PASTE_BYTES;
                return fits.then_some(text).ok_or_else(|| unchanged(TOO_LONG));
            }
        }
    }

    /// Prints a certificate in short lines between begin and end marks.
    pub(super) fn certificate(&mut self, name: &str, hex: &str) -> Result<(), Ended> {
        self.print(&format!("-----BEGIN {name}-----\n"))?;
        for line in hex.as_bytes().chunks(CERTIFICATE_LINE) {
            self.print(&format!("{}\n", String::from_utf8_lossy(line)))?;
        }
        self.print(&format!("-----END {name}-----\n"))
    }

    /// Prints lines that are to be copied as they are.
    pub(super) fn verbatim(&mut self, text: &str) -> Result<(), Ended> {
        text.lines().try_for_each(|line| self.print(&format!("{line}\n")))
    }

    /// A line without its end.
    fn line(&mut self) -> Result<Zeroizing<Vec<u8>>, Ended> {
        let mut line = Zeroizing::new(Vec::with_capacity(MAX_LINE_BYTES));
        let ended = loop {
            match self.keyboard.byte() {
                Ok(b'\n') => break Ok(()),
                Ok(byte) if line.len() < MAX_LINE_BYTES => line.push(byte),
                Ok(_) => {}
                Err(closed) => break Err(closed),
            }
        };
        // No typed Enter has moved to the next line.
        if ended.is_err() || !self.keyboard.is_terminal() {
            self.print("\n")?;
        }
        ended?;
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        Ok(line)
    }

    /// A line from a terminal in noncanonical mode; CR, LF or both end it.
    fn noncanonical_line(&mut self) -> Result<Zeroizing<Vec<u8>>, Ended> {
        let mut line = Zeroizing::new(Vec::new());
        loop {
            match self.keyboard.byte()? {
                b'\r' | b'\n' => break,
                END_OF_INPUT => return Err(Ended::Closed),
                key if ERASE.contains(&key) => {
                    let rubbed = if line.pop().is_some() { "\x08 \x08" } else { "" };
                    self.print(rubbed)?;
                }
                byte if line.len() < MAX_PASTE_BYTES
                    && (byte.is_ascii_graphic() || byte == b' ') =>
                {
                    // Not every terminal wraps lines by itself.
                    if !line.is_empty() && line.len().is_multiple_of(CERTIFICATE_LINE) {
                        self.print("\n")?;
                    }
                    line.push(byte);
                    self.print(char::from(byte).encode_utf8(&mut [0; 4]))?;
                }
                _ => {}
            }
        }
        self.print("\n")?;
        Ok(line)
    }

    fn wrapped(&mut self, line: &str, indent: usize) -> Result<(), Ended> {
        self.print(&wrap(&escaped(line), indent))
    }

    fn print(&mut self, text: &str) -> Result<(), Ended> {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|_| Ended::Closed)
    }
}

fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() { safe.extend(c.escape_default()) } else { safe.push(c) }
    }
    safe
}

/// Lines of at most [`WIDTH`] characters, those after the first indented; a longer word is cut.
fn wrap(line: &str, indent: usize) -> String {
    let characters: Vec<char> = line.trim_end().chars().collect();
    let mut text = String::with_capacity(line.len() + 8);
    let (mut from, mut room) = (0, WIDTH);
    while characters.len() - from > room {
        // A fingerprint, which has no spaces, is cut between its bytes.
        let window = &characters[from..=from + room];
        // Not in the indentation, where there is no word to move.
        let begin = window.iter().position(|c| *c != ' ').unwrap_or(0);
        let space = window.iter().rposition(|c| *c == ' ').filter(|at| *at > begin);
        let colon = window[..room].iter().rposition(|c| *c == ':').map(|at| at + 1);
        let cut = space.or(colon).unwrap_or(room);
        text.extend(window[..cut].iter());
        text.push('\n');
        text.extend(std::iter::repeat_n(' ', indent));
        from += cut + usize::from(space.is_some());
        room = WIDTH - indent;
    }
    text.extend(characters[from..].iter());
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::{WIDTH, escaped, wrap};

    #[test]
    fn no_line_is_wider_than_the_screen_and_no_word_is_lost() {
        for (line, indent) in [
            ("a word ".repeat(40), 0),
            (format!("  Title        {}", "x".repeat(300)), 15),
            (format!("  Title        {} y", "x".repeat(64)), 15),
            ("x".repeat(WIDTH), 0),
            (String::new(), 0),
        ] {
            let text = wrap(&line, indent);
            assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
            let solid = |text: &str| text.split_whitespace().collect::<String>();
            assert_eq!(solid(&text), solid(&line));
        }
        assert_eq!(wrap(&"x".repeat(WIDTH), 0).lines().count(), 1);
    }

    #[test]
    fn what_could_move_a_cursor_is_shown_and_not_done() {
        assert_eq!(escaped("a\x1b[2Jb\r"), "a\\u{1b}[2Jb\\r");
    }
}
