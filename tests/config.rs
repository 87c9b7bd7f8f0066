//! Configuration from files and the environment.
//!
//! Guards against settings that are silently ignored, against errors that do not say where the mistake is, and against
//! files of InfluxDB's client that are read otherwise than the client reads them.
#![cfg(feature = "config")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use riverbed::config::{Config, ConfigError, Environment, Place};
use riverbed::write::{OnFull, WriteOptions};
use tempfile::TempDir;

struct File {
    path: PathBuf,
    _directory: TempDir,
}

fn file(name: &str, text: &str) -> File {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(name);
    std::fs::write(&path, text).unwrap();
    File { path, _directory: directory }
}

fn environment(variables: &[(&str, &str)]) -> Environment {
    variables.iter().map(|(name, value)| (*name, *value)).collect()
}

fn read(name: &str, text: &str) -> Result<Config, ConfigError> {
    Config::new().with_file(&file(name, text).path, &Environment::default())
}

/// The error's text, without the directory that the file is in.
fn error(name: &str, text: &str) -> String {
    let file = file(name, text);
    let error = Config::new().with_file(&file.path, &Environment::default()).unwrap_err();
    error.to_string().replace(&format!("{}/", file.path.parent().unwrap().display()), "")
}

fn tags(config: &Config) -> Vec<(&str, &str)> {
    config.default_tags().collect()
}

const MILLISECOND: Duration = Duration::from_millis(1);

/// Every setting, other than its default.
fn all_options() -> WriteOptions {
    WriteOptions::new()
        .batch_size(500)
        .flush_interval(MILLISECOND * 10_000)
        .jitter_interval(MILLISECOND * 2_000)
        .retry_interval(MILLISECOND * 4_000)
        .max_retries(3)
        .max_retry_delay(MILLISECOND * 30_000)
        .max_retry_time(MILLISECOND * 60_000)
        .exponential_base(3)
        .max_close_wait(MILLISECOND * 3_600_000)
        .max_items(7)
        .max_bytes(0)
        .on_full(OnFull::WouldBlock)
}

#[test]
fn toml_ini_and_the_environment_say_the_same() {
    let toml = r#"
        title = "whatever"
        [riverbed]
        path = "/var/lib/data"
        stream = "metrics"
        shards = 4
        durability = "250ms"
        batch_size = 500
        flush_interval = 10_000
        jitter_interval = "2s"
        retry_interval = "4000"
        max_retries = 3
        max_retry_delay = "30 s"
        max_retry_time = "1m"
        exponential_base = 3
        max_close_wait = "1h"
        max_items = 7
        max_bytes = 0
        on_full = "would_block"
        [tags]
        Host = "a"
        rack = 12
        spare = true
        [others]
        anything = [1, 2]
    "#;
    let ini = "
; a comment
[riverbed]
path = /var/lib/data
stream = \"metrics\"
shards: 4
durability = 250ms
batch_size=500
flush_interval = 10000
jitter_interval = 2s
retry_interval = 4000
max_retries = 3
max_retry_delay = 30 s
max_retry_time = 1m
exponential_base = 3
max_close_wait = 1h
max_items = 7
max_bytes = 0
on_full = would_block
# another
[tags]
Host = a
rack = 12
spare = true
[others]
anything
";
    let variables = environment(&[
        ("RIVERBED_PATH", "/var/lib/data"),
        ("RIVERBED_STREAM", "metrics"),
        ("RIVERBED_SHARDS", "4"),
        ("RIVERBED_DURABILITY", "250ms"),
        ("RIVERBED_BATCH_SIZE", "500"),
        ("RIVERBED_FLUSH_INTERVAL", "10000"),
        ("RIVERBED_JITTER_INTERVAL", "2s"),
        ("RIVERBED_RETRY_INTERVAL", "4000"),
        ("RIVERBED_MAX_RETRIES", "3"),
        ("RIVERBED_MAX_RETRY_DELAY", "30 s"),
        ("RIVERBED_MAX_RETRY_TIME", "1m"),
        ("RIVERBED_EXPONENTIAL_BASE", "3"),
        ("RIVERBED_MAX_CLOSE_WAIT", "1h"),
        ("RIVERBED_MAX_ITEMS", "7"),
        ("RIVERBED_MAX_BYTES", "0"),
        ("RIVERBED_ON_FULL", "would_block"),
        ("RIVERBED_TAG_HOST", "a"),
        ("RIVERBED_TAG_RACK", "12"),
        ("INFLUXDB_V2_TAG_SPARE", "true"),
        ("RIVERBED_SOMETHING_ELSE", "nobody's business"),
        ("PATH", "/bin"),
    ]);
    let toml = read("c.toml", toml).unwrap();
    let ini = read("c.INI", ini).unwrap();
    let variables = Config::new().with_environment(&variables).unwrap();
    for config in [&toml, &ini, &variables] {
        assert_eq!(config.path(), Some(Path::new("/var/lib/data")));
        assert_eq!(config.stream(), Some("metrics"));
        assert_eq!(*config.write_options(), all_options());
        assert_eq!(format!("{config:?}"), format!("{toml:?}").replace("Host", tags(config)[0].0));
    }
    assert_eq!(tags(&toml), [("Host", "a"), ("rack", "12"), ("spare", "true")]);
    assert_eq!(tags(&ini), tags(&toml));
    assert_eq!(tags(&variables), [("host", "a"), ("rack", "12"), ("spare", "true")]);
}

