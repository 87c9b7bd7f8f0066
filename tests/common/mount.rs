//! File systems of our own to fill up, cut off and throw away. Needs root.
#![allow(dead_code, reason = "each test uses some of it")]
#![allow(unreachable_pub, reason = "shared by several test binaries, each of which is a crate of its own")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Runs a command; says what it said when it fails.
pub fn run(program: &str, arguments: &[&str]) -> Result<(), String> {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{program}: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(()) } else { Err(format!("{program} {arguments:?}: {}", said.trim())) }
}

/// A mounted file system; unmounted when dropped.
pub struct Mount {
    point: PathBuf,
}

impl Mount {
    /// Mounts `source` on the directory `point`, which is created.
    pub fn new(source: &Path, kind: &str, options: &str, point: &Path) -> Result<Self, String> {
        std::fs::create_dir_all(point).map_err(|error| error.to_string())?;
        run("mount", &["-t", kind, "-o", options, text(source), text(point)])?;
        Ok(Self { point: point.to_owned() })
    }

    /// A tmpfs of so many bytes.
    pub fn tmpfs(bytes: u64, point: &Path) -> Result<Self, String> {
        Self::new(Path::new("tmpfs"), "tmpfs", &format!("size={bytes}"), point)
    }

    /// A new file system of this kind in the sparse file `image` of so many bytes.
    pub fn formatted(image: &Path, bytes: u64, kind: &str, point: &Path) -> Result<Self, String> {
        format(image, bytes, kind)?;
        Self::new(image, kind, "loop", point)
    }

    pub fn point(&self) -> &Path {
        &self.point
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // A file just closed may hold it for a moment: then it goes as soon as that has passed.
        if run("umount", &[text(&self.point)]).is_err() {
            drop(run("umount", &["-l", text(&self.point)]));
        }
    }
}

/// Makes a file system in the sparse file `image`.
pub fn format(image: &Path, bytes: u64, kind: &str) -> Result<(), String> {
    let file = std::fs::File::create(image).map_err(|error| error.to_string())?;
    file.set_len(bytes).map_err(|error| error.to_string())?;
    let quiet = if kind == "ext4" { "-F" } else { "-f" };
    run(&format!("mkfs.{kind}"), &["-q", quiet, text(image)])
}

pub fn text(path: &Path) -> &str {
    path.to_str().expect("a UTF-8 path")
}
