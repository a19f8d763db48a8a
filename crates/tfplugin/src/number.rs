//! Numbers of any size, exact and compared by value.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// How many digits a number may have. (Cores keep 512 bits, about 154 digits.)
const MAX_DIGITS: usize = 4096;
/// How far the decimal point may be from the digits.
const MAX_EXPONENT: u32 = 100_000;
/// How many zeros are written out before the text turns to an exponent.
const MAX_ZEROS: i32 = 400;

/// A number of any size, exact. Two spellings of one value are equal: `1.50` is `1.5`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Number(Form);

/// One form per value: `Int` where it fits, else digits without zeros at either end.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Form {
    Int(i64),
    /// `digits` × 10^`exponent`.
    Decimal {
        negative: bool,
        digits: String,
        exponent: i32,
    },
}

/// Why a text or a float is no number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotANumber(String);

impl fmt::Display for NotANumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NotANumber {}

impl Number {
    /// The integer, where it is one that fits.
    pub fn as_i64(&self) -> Option<i64> {
        match self.0 {
            Form::Int(value) => Some(value),
            Form::Decimal { .. } => None,
        }
    }

    /// The nearest float.
    pub fn to_f64(&self) -> f64 {
        self.to_string().parse().unwrap_or(f64::NAN)
    }

    /// The exact value of a float, all its binary digits kept: what arrives on the wire.
    ///
    /// # Errors
    /// The float is infinite or no number.
    pub fn from_f64_exactly(value: f64) -> Result<Self, NotANumber> {
        if !value.is_finite() {
            return Err(NotANumber(format!("{value} is no finite number")));
        }
        format!("{value:.1074}").parse()
    }

    /// Sign, digits without zeros at either end, exponent.
    fn parts(&self) -> (bool, std::borrow::Cow<'_, str>, i32) {
        match &self.0 {
            Form::Int(0) => (false, "".into(), 0),
            Form::Int(value) => {
                let text = value.unsigned_abs().to_string();
                let trimmed = text.trim_end_matches('0');
                let zeros = i32::try_from(text.len() - trimmed.len()).unwrap_or(0);
                (*value < 0, trimmed.to_owned().into(), zeros)
            }
            Form::Decimal { negative, digits, exponent } => {
                (*negative, digits.as_str().into(), *exponent)
            }
        }
    }
}

impl FromStr for Number {
    type Err = NotANumber;

