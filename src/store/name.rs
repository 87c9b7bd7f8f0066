//! Names that can safely be directories.

/// The longest name, in characters.
pub(crate) const MAX_NAME_LEN: usize = 128;

/// A name that is not allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{name}' cannot be a name: use 1 to {MAX_NAME_LEN} of the characters a-z, A-Z, 0-9, '_', '.' and '-', but not \
     '.' or '..'"
)]
pub struct NameError {
    /// What was given.
    pub name: String,
}

/// Checks the name of a stream or consumer: `[a-zA-Z0-9_.-]{1,128}`, as in Kinesis, and neither `.` nor `..`.
pub(crate) fn check(name: &str) -> Result<(), NameError> {
    let characters =
        name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'));
    if characters && (1..=MAX_NAME_LEN).contains(&name.len()) && name != "." && name != ".." {
        Ok(())
    } else {
        Err(NameError { name: name.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_leave_the_store() {
        for name in ["a", "A-b_c.9", "...", ".tmp", &"x".repeat(128)] {
            assert_eq!(check(name), Ok(()), "{name}");
        }
        for name in ["", ".", "..", "a/b", "../a", "a\\b", "a b", "\u{e9}", "a\0", "a\n", &"x".repeat(129)] {
            assert!(check(name).is_err(), "{name:?}");
        }
    }
}
