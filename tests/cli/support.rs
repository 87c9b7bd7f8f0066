//! A store, and the command to try on it.

use std::io::Write;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use serde_json::Value;

/// A directory for a store, and for what else a test needs.
pub(crate) struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    /// A place with a stream `s` of so many shards.
    pub(crate) fn with_stream(shards: u32) -> Self {
        let place = Self::new();
        place.ok(&["create", "s", "--shards", &shards.to_string()]);
        place
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_riverbed"));
        command.args(args).env("RIVERBED_STORE", self.store()).env_remove("NO_COLOR");
        command
    }

    /// What it prints, when it succeeds and complains of nothing.
    pub(crate) fn ok(&self, args: &[&str]) -> String {
        self.ok_with(args, "")
    }

    pub(crate) fn ok_with(&self, args: &[&str], input: impl Into<Vec<u8>>) -> String {
        let output = self.command(args).write_stdin(input).output().unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success() && errors.is_empty(), "{args:?}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }

    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let text = self.ok(&[args, &["--json"]].concat());
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{args:?}: {error}: {text}"))
    }

    /// Exit code, standard output and standard error.
    pub(crate) fn run(&self, args: &[&str], input: impl Into<Vec<u8>>) -> (i32, String, String) {
        let output = self.command(args).write_stdin(input).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }
}

/// The text field of a JSON object.
pub(crate) fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_else(|| panic!("no text '{field}' in {value}"))
}

/// The path of a file of real data, in the folder that `RIVERBED_DATA` names or else `../shared/data`; `None`, said aloud,
/// when it is not there.
pub(crate) fn real_data(name: &str) -> Option<String> {
    let fallback = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let path = std::env::var_os("RIVERBED_DATA").map_or_else(fallback, PathBuf::from).join(name);
    if !path.is_file() {
        // Not by way of `println`, whose output is shown of failed tests alone.
        let said = writeln!(
            std::io::stderr(),
            "SKIPPED: there is no {}; name its folder in RIVERBED_DATA",
            path.display()
        );
        assert!(said.is_ok());
        return None;
    }
    Some(path.to_str().unwrap().to_owned())
}
