//! Numbers as Go's decoder has them.

use std::fmt;

/// A number, exact when it is an integer of 64 bits.
#[derive(Clone, Copy, Debug)]
pub enum Number {
    /// An integer.
    Int(i64),
    /// Everything else.
    Float(f64),
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        match (*self, *other) {
            (Number::Int(a), Number::Int(b)) => a == b,
            (a, b) => a.as_f64() == b.as_f64(),
        }
    }
}

impl Number {
    /// The nearest `float64`.
    pub fn as_f64(self) -> f64 {
        match self {
            Number::Int(i) => i as f64,
            Number::Float(f) => f,
        }
    }

    /// The integer, when the number is one (`1.0` is).
    pub fn as_i64(self) -> Option<i64> {
        match self {
            Number::Int(i) => Some(i),
            Number::Float(f) if f.fract() == 0.0 && f.abs() < 9.0e15 => Some(f as i64),
            Number::Float(_) => None,
        }
    }
}

impl fmt::Display for Number {
    /// Prints as Go's `encoding/json` does.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Number::Int(i) => write!(f, "{i}"),
            Number::Float(x) => {
                let size = x.abs();
                if x != 0.0 && !(1e-6..1e21).contains(&size) {
                    let text = format!("{x:e}");
                    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
                    let (sign, power) = match exponent.strip_prefix('-') {
                        Some(power) => ('-', power),
                        None => ('+', exponent),
                    };
                    write!(f, "{digits}e{sign}{power:0>2}")
                } else {
                    write!(f, "{x}")
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_print_as_go_prints_them() {
        for (x, text) in [
            (1.0, "1"),
            (0.1, "0.1"),
            (1e21, "1e+21"),
            (1.5e-7, "1.5e-07"),
            (-2.5, "-2.5"),
            (123456789012345680000.0, "123456789012345680000"),
        ] {
            assert_eq!(Number::Float(x).to_string(), text);
        }
    }
}
