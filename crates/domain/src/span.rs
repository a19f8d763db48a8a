//! Durations as people write them: `30d`, `24h`, `1h30m`. No months, since a month is no duration.

use std::{fmt, str::FromStr};

/// A length of time in whole seconds, kept in the spelling it was written in by whoever needs that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span(u64);

/// The longest span that is accepted: a hundred years.
const LONGEST: u64 = 100 * 366 * 86_400;

/// Why a text is not a span.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a duration: whole numbers with w, d, h, m or s, such as \"30d\" or \"1h30m\", at most a hundred years"
)]
pub struct SpanError(String);

const UNITS: [(char, u64); 5] = [('w', 604_800), ('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

impl Span {
    /// No time at all.
    pub const ZERO: Span = Span(0);

    /// So many seconds.
    pub const fn from_secs(seconds: u64) -> Span {
        Span(seconds)
    }

    /// The length in seconds.
    pub const fn as_secs(self) -> u64 {
        self.0
    }

    /// The length in seconds, signed, for arithmetic with timestamps. It always fits.
    pub const fn as_signed_secs(self) -> i64 {
        self.0 as i64
    }

    /// As the standard library has it.
    pub const fn to_std(self) -> std::time::Duration {
        std::time::Duration::from_secs(self.0)
    }
}

impl std::ops::Add for Span {
    type Output = Span;

    fn add(self, other: Span) -> Span {
        Span(self.0.saturating_add(other.0))
    }
}

impl std::ops::Div<u64> for Span {
    type Output = Span;

    fn div(self, by: u64) -> Span {
        Span(self.0 / by)
    }
}

impl FromStr for Span {
    type Err = SpanError;

    fn from_str(text: &str) -> Result<Self, SpanError> {
        let refuse = || SpanError(text.to_owned());
        if text == "0" {
            return Ok(Span::ZERO);
        }
        let (mut total, mut digits, mut last) = (0u64, String::new(), usize::MAX);
        for c in text.chars() {
            if c.is_ascii_digit() {
                digits.push(c);
                continue;
            }
            let unit = UNITS.iter().position(|(name, _)| *name == c).ok_or_else(refuse)?;
            // Each unit once and in falling order: "5m1h" is a slip, not a spelling.
            if digits.is_empty() || (last != usize::MAX && unit <= last) {
                return Err(refuse());
            }
            let count: u64 = digits.parse().map_err(|_| refuse())?;
            total = count
                .checked_mul(UNITS[unit].1)
                .and_then(|seconds| total.checked_add(seconds))
                .filter(|seconds| *seconds <= LONGEST)
                .ok_or_else(refuse)?;
            digits.clear();
            last = unit;
        }
        if !digits.is_empty() || last == usize::MAX {
            return Err(refuse());
        }
        Ok(Span(total))
    }
}

/// The shortest spelling: whole units only, largest first.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0");
        }
        let mut left = self.0;
        // Weeks are read but not written: "30d" should not come back as "4w2d".
        for (name, seconds) in &UNITS[1..] {
            if left >= *seconds {
                write!(f, "{}{name}", left / seconds)?;
                left %= seconds;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn spans_read_as_people_write_them() {
        let seconds = |text: &str| text.parse::<Span>().map(Span::as_secs);
        assert_eq!(seconds("30d"), Ok(2_592_000));
        assert_eq!(seconds("1h30m"), Ok(5_400));
        assert_eq!(seconds("2w"), Ok(1_209_600));
        assert_eq!(seconds("0"), Ok(0));
        for wrong in ["", "d", "1", "5m1h", "1mo", "-1d", "1.5h", "1h1h", "99999999999999999999d"] {
            assert!(seconds(wrong).is_err(), "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn every_span_survives_being_written_and_read(seconds in 0..LONGEST) {
            let span = Span::from_secs(seconds);
            prop_assert_eq!(span.to_string().parse::<Span>().unwrap(), span);
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in ".*") {
            let _ = text.parse::<Span>();
        }
    }
}
