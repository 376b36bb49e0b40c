//! `resource.Quantity`: fixed-point numbers with suffixes, as apimachinery's
//! pkg/api/resource/quantity.go reads and canonically prints them.

use std::cmp::Ordering;
use std::fmt;
use std::ops::{Add, Sub};
use std::str::FromStr;

const NANO: i128 = 1_000_000_000;

/// A number of something: 500m of a CPU, 128Mi of memory. Kept in billionths,
/// which is the finest that upstream keeps too.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quantity {
    nanos: i128,
    format: Format,
}

/// How a quantity prefers to be printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// `1k`, `1M`
    #[default]
    DecimalSi,
    /// `1Ki`, `1Mi`
    BinarySi,
    /// `1e3`, `1e6`
    DecimalExponent,
}

/// Why text is not a quantity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Nothing like one.
    #[error(
        "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
    )]
    Format,
    /// The suffix means nothing.
    #[error("unable to parse quantity's suffix")]
    Suffix,
    /// The number is none.
    #[error("unable to parse numeric part of quantity")]
    Numeric,
}

impl Quantity {
    /// Whole units.
    pub fn from_units(units: i64) -> Self {
        Quantity {
            nanos: i128::from(units) * NANO,
            format: Format::DecimalSi,
        }
    }

    /// Thousandths.
    pub fn from_milli(milli: i64) -> Self {
        Quantity {
            nanos: i128::from(milli) * 1_000_000,
            format: Format::DecimalSi,
        }
    }

    /// Whole bytes, printed with binary suffixes.
    pub fn from_bytes(bytes: i64) -> Self {
        Quantity {
            nanos: i128::from(bytes) * NANO,
            format: Format::BinarySi,
        }
    }

    /// Rounded up to whole units.
    pub fn value(self) -> i64 {
        saturate(ceil_div(self.nanos, NANO))
    }

    /// Rounded up to thousandths.
    pub fn milli_value(self) -> i64 {
        saturate(ceil_div(self.nanos, 1_000_000))
    }

    /// -1, 0 or 1.
    pub fn sign(self) -> i32 {
        self.nanos.signum() as i32
    }

    /// Whether this is nothing.
    pub fn is_zero(self) -> bool {
        self.nanos == 0
    }

    /// Whether this is a whole number.
    pub fn is_whole(self) -> bool {
        self.nanos % NANO == 0
    }

    /// As a float, for ratios.
    pub fn as_f64(self) -> f64 {
        self.nanos as f64 / NANO as f64
    }
}

fn saturate(x: i128) -> i64 {
    x.clamp(i64::MIN.into(), i64::MAX.into()) as i64
}

/// Rounds away from zero, as upstream does.
fn ceil_div(a: i128, b: i128) -> i128 {
    let (quotient, rest) = (a / b, a % b);
    quotient + if rest == 0 { 0 } else { a.signum() }
}

impl FromStr for Quantity {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let (negative, unsigned) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            Some(_) => (false, text),
            None => return Err(ParseError::Format),
        };
        let digits_end = unsigned
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(unsigned.len());
        let (number, suffix) = unsigned.split_at(digits_end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() && fraction.is_empty() {
            return Err(ParseError::Format);
        }
        if fraction.contains('.') {
            return Err(ParseError::Numeric);
        }
        let (factor, format) = read_suffix(suffix)?;
        let nanos = scaled(whole, fraction, factor);
        Ok(Quantity {
            nanos: if negative { -nanos } else { nanos },
            format,
        })
    }
}

/// A multiplier: 2^n or 10^n.
#[derive(Clone, Copy)]
enum Factor {
    Two(u32),
    Ten(i32),
}

fn read_suffix(suffix: &str) -> Result<(Factor, Format), ParseError> {
    use Factor::{Ten, Two};
    Ok(match suffix {
        "Ki" => (Two(10), Format::BinarySi),
        "Mi" => (Two(20), Format::BinarySi),
        "Gi" => (Two(30), Format::BinarySi),
        "Ti" => (Two(40), Format::BinarySi),
        "Pi" => (Two(50), Format::BinarySi),
        "Ei" => (Two(60), Format::BinarySi),
        "n" => (Ten(-9), Format::DecimalSi),
        "u" => (Ten(-6), Format::DecimalSi),
        "m" => (Ten(-3), Format::DecimalSi),
        "" => (Ten(0), Format::DecimalSi),
        "k" => (Ten(3), Format::DecimalSi),
        "M" => (Ten(6), Format::DecimalSi),
        "G" => (Ten(9), Format::DecimalSi),
        "T" => (Ten(12), Format::DecimalSi),
        "P" => (Ten(15), Format::DecimalSi),
        "E" => (Ten(18), Format::DecimalSi),
        _ => {
            let known = suffix
                .bytes()
                .all(|b| b"eEinumkKMGTP+-0123456789".contains(&b));
            let exponent = suffix
                .strip_prefix(['e', 'E'])
                .filter(|digits| !digits.is_empty());
            match exponent.and_then(|digits| digits.parse::<i32>().ok()) {
                Some(power) => (Ten(power), Format::DecimalExponent),
                None if known => return Err(ParseError::Suffix),
                None => return Err(ParseError::Format),
            }
        }
    })
}

