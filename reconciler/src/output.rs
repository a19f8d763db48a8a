//! What a person or a pipeline sees: results on standard output, everything else on standard error.

use std::{
    fmt::Write as _,
    io::{ErrorKind, IsTerminal, Write},
    sync::OnceLock,
    time::Duration,
};

use anstyle::{AnsiColor, Style};
use clap::{ColorChoice, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use operations::Problem;

use crate::exit::Exit;

/// How a result is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// Where and how to print.
#[derive(Debug)]
pub(crate) struct Output {
    quiet: bool,
    /// Why a line of the result did not get out.
    lost: OnceLock<String>,
}

/// Added, or good.
pub(crate) const GREEN: Style = AnsiColor::Green.on_default();
/// Taken away, or wrong.
pub(crate) const RED: Style = AnsiColor::Red.on_default();
/// Changed, or to be looked at.
pub(crate) const YELLOW: Style = AnsiColor::Yellow.on_default();
/// A heading.
pub(crate) const BOLD: Style = Style::new().bold();
/// Beside the point.
pub(crate) const DIM: Style = Style::new().dimmed();

/// A text in a style; the stream drops the style where color is not wanted.
pub(crate) fn styled(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

/// Text as a terminal may be given it: what could move the cursor, hide a line or turn its direction
/// is spelled out, as JSON spells it. Names come from platforms, and platforms from anybody.
pub(crate) fn printable(text: &str) -> String {
    let ours = [GREEN, RED, YELLOW, BOLD, DIM].map(|style| style.to_string());
    let reset = format!("{GREEN:#}");
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let style = ours.iter().chain([&reset]).find(|style| rest.starts_with(style.as_str()));
        if let Some(style) = style {
            shown.push_str(style);
            rest = &rest[style.len()..];
            continue;
        }
        let turns = matches!(next, '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if turns || (next.is_control() && !matches!(next, '\n' | '\t')) {
            let _ = write!(shown, "\\u{:04x}", u32::from(next));
        } else {
            shown.push(next);
        }
        rest = &rest[next.len_utf8()..];
    }
    shown
}

impl Output {
    pub(crate) fn new(color: ColorChoice, quiet: bool) -> Output {
        color_choice(color).write_global();
        Output { quiet, lost: OnceLock::new() }
    }

    /// A line of the result.
    pub(crate) fn line(&self, text: &str) {
        if let Err(error) = writeln!(anstream::stdout(), "{}", printable(text)) {
            // A reader that went away (`| head`) has what it wanted.
            if error.kind() != ErrorKind::BrokenPipe {
                let _ = self.lost.set(error.to_string());
            }
        }
    }

    /// How a run ended, unless its result did not get out: then nobody may conclude anything.
    pub(crate) fn ended(&self, exit: Exit) -> Exit {
        let Some(why) = self.lost.get() else { return exit };
        self.error(&format!("the result could not be written: {why}"));
        Exit::Failed
    }

    /// A hint beside the result.
    pub(crate) fn hint(&self, text: &str) {
        if !self.quiet {
            let _ = writeln!(anstream::stderr(), "{}", styled(DIM, &printable(text)));
        }
    }

    /// What must be seen though it is no result, however quiet it is.
    pub(crate) fn beside(&self, text: &str) {
        let _ = writeln!(anstream::stderr(), "{}", printable(text));
    }

    /// A question, whose answer is typed behind it.
    pub(crate) fn ask(&self, text: &str) {
        let mut stream = anstream::stderr();
        let _ = write!(stream, "{}", printable(text)).and_then(|()| stream.flush());
    }

    /// A warning.
    pub(crate) fn warning(&self, text: &str) {
        let _ = writeln!(anstream::stderr(), "{} {}", styled(YELLOW, "Warning:"), printable(text));
    }

    /// What to do about the warning before it.
    pub(crate) fn advice(&self, text: &str) {
        let _ = writeln!(anstream::stderr(), "Next: {}", printable(text));
    }

    /// An error in one line.
    pub(crate) fn error(&self, text: &str) {
        let _ = writeln!(anstream::stderr(), "{} {}", styled(RED, "Error:"), printable(text));
    }

    /// An error with what to do next.
    pub(crate) fn problem(&self, problem: &Problem) {
        let text = problem.to_string();
        let (first, rest) = text.split_once('\n').unwrap_or((&text, ""));
        self.error(first);
        if !rest.is_empty() {
            let _ = writeln!(anstream::stderr(), "{}", printable(rest));
        }
    }

    /// A line that says what is being waited for, gone when the result comes.
    pub(crate) fn progress(&self, text: &str) -> Progress {
        if self.quiet || !std::io::stderr().is_terminal() {
            return Progress(None);
        }
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed:.dim}") {
            bar.set_style(style);
        }
        bar.set_message(text.to_owned());
        bar.enable_steady_tick(Duration::from_millis(120));
        Progress(Some(bar))
    }
}

fn color_choice(color: ColorChoice) -> anstream::ColorChoice {
    match color {
        ColorChoice::Auto => anstream::ColorChoice::Auto,
        ColorChoice::Always => anstream::ColorChoice::Always,
        ColorChoice::Never => anstream::ColorChoice::Never,
    }
}

/// A progress line; dropping it clears it.
#[derive(Debug)]
pub(crate) struct Progress(Option<ProgressBar>);

impl Progress {
    /// Says what is waited for now.
    pub(crate) fn say(&self, text: &str) {
        if let Some(bar) = &self.0 {
            bar.set_message(text.to_owned());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_platforms_call_things_cannot_drive_the_terminal() {
        let hostile = "app\u{1b}[2J\u{1b}]0;x\u{7}\r\u{9b}8m\u{202e}ppa\u{7f}";
        let line = format!("{} is {hostile}", styled(BOLD, "it"));
        let expected = "\u{1b}[1mit\u{1b}[0m is app\\u001b[2J\\u001b]0;x\\u0007\\u000d\\u009b8m\\u202eppa\\u007f";
        assert_eq!(printable(&line), expected);
        assert_eq!(printable("a\tb\nč 名"), "a\tb\nč 名");
    }

    #[test]
    fn what_is_spelled_out_in_json_still_says_the_same() {
        let value = serde_json::json!({ "name": "\u{9b}\u{202e}\u{1b}x" });
        let shown = printable(&value.to_string());
        assert!(!shown.chars().any(|one| one.is_control()));
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
    }
}
