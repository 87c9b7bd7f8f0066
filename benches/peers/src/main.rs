//! Riverbed beside other embedded logs and stores, on the same work in one run, and beside what the machine charges for the bytes
//! alone. `just peers` at the root runs it; `docs/benchmarks/README.md` says how to read what it writes.

mod chart;
mod child;
mod machine;
mod peer;
mod peers;
mod report;
mod results;
mod runner;
mod workload;

use std::path::{Path, PathBuf};

use crate::peer::Peer;
use crate::runner::Plan;
use crate::workload::Workload;

const USAGE: &str = "\
usage: riverbed-peers [--rounds N] [--only WORKLOAD,..] [--peers NAME,..] [--data DIRECTORY] [--out DIRECTORY]
       riverbed-peers draw [--out DIRECTORY]

Without arguments: 9 rounds of everything, with the logs in target/data of this package, and the table, the charts and every
single figure written to docs/benchmarks. `draw` writes table and charts again, of figures that are there.";

struct Arguments {
    rounds: u32,
    only: Vec<String>,
    peers: Vec<String>,
    data: PathBuf,
    out: PathBuf,
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["fill", name, workload, path] => child::fill(&peer(name), of_id(workload), Path::new(path)),
        ["measure", name, workload, path] => child::measure(&peer(name), of_id(workload), Path::new(path)),
        ["draw", ..] => draw(&arguments(&words[1..]).out),
        _ => run(&arguments(&words)),
    }
}

fn peer(name: &str) -> Peer {
    peer::all()
        .into_iter()
        .find(|peer| peer.name == name)
        .unwrap_or_else(|| panic!("no peer is called {name}"))
}

fn of_id(id: &str) -> Workload {
    Workload::of_id(id).unwrap_or_else(|| panic!("no workload is called {id}"))
}

fn arguments(words: &[String]) -> Arguments {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut arguments = Arguments {
        rounds: 9,
        only: Vec::new(),
        peers: Vec::new(),
        data: package.join("target/data"),
        out: package.join("../../docs/benchmarks"),
    };
    let list = |value: &str| value.split(',').map(str::to_owned).collect();
    for pair in words.chunks(2) {
        match pair {
            [name, value] if name == "--rounds" => {
                arguments.rounds = value.parse().expect("a number of rounds");
            }
            [name, value] if name == "--only" => arguments.only = list(value),
            [name, value] if name == "--peers" => arguments.peers = list(value),
            // A directory of our own in it, since we empty that.
            [name, value] if name == "--data" => arguments.data = Path::new(value).join("riverbed-peers"),
            [name, value] if name == "--out" => arguments.out = value.into(),
            _ => {
                eprintln!("{USAGE}");
                std::process::exit(2);
            }
        }
    }
    arguments
}

fn run(arguments: &Arguments) {
    let chosen = |chosen: &[String], name: &str| chosen.is_empty() || chosen.iter().any(|one| one == name);
    machine::empty(&arguments.data);
    let mut machine = machine::describe(&arguments.data);
    #[cfg(feature = "rocksdb")]
    machine.push(peers::rocksdb::library(&arguments.data.join("rocksdb")));
    machine.push(format!("Started with a load of {}", machine::load()));
    let plan = Plan {
        rounds: arguments.rounds,
        peers: peer::all().into_iter().filter(|peer| chosen(&arguments.peers, peer.name)).collect(),
        workloads: Workload::ALL.into_iter().filter(|one| chosen(&arguments.only, &one.id())).collect(),
        data: arguments.data.clone(),
    };
    let rows = plan.run();
    std::fs::create_dir_all(&arguments.out).unwrap();
    results::save(&rows, &arguments.out.join("peers.csv"));
    std::fs::write(arguments.out.join("machine.txt"), machine.join("\n") + "\n").unwrap();
    draw(&arguments.out);
}

/// Table and charts of the figures in `out`.
fn draw(out: &Path) {
    let rows = results::load(&out.join("peers.csv"));
    let machine = std::fs::read_to_string(out.join("machine.txt")).unwrap();
    let peers = peer::all();
    std::fs::write(out.join("peers.md"), report::markdown(&rows, &peers, &machine)).unwrap();
    chart::draw_all(&rows, &peers, out);
}