#[test]
fn a_file_of_the_client_is_read_as_the_client_reads_it() {
    let toml = "[influx2]\nurl = \"http://localhost:8086\"\norg = \"my-org\"\ntoken = \"my;token#1\"\ntimeout = 6000\n\
        [tags]\nID = \"132-987-655\"\ncustomer = \"California Miner\"\ndata_center = \"${env.DATA_CENTER}\"\n\
        missing = \"${env.MISSING}\"\n";
    let ini = "[influx2]\nurl = http://localhost:8086\norg = my-org\ntoken = \"my;token#1\"\ntimeout = 6000\n\
        [tags]\nID = 132-987-655\ncustomer = California Miner\ndata_center = ${env.DATA_CENTER}\n\
        missing = ${env.MISSING}\n";
    let environment = environment(&[("DATA_CENTER", "LA")]);
    for (name, text) in [("config.toml", toml), ("config.ini", ini)] {
        let config = Config::new().with_file(&file(name, text).path, &environment).unwrap();
        let expected = [("customer", "California Miner"), ("data_center", "LA"), ("id", "132-987-655")];
        assert_eq!(tags(&config), expected);
        assert_eq!(config.influx("url"), Some("http://localhost:8086"));
        assert_eq!(config.influx("token"), Some("my;token#1"));
        assert_eq!(config.influx("timeout"), Some("6000"));
        assert_eq!(config.influx("proxy"), None);
        assert_eq!(*config.write_options(), WriteOptions::new());
        assert!(!format!("{config:?}").contains("my;token"), "{config:?}");
    }
}

#[test]
fn what_is_read_later_wins() {
    let first = file(
        "a.toml",
        "[riverbed]\nbatch_size = 1\nmax_items = 1\nmax_retries = 1\n[tags]\na = \"1\"\nb = \"1\"",
    );
    let second = file("b.ini", "[riverbed]\nbatch_size = 2\nmax_items = 2\n[tags]\nb = 2");
    let variables = environment(&[
        ("RIVERBED_BATCH_SIZE", "3"),
        ("INFLUXDB_V2_TAG_C", "${env.RIVERBED_BATCH_SIZE}"),
        ("INFLUXDB_V2_URL", "u"),
    ]);
    let none = Environment::default();
    let config = Config::new()
        .with_file(&first.path, &none)
        .and_then(|config| config.with_file(&second.path, &none))
        .and_then(|config| config.with_environment(&variables))
        .unwrap();
    assert_eq!(*config.write_options(), WriteOptions::new().batch_size(3).max_items(2).max_retries(1));
    assert_eq!(tags(&config), [("a", "1"), ("b", "2"), ("c", "3")]);
    assert_eq!(config.influx("url"), Some("u"));
}