/// `whole.fraction` times the factor, in billionths, rounded up, capped at the
/// largest `int64` as upstream caps it.
fn scaled(whole: &str, fraction: &str, factor: Factor) -> i128 {
    let cap = i128::from(i64::MAX) * NANO;
    let digits = format!("{whole}{fraction}");
    let digits = digits.trim_start_matches('0');
    let mut power = -(fraction.len() as i64) + 9;
    // Thirty digits cannot overflow what follows; more only matter to rounding.
    let kept = &digits[..digits.len().min(30)];
    power += (digits.len() - kept.len()) as i64;
    let inexact = digits[kept.len()..].bytes().any(|b| b != b'0');
    let mut mantissa: i128 = kept.parse().unwrap_or(0);
    if mantissa == 0 {
        return 0;
    }
    match factor {
        Factor::Ten(n) => power += i64::from(n),
        Factor::Two(n) => match mantissa.checked_mul(1i128 << n) {
            Some(product) => mantissa = product,
            None => return cap,
        },
    }
    if power >= 0 {
        let factor = u32::try_from(power)
            .ok()
            .and_then(|p| 10i128.checked_pow(p));
        let nanos = factor.and_then(|f| mantissa.checked_mul(f));
        nanos.map_or(cap, |n| n.min(cap))
    } else {
        let divisor = u32::try_from(-power)
            .ok()
            .and_then(|p| 10i128.checked_pow(p));
        let nanos = divisor.map_or(1, |d| ceil_div(mantissa, d));
        (nanos + i128::from(inexact && power < 0 && nanos == 0)).min(cap)
    }
}

impl fmt::Display for Quantity {
    /// The canonical form: no fraction, the largest suffix that keeps precision.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let small = self.nanos > -1024 * NANO && self.nanos < 1024 * NANO;
        if self.format == Format::BinarySi && !small && self.is_whole() {
            return fmt_binary(self.nanos / NANO, f);
        }
        fmt_decimal(self.nanos, self.format == Format::DecimalExponent, f)
    }
}

fn fmt_binary(mut units: i128, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    const SUFFIXES: [&str; 7] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
    let mut power = 0;
    while units % 1024 == 0 && power < 6 {
        units /= 1024;
        power += 1;
    }
    write!(f, "{units}{}", SUFFIXES[power])
}

fn fmt_decimal(nanos: i128, exponent_form: bool, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    const SUFFIXES: [&str; 10] = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"];
    if nanos == 0 {
        return f.write_str("0");
    }
    let (mut mantissa, mut step) = (nanos, 0usize);
    while mantissa % 1000 == 0 && step + 1 < SUFFIXES.len() {
        mantissa /= 1000;
        step += 1;
    }
    match (step as i32 - 3) * 3 {
        0 => write!(f, "{mantissa}"),
        power if exponent_form => write!(f, "{mantissa}e{power}"),
        _ => write!(f, "{mantissa}{}", SUFFIXES[step]),
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.nanos == other.nanos
    }
}
impl Eq for Quantity {}
impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> Ordering {
        self.nanos.cmp(&other.nanos)
    }
}
impl Add for Quantity {
    type Output = Quantity;
    fn add(self, other: Quantity) -> Quantity {
        let format = if self.is_zero() {
            other.format
        } else {
            self.format
        };
        Quantity {
            nanos: self.nanos.saturating_add(other.nanos),
            format,
        }
    }
}
impl Sub for Quantity {
    type Output = Quantity;
    fn sub(self, other: Quantity) -> Quantity {
        let format = if self.is_zero() {
            other.format
        } else {
            self.format
        };
        Quantity {
            nanos: self.nanos.saturating_sub(other.nanos),
            format,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_print_canonically() {
        for (text, canonical) in [
            ("0", "0"),
            ("1000m", "1"),
            ("0.5", "500m"),
            ("1.5Gi", "1536Mi"),
            ("1024Mi", "1Gi"),
            ("100Mi", "100Mi"),
            ("1000Ki", "1000Ki"),
            ("512", "512"),
            ("1e3", "1e3"),
            ("12e6", "12e6"),
            ("1E", "1E"),
            ("1000k", "1M"),
            ("0.1n", "1n"),
            ("-1.5", "-1500m"),
            ("+2", "2"),
            (".5", "500m"),
            ("5.", "5"),
            ("100Ki", "100Ki"),
            ("0.5Ki", "512"),
            ("1.5m", "1500u"),
            ("4096Pi", "4Ei"),
            ("99999999999999999999", "9223372036854775807"),
        ] {
            assert_eq!(
                text.parse::<Quantity>().map(|q| q.to_string()),
                Ok(canonical.into()),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_none_is_refused() {
        for (text, error) in [
            ("", ParseError::Format),
            ("abc", ParseError::Format),
            ("1z", ParseError::Format),
            ("1mm", ParseError::Suffix),
            ("1.2.3", ParseError::Numeric),
            ("1 Gi", ParseError::Format),
        ] {
            assert_eq!(text.parse::<Quantity>(), Err(error), "{text:?}");
        }
    }

    #[test]
    fn values_round_up() {
        let q: Quantity = "1100m".parse().expect("a quantity");
        assert_eq!((q.value(), q.milli_value()), (2, 1100));
    }
}
