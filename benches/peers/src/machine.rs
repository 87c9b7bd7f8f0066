//! What the figures were taken on.

use std::path::Path;
use std::process::Command;

/// What is measured as riverbed.
const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../src");

/// The processes that wanted to run, over the last minute.
pub fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().next().unwrap_or("?").to_owned()
}

/// Makes `path` an empty directory.
pub fn empty(path: &Path) {
    if path.exists() {
        std::fs::remove_dir_all(path).unwrap();
    }
    std::fs::create_dir_all(path).unwrap();
}

/// The first line that a command prints, or nothing.
fn told_by(command: &str, arguments: &[&str]) -> String {
    let output = Command::new(command).args(arguments).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    text.lines().next().unwrap_or_default().trim().to_owned()
}

fn field(file: &str, name: &str) -> String {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with(name));
    line.and_then(|line| line.split_once(':')).map_or("?".to_owned(), |(_, value)| value.trim().to_owned())
}

/// Lines of a Markdown list. `data` is where the logs are.
pub fn describe(data: &Path) -> Vec<String> {
    let cpus = std::thread::available_parallelism().map_or(0, usize::from);
    let memory = field("/proc/meminfo", "MemTotal");
    let gib = memory.trim_end_matches(" kB").parse::<f64>().map_or(0.0, |kib| kib / f64::from(1 << 20));
    let directory = data.to_string_lossy();
    let file_system = told_by("findmnt", &["-n", "-o", "FSTYPE,OPTIONS", "-T", &directory]);
    let file_system = file_system.split_whitespace().collect::<Vec<_>>().join(", ");
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    vec![
        format!("Processor: {cpus} cores of {}; memory: {gib:.0} GiB", field("/proc/cpuinfo", "model name")),
        format!("Kernel: Linux {}", kernel.trim()),
        format!("File system: {file_system}"),
        format!("Compiler: {}, profile `release`", told_by("rustc", &["--version"])),
        format!("Taken: {} UTC", told_by("date", &["-u", "+%Y-%m-%d %H:%M"])),
        format!(
            "riverbed as of commit `{}`",
            told_by("git", &["-C", SOURCES, "log", "-1", "--format=%h", "."])
        ),
    ]
}

/// Reads every file in a directory, so that it is in memory.
pub fn warm(directory: &Path) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            warm(&path);
        } else {
            std::io::copy(&mut std::fs::File::open(path).unwrap(), &mut std::io::sink()).unwrap();
        }
    }
}

/// The version of a package in this program's lock file.
pub fn version(package: &str) -> &'static str {
    let lock = include_str!("../Cargo.lock");
    let name = format!("name = \"{package}\"\nversion = \"");
    lock.split_once(&name).and_then(|(_, rest)| rest.split_once('"')).map_or("?", |(version, _)| version)
}