    /// Reads decimal notation with or without an exponent.
    fn from_str(text: &str) -> Result<Self, NotANumber> {
        if let Ok(value) = text.parse::<i64>() {
            return Ok(Self(Form::Int(value)));
        }
        let shown: String = text.chars().take(40).collect();
        let wrong = || NotANumber(format!("{shown:?} is no decimal number"));
        let (negative, rest) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        let (mantissa, exponent) = match rest.find(['e', 'E']) {
            Some(at) => {
                let exponent: i32 = rest[at + 1..].parse().map_err(|_| wrong())?;
                (&rest[..at], exponent)
            }
            None => (rest, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        if whole.is_empty() && fraction.is_empty()
            || !whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit())
        {
            return Err(wrong());
        }
        let too_long = || NotANumber(format!("{shown:?}… has more than {MAX_DIGITS} digits"));
        // With the zeros that we write out ourselves: what is written is read again.
        if whole.len() + fraction.len() > MAX_DIGITS + MAX_ZEROS as usize + 1 {
            return Err(too_long());
        }
        let all = format!("{whole}{fraction}");
        let leading = all.trim_start_matches('0');
        let digits = leading.trim_end_matches('0');
        if digits.is_empty() {
            return Ok(Self(Form::Int(0)));
        }
        if digits.len() > MAX_DIGITS {
            return Err(too_long());
        }
        let shift = i32::try_from(leading.len() - digits.len()).unwrap_or(0)
            - i32::try_from(fraction.len()).unwrap_or(0);
        let exponent = exponent.saturating_add(shift);
        // The absolute value of the smallest i32 is no i32.
        if exponent.unsigned_abs() > MAX_EXPONENT {
            return Err(NotANumber(format!("{shown:?} has an exponent beyond {MAX_EXPONENT}")));
        }
        if (0..=19).contains(&exponent) && digits.len() <= 19 {
            let zeros = "0".repeat(usize::try_from(exponent).unwrap_or(0));
            let sign = if negative { "-" } else { "" };
            if let Ok(value) = format!("{sign}{digits}{zeros}").parse() {
                return Ok(Self(Form::Int(value)));
            }
        }
        Ok(Self(Form::Decimal { negative, digits: digits.to_owned(), exponent }))
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (negative, digits, exponent) = match &self.0 {
            Form::Int(value) => return value.fmt(f),
            Form::Decimal { negative, digits, exponent } => (*negative, digits, *exponent),
        };
        if negative {
            f.write_str("-")?;
        }
        let length = i32::try_from(digits.len()).unwrap_or(i32::MAX);
        let point = length.saturating_add(exponent);
        if exponent > MAX_ZEROS || point < -MAX_ZEROS {
            return write!(f, "{digits}e{exponent}");
        }
        if exponent >= 0 {
            let zeros = usize::try_from(exponent).unwrap_or(0);
            return write!(f, "{digits}{:0<zeros$}", "");
        }
        match usize::try_from(point) {
            Ok(point) if point > 0 => write!(f, "{}.{}", &digits[..point], &digits[point..]),
            _ => {
                let zeros = usize::try_from(-point).unwrap_or(0);
                write!(f, "0.{:0<zeros$}{digits}", "")
            }
        }
    }
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        if let (Form::Int(a), Form::Int(b)) = (&self.0, &other.0) {
            return a.cmp(b);
        }
        let (a_negative, a_digits, a_exponent) = self.parts();
        let (b_negative, b_digits, b_exponent) = other.parts();
        let size = |digits: &str, exponent: i32| {
            i64::try_from(digits.len()).unwrap_or(i64::MAX) + i64::from(exponent)
        };
        let by_size = match (a_digits.is_empty(), b_digits.is_empty()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            (false, false) => size(&a_digits, a_exponent)
                .cmp(&size(&b_digits, b_exponent))
                .then_with(|| a_digits.cmp(&b_digits)),
        };
        match (a_negative, b_negative) {
            (false, false) => by_size,
            (true, true) => by_size.reverse(),
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
        }
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

macro_rules! from_integer {
    ($($small:ty),*) => {$(
        impl From<$small> for Number {
            fn from(value: $small) -> Self {
                Self(Form::Int(i64::from(value)))
            }
        }
    )*};
}
from_integer!(i8, i16, i32, i64, u8, u16, u32);

impl From<u64> for Number {
    fn from(value: u64) -> Self {
        match i64::try_from(value) {
            Ok(value) => Self(Form::Int(value)),
            Err(_) => {
                let text = value.to_string();
                let digits = text.trim_end_matches('0');
                let exponent = i32::try_from(text.len() - digits.len()).unwrap_or(0);
                Self(Form::Decimal { negative: false, digits: digits.to_owned(), exponent })
            }
        }
    }
}

/// The shortest decimal that reads back as this float: 0.1 is 0.1.
impl TryFrom<f64> for Number {
    type Error = NotANumber;

    fn try_from(value: f64) -> Result<Self, NotANumber> {
        if !value.is_finite() {
            return Err(NotANumber(format!("{value} is no finite number")));
        }
        format!("{value:e}").parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn n(text: &str) -> Number {
        text.parse().unwrap()
    }

    #[test]
    fn two_spellings_of_one_value_are_equal() {
        assert_eq!(n("1.50"), n("1.5"));
        assert_eq!(n("15e-1"), n("1.5"));
        assert_eq!(n("1e3"), Number::from(1000));
        assert_eq!(n("-0.0"), Number::from(0));
        assert_eq!(n("+7"), Number::from(7));
        assert_eq!(n("-9223372036854775808"), Number::from(i64::MIN));
        assert_eq!(n("18446744073709551615"), Number::from(u64::MAX));
        assert_ne!(n("9223372036854775808"), n("9223372036854775807"));
    }

    #[test]
    fn text_is_plain_decimal_and_reads_back() {
        for text in [
            "0.1",
            "-0.001",
            "12345678901234567890123.25",
            "9223372036854775808",
            "1000000000000000000000",
        ] {
            assert_eq!(n(text).to_string(), text);
        }
        assert_eq!(n("1e5000").to_string(), "1e5000");
        assert_eq!(n("1e-5000").to_string(), "1e-5000");
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in ["", "-", ".", "1e", "e5", "0x10", "1_000", "inf", "NaN", "1.2.3", "1e999999"] {
            assert!(text.parse::<Number>().is_err(), "{text}");
        }
        assert!("9".repeat(5000).parse::<Number>().is_err());
        assert!(Number::try_from(f64::INFINITY).is_err());
    }

    #[test]
    fn an_exponent_of_any_size_is_judged_and_no_more() {
        for text in [
            "1e-2147483648",
            "1.5e-2147483648",
            "10e2147483647",
            "1e2147483647",
            "1e-100001",
            "1e99999999999999999999",
        ] {
            assert!(text.parse::<Number>().is_err(), "{text}");
        }
        for digits in [1, 40, MAX_DIGITS] {
            for exponent in [-100_000, -4497, -4496, -401, -1, 0, 1, 399, 400, 401, 100_000] {
                let number = n(&format!("{}e{exponent}", "7".repeat(digits)));
                assert_eq!(n(&number.to_string()), number, "{digits} digits, {exponent}");
            }
        }
        for text in ["1e100000", "1e-100000", "0e-2147483648", "0.0e2147483647"] {
            assert!(text.parse::<Number>().is_ok(), "{text}");
        }
    }

    #[test]
    fn a_float_from_the_wire_keeps_all_its_digits() {
        assert_eq!(Number::from_f64_exactly(1.5).unwrap(), n("1.5"));
        assert_eq!(
            Number::from_f64_exactly(0.1).unwrap(),
            n("0.1000000000000000055511151231257827021181583404541015625")
        );
        assert_eq!(Number::try_from(0.1).unwrap(), n("0.1"));
    }

    proptest! {
        #[test]
        fn order_is_by_value(a in -1_000_000i64..1_000_000, b in -1_000_000i64..1_000_000, e in 1i32..30) {
            let (x, y) = (n(&format!("{a}e-{e}")), n(&format!("{b}e-{e}")));
            prop_assert_eq!(x.cmp(&y), a.cmp(&b));
        }

        #[test]
        fn text_round_trips(text in "-?[0-9]{1,40}(\\.[0-9]{1,40})?(e-?[0-9]{1,3})?") {
            let number = n(&text);
            prop_assert_eq!(&n(&number.to_string()), &number);
        }

        #[test]
        fn any_exponent_is_read_or_refused(
            digits in "-?[0-9]{1,30}(\\.[0-9]{0,30})?",
            exponent in prop_oneof![
                any::<i32>(),
                -100_100i32..100_100,
                Just(i32::MIN),
                Just(i32::MAX),
            ],
        ) {
            if let Ok(number) = format!("{digits}e{exponent}").parse::<Number>() {
                prop_assert_eq!(&n(&number.to_string()), &number);
                let _ = (number.to_f64(), number.cmp(&Number::from(1)));
            }
        }

        #[test]
        fn any_float_is_a_number_or_refused(value: f64) {
            match Number::from_f64_exactly(value) {
                Ok(number) => prop_assert_eq!(number.to_f64(), value),
                Err(_) => prop_assert!(!value.is_finite()),
            }
        }

        #[test]
        fn any_text_is_read_or_refused(text: String) {
            let _ = text.parse::<Number>();
        }
    }
}
