//! How it gets on with pipes, terminals and shells.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use crate::support::Place;

/// All commands, by their help.
fn commands(place: &Place) -> Vec<String> {
    let help = place.ok(&["--help"]);
    let list = help.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    list.lines()
        .map(|line| line.split_whitespace().next().unwrap().to_owned())
        .filter(|name| name != "help")
        .collect()
}

#[test]
fn every_command_has_an_example() {
    let place = Place::new();
    let commands = commands(&place);
    assert!(commands.len() > 15, "{commands:?}");
    for command in commands {
        let help = place.ok(&[&command, "--help"]);
        let example = help.split("Example").nth(1).unwrap_or_else(|| panic!("{command} has no example"));
        assert!(example.contains("riverbed") && example.contains(&command), "{command}: {example}");
    }
    for command in ["list", "lag", "create", "delete", "reset"] {
        let help = place.ok(&["consumers", command, "--help"]);
        assert!(help.contains(&format!("riverbed --store data consumers {command} ")), "{help}");
    }
}

#[test]
fn completions_and_the_manual_have_every_command() {
    let place = Place::new();
    let commands = commands(&place);
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = place.ok(&["completions", shell]);
        commands.iter().for_each(|command| assert!(script.contains(command.as_str()), "{shell}: {command}"));
    }
    assert!(place.ok(&["man"]).contains(".TH riverbed 1"));
    let dir = place.path().join("man");
    place.ok(&["man", "--dir", dir.to_str().unwrap()]);
    for command in commands {
        let page = std::fs::read_to_string(dir.join(format!("riverbed-{command}.1"))).unwrap();
        assert!(page.contains(".SH SYNOPSIS"), "{command}");
    }
    assert!(dir.join("riverbed-consumers-lag.1").is_file());
}

#[test]
fn a_closed_pipe_is_no_error() {
    let place = Place::with_stream(1);
    // More than any pipe or buffer holds.
    let input: String = (0..100_000).map(|number| format!("record {number}\n")).collect();
    place.ok_with(&["put", "s", "--key", "k"], input);
    for format in ["raw", "json", "hex"] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_riverbed"))
            .args(["tail", "s", "--format", format])
            .env("RIVERBED_STORE", place.store())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!((output.status.code(), &*output.stderr), (Some(0), &b""[..]), "{format}");
    }
}

#[test]
fn there_are_no_colours_in_a_pipe() {
    let place = Place::with_stream(1);
    place.ok(&["put", "s", "x", "--key", "k"]);
    for args in [
        &["list"][..],
        &["describe", "s"],
        &["stats", "--watch", "--times", "2", "--every", "1ms"],
        &["verify"],
    ] {
        let printed = place.ok(args);
        assert!(!printed.contains('\u{1b}') && !printed.is_empty(), "{args:?}: {printed}");
    }
    let coloured = place.command(&["list"]).env("CLICOLOR_FORCE", "1").output().unwrap().stdout;
    assert!(coloured.contains(&0x1b));
    let plain =
        place.command(&["list"]).envs([("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]).output().unwrap().stdout;
    assert!(!plain.contains(&0x1b));
}

#[test]
fn a_watch_shows_rates() {
    let place = Place::with_stream(1);
    place.ok(&["put", "s", "x", "--key", "k"]);
    let printed = place.ok(&["stats", "s", "--watch", "--times", "3", "--every", "1ms", "--json"]);
    let looks: Vec<serde_json::Value> =
        printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(looks.len(), 3);
    assert!(looks[0].get("rate").is_none() && looks[2]["rate"] == 0.0, "{printed}");
    let table = place.ok(&["stats", "s", "--watch", "--times", "3", "--every", "1ms"]);
    assert_eq!(table.matches("RECORDS/S").count(), 3);
    assert!(table.trim_end().ends_with("▁▁"), "{table}");
}
