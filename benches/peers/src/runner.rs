//! Runs everything, in rounds: in each, every workload; for each workload, every peer in turn, each time starting with another
//! one. So what the machine does besides meets everybody alike.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use crate::child::Figures;
use crate::machine;
use crate::peer::{Part, Peer};
use crate::results::{Outcome, Row};
use crate::workload::Workload;

/// What takes longer has failed.
const LIMIT: Duration = Duration::from_secs(120);

pub struct Plan {
    pub rounds: u32,
    pub peers: Vec<Peer>,
    pub workloads: Vec<Workload>,
    /// Where the logs are. It is emptied.
    pub data: PathBuf,
}

impl Plan {
    pub fn run(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        for round in 0..self.rounds {
            for &workload in &self.workloads {
                for turn in 0..self.peers.len() {
                    let peer = &self.peers[(turn + round as usize * 3) % self.peers.len()];
                    if let Part::Not(_) = (peer.part)(workload) {
                        continue;
                    }
                    let outcome = self.measure(peer, workload);
                    eprintln!(
                        "round {} of {}, load {}: {}, {}: {outcome}",
                        round + 1,
                        self.rounds,
                        machine::load(),
                        workload.title(),
                        peer.name
                    );
                    rows.push(Row {
                        workload,
                        peer: peer.name.to_owned(),
                        round,
                        load: machine::load(),
                        outcome,
                    });
                }
            }
        }
        std::fs::remove_dir_all(&self.data).unwrap();
        rows
    }

    fn measure(&self, peer: &Peer, workload: Workload) -> Outcome {
        let reading = workload == Workload::Read;
        let name = if reading { format!("{}-read", peer.name) } else { "now".to_owned() };
        let path = self.data.join(name.replace([':', ' ', ','], "_"));
        // What is read is written in the first round, and stays.
        if !(reading && path.exists()) {
            machine::empty(&path);
            if (reading || workload == Workload::Reopen)
                && let Err(problem) = child("fill", peer, workload, &path)
            {
                return Outcome::Failed(problem);
            }
        }
        if reading {
            // The machine may have taken some of it from memory since the last round, however much is free.
            machine::warm(&path);
        }
        match child("measure", peer, workload, &path) {
            Ok(figures) => Outcome::Measured(figures),
            Err(problem) => Outcome::Failed(problem),
        }
    }
}

/// Runs this program again to do one thing, and kills it (SIGKILL) as soon as it has told its figures.
fn child(task: &str, peer: &Peer, workload: Workload, path: &Path) -> Result<Figures, String> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([task, peer.name, &workload.id()])
        .arg(path)
        .env("WALRUS_DATA_DIR", path)
        .env("WALRUS_QUIET", "1")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| error.to_string())?;
    let figures = figures(&mut child);
    // A process that was only asked to fill closes first, unless it is there to be killed.
    if figures.is_none() || workload == Workload::Reopen {
        child.kill().map_err(|error| error.to_string())?;
    }
    let output = child.wait_with_output().map_err(|error| error.to_string())?;
    figures.ok_or_else(|| {
        let text = String::from_utf8_lossy(&output.stderr);
        text.lines().find(|line| !line.trim().is_empty()).unwrap_or("no answer in time").replace(',', ";")
    })
}

fn figures(child: &mut Child) -> Option<Figures> {
    let stdout = child.stdout.take()?;
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let found =
            BufReader::new(stdout).lines().map_while(Result::ok).find_map(|line| Figures::parse(&line));
        // It fails only where the other side has given up on this child.
        sender.send(found).ok();
    });
    receiver.recv_timeout(LIMIT).ok().flatten()
}
