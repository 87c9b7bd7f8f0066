//! Runs every block of `docs/cli.md`.

use std::fmt::Write as _;
use std::process::Command;

use regex::Regex;

use crate::support::Place;

/// Times differ from run to run, and so do spans, and checksums, since they are bound to a random id.
fn normal(text: &str) -> String {
    let times = Regex::new(r"\d{4}-\d\d-\d\dT[0-9:.]+Z").unwrap();
    let spans = Regex::new(r"\d+\.\d s\b").unwrap();
    let checksums = Regex::new("0x[0-9a-f]{8}").unwrap();
    let text = times.replace_all(text, "<time>");
    let text = spans.replace_all(&text, "<span>");
    checksums.replace_all(&text, "<checksum>").into_owned()
}

#[test]
fn the_page_says_what_the_command_prints() {
    let place = Place::new();
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/cli.md")).unwrap();
    let bin = std::path::Path::new(env!("CARGO_BIN_EXE_riverbed")).parent().unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    // The page as it should be: each command with what it printed.
    let (mut found, mut in_block, mut commands) = (String::new(), false, 0);
    for line in page.lines() {
        match line.strip_prefix("$ ").filter(|_| in_block) {
            Some(command) => {
                let output = Command::new("sh")
                    .args(["-c", &format!("{{ {command}\n}} 2>&1")])
                    .current_dir(place.path())
                    .env("PATH", &path)
                    .env("RIVERBED_STORE", "data")
                    .output()
                    .unwrap();
                write!(found, "{line}\n{}", String::from_utf8(output.stdout).unwrap()).unwrap();
                commands += 1;
            }
            // What was printed is printed again.
            None if in_block && line != "```" => {}
            None => writeln!(found, "{line}").unwrap(),
        }
        in_block = match line {
            "```console" => true,
            "```" => false,
            _ => in_block,
        };
    }
    assert!(commands > 20, "the page was not read rightly");
    if std::env::var_os("RIVERBED_PRINT_PAGE").is_some() {
        println!("{found}");
        return;
    }
    for (index, (said, printed)) in normal(&page).lines().zip(normal(&found).lines()).enumerate() {
        assert_eq!(said, printed, "docs/cli.md differs at line {} or before", index + 1);
    }
    assert_eq!(normal(&page).len(), normal(&found).len());
}
