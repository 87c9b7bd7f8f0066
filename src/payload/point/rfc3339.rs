//! Dates and times as text.

/// Nanoseconds from 1970 to an RFC 3339 date and time, such as `2022-07-13T18:17:43.25+02:00`. A space may
/// stand for the `T`, and without an offset the time is UTC. Digits past the ninth of a second are cut off; a
/// leap second is the first of the next minute.
pub(super) fn nanos(text: &str) -> Option<i128> {
    let mut rest = text.as_bytes();
    let year = digits(&mut rest, 4)?;
    byte(&mut rest, b"-")?;
    let month = digits(&mut rest, 2).filter(|month| (1..=12).contains(month))?;
    byte(&mut rest, b"-")?;
    let day = digits(&mut rest, 2).filter(|day| (1..=days_in_month(year, month)).contains(day))?;
    byte(&mut rest, b"Tt ")?;
    let hour = digits(&mut rest, 2).filter(|hour| *hour < 24)?;
    byte(&mut rest, b":")?;
    let minute = digits(&mut rest, 2).filter(|minute| *minute < 60)?;
    byte(&mut rest, b":")?;
    let second = digits(&mut rest, 2).filter(|second| *second <= 60)?;
    let fraction = if byte(&mut rest, b".").is_some() { fraction(&mut rest)? } else { 0 };
    let offset = offset(rest)?;
    let seconds = days_since_1970(year, month, day) * 86_400 + hour * 3_600 + (minute - offset) * 60 + second;
    Some(i128::from(seconds) * 1_000_000_000 + i128::from(fraction))
}

fn byte(rest: &mut &[u8], any_of: &[u8]) -> Option<u8> {
    let (first, after) = rest.split_first().filter(|(first, _)| any_of.contains(first))?;
    *rest = after;
    Some(*first)
}

fn digits(rest: &mut &[u8], count: usize) -> Option<i64> {
    let (digits, after) = rest.split_at_checked(count)?;
    *rest = after;
    digits
        .iter()
        .try_fold(0, |value, digit| digit.is_ascii_digit().then(|| value * 10 + i64::from(digit - b'0')))
}

/// At least one digit, as nanoseconds.
fn fraction(rest: &mut &[u8]) -> Option<i64> {
    let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, after) = rest.split_at_checked(count).filter(|_| count > 0)?;
    *rest = after;
    let padded = digits.iter().copied().chain(std::iter::repeat(b'0')).take(9);
    Some(padded.fold(0, |nanos, digit| nanos * 10 + i64::from(digit - b'0')))
}

/// The whole rest of a time as minutes east of UTC.
fn offset(rest: &[u8]) -> Option<i64> {
    let (sign, mut rest) = match rest {
        [] | b"Z" | b"z" => return Some(0),
        [b'+', rest @ ..] => (1, rest),
        [b'-', rest @ ..] => (-1, rest),
        _ => return None,
    };
    let hours = digits(&mut rest, 2).filter(|hours| *hours < 24)?;
    byte(&mut rest, b":")?;
    let minutes = digits(&mut rest, 2).filter(|minutes| *minutes < 60)?;
    rest.is_empty().then_some(sign * (hours * 60 + minutes))
}

const fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

const fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 to a date, counting years from March so that the leap day comes last.
const fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    let days_before_month = (153 * month + 2) / 5;
    year * 365 + leap_days + days_before_month + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_counted_from_1970() {
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", 0),
            ("1969-12-31T23:59:59.999999999Z", -1),
            ("2022-07-13T16:17:43Z", 1_657_729_063_000_000_000),
            ("2022-07-13 18:17:43.25+02:00", 1_657_729_063_250_000_000),
            ("2022-07-13T16:17:43.1234567899", 1_657_729_063_123_456_789),
            ("2000-02-29t00:00:00-00:30", 951_784_200_000_000_000),
            ("2016-12-31T23:59:60Z", 1_483_228_800_000_000_000),
            ("0001-01-01T00:00:00Z", -62_135_596_800_000_000_000),
        ] {
            assert_eq!(nanos(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn other_text_is_no_time() {
        for text in [
            "",
            "2022-07-13",
            "2022-13-01T00:00:00Z",
            "2021-02-29T00:00:00Z",
            "2022-07-13T24:00:00Z",
            "2022-07-13T16:17:43.Z",
            "2022-07-13T16:17:43+0200",
            "2022-07-13T16:17:43Zx",
            "22-07-13T16:17:43Z",
        ] {
            assert_eq!(nanos(text), None, "{text}");
        }
    }
}
