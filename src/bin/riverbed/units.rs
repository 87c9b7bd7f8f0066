//! Numbers as people read them.

use std::time::Duration;

use bytesize::ByteSize;
use riverbed::{Retention, Timestamp};

/// Bytes, in binary units.
pub(crate) fn bytes(bytes: u64) -> String {
    ByteSize::b(bytes).display().iec().to_string()
}

/// A time of UTC with as many decimals as it needs.
pub(crate) fn time(time: Timestamp) -> String {
    humantime::format_rfc3339(time.to_system_time()).to_string()
}

/// A time of UTC in milliseconds, for tables.
pub(crate) fn short_time(time: Timestamp) -> String {
    humantime::format_rfc3339_millis(time.to_system_time()).to_string()
}

pub(crate) fn duration(duration: Duration) -> String {
    humantime::format_duration(duration).to_string()
}

/// A measured time, in the unit that it has three digits or so in.
pub(crate) fn measured(duration: Duration) -> String {
    let nanos = duration.as_secs_f64() * 1e9;
    let (unit, name) = match nanos {
        ..1e3 => (1.0, "ns"),
        ..1e6 => (1e3, "µs"),
        ..1e9 => (1e6, "ms"),
        _ => (1e9, "s"),
    };
    let decimals = if nanos / unit < 100.0 { 1 } else { 0 };
    format!("{:.decimals$} {name}", nanos / unit)
}

pub(crate) fn retention(retention: Retention) -> String {
    match (retention.age(), retention.bytes()) {
        (None, None) => "for ever".to_owned(),
        (Some(age), None) => duration(age),
        (None, Some(limit)) => format!("up to {}", bytes(limit)),
        (Some(age), Some(limit)) => format!("{}, up to {}", duration(age), bytes(limit)),
    }
}

/// A count with its thousands apart.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// So many of these, as in "1 record" and "2,000 records".
pub(crate) fn counted(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", count(number), if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measured_times_have_a_fitting_unit() {
        let expected = [
            (0, "0.0 ns"),
            (512, "512 ns"),
            (1_250, "1.2 µs"),
            (31_000_000, "31.0 ms"),
            (2_000_000_000, "2.0 s"),
        ];
        expected.iter().for_each(|(nanos, text)| assert_eq!(measured(Duration::from_nanos(*nanos)), *text));
    }

    #[test]
    fn thousands_are_apart() {
        let expected = [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")];
        expected.iter().for_each(|(number, text)| assert_eq!(count(*number), *text));
    }
}