#[test]
fn errors_name_the_file_the_key_and_what_was_expected() {
    for (text, expected) in [
        (
            "[riverbed]\nbatch_size = 'x'",
            "c.toml: [riverbed] batch_size is 'x': expected a whole number, 1 or more",
        ),
        (
            "[riverbed]\nbatch_size = 0",
            "c.toml: [riverbed] batch_size is '0': expected a whole number, 1 or more",
        ),
        (
            "[riverbed]\nmax_retries = -1",
            "c.toml: [riverbed] max_retries is '-1': expected a whole number, 0 or more",
        ),
        (
            "[riverbed]\nflush_interval = '1 day'",
            "c.toml: [riverbed] flush_interval is '1 day': expected a time: a whole number of milliseconds, or with a \
             unit, as in '10s' (ms, s, m, h)",
        ),
        (
            "[riverbed]\non_full = true",
            "c.toml: [riverbed] on_full is 'true': expected 'block' or 'would_block'",
        ),
        (
            "[riverbed]\nstream = '../x'",
            "c.toml: [riverbed] stream is '../x': expected a stream's name: 1 to 128 letters, digits, '_', '-' or '.'",
        ),
        (
            "[riverbed]\nshards = 100001",
            "c.toml: [riverbed] shards is '100001': expected a whole number from 1 to 100000",
        ),
        (
            "[riverbed]\ndurability = 'often'",
            "c.toml: [riverbed] durability is 'often': expected 'buffered', 'immediate' or the time between syncs, as in \
             '500ms'",
        ),
        ("[riverbed]\npath = ''", "c.toml: [riverbed] path is '': expected the path of a directory"),
        ("[tags]\na = [1]", "c.toml: [tags] a is of type array: expected text, a number or a boolean"),
        ("", "c.toml: expected a section [riverbed], [influx2] or [tags], found no section"),
        (
            "[other]\n[more]",
            "c.toml: expected a section [riverbed], [influx2] or [tags], found [more], [other]",
        ),
    ] {
        assert_eq!(error("c.toml", text), expected, "{text}");
    }
    let unknown = error("c.ini", "[riverbed]\nbatch_sise = 1");
    assert!(
        unknown.starts_with("c.ini: [riverbed] batch_sise is no setting: expected one of path, "),
        "{unknown}"
    );
    assert!(unknown.contains(", batch_size, "), "{unknown}");
    assert_eq!(
        error("c.yaml", ""),
        "c.yaml: cannot tell what kind of file this is: expected a name that ends in .toml, .ini, .cfg or .conf"
    );
    let syntax = error("c.toml", "[riverbed]\nbatch_size = 1\nbatch_size = 2");
    assert!(
        syntax.starts_with("c.toml: ") && syntax.contains("line 3") && syntax.contains("duplicate key"),
        "{syntax}"
    );
    let syntax = error("c.ini", "[riverbed\n");
    assert!(syntax.starts_with("c.ini: line 1"), "{syntax}");
    let error = Config::new().with_file("nowhere/c.toml", &Environment::default()).unwrap_err();
    assert_eq!(error.to_string(), "cannot read the configuration file nowhere/c.toml");
    assert!(std::error::Error::source(&error).is_some());
}

#[test]
fn errors_name_the_variable() {
    let error = Config::new().with_environment(&environment(&[("RIVERBED_MAX_ITEMS", "many")])).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the environment variable RIVERBED_MAX_ITEMS is 'many': expected a whole number, 1 or more"
    );
    let ConfigError::Value { place: Place::Variable { name }, .. } = error else { panic!("{error:?}") };
    assert_eq!(name, "RIVERBED_MAX_ITEMS");
}

#[cfg(unix)]
#[test]
fn a_variable_that_is_no_text_is_an_error_if_it_is_looked_at() {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;
    let odd = || OsString::from_vec(vec![b'a', 0xff]);
    let ignored: Environment = [("OTHER".to_owned(), odd())].into_iter().collect();
    Config::new().with_environment(&ignored).unwrap();
    let error = Config::new()
        .with_environment(&[("RIVERBED_TAG_A".to_owned(), odd())].into_iter().collect())
        .unwrap_err();
    assert!(error.to_string().starts_with("the environment variable RIVERBED_TAG_A is "), "{error}");
    let tags = file("c.toml", "[tags]\na = '${env.OTHER}'");
    let error = Config::new().with_file(&tags.path, &ignored).unwrap_err();
    assert!(error.to_string().ends_with("expected UTF-8"), "{error}");
}

#[test]
fn a_stream_is_made_as_the_configuration_says() {
    let directory = tempfile::tempdir().unwrap();
    let config = read("c.toml", "[riverbed]\nshards = 3\ndurability = 'immediate'").unwrap();
    let store = riverbed::Store::open(directory.path().join("data")).unwrap();
    let stream = store.create_stream("s", config.stream_options()).unwrap();
    assert_eq!(stream.shards().len(), 3);
    let put = stream.put("k", b"data").unwrap();
    assert_eq!(stream.durable_sequence_number(put.shard_id).unwrap(), Some(put.sequence_number));
}
