//! Points on a disk that loses power or runs full.
//!
//! Guards against acknowledged points that are lost or changed by a power cut, and against bodies of which nobody can
//! tell what went in when the disk was full.

use riverbed::line_protocol::Dialect;
use riverbed::point::{LineOptions, PointOptions, PutLineError, WriteLinesError};
use riverbed::testing::Disk;
use riverbed::{Durability, PutError, StreamOptions};

use crate::support::{options, sorted_lines, stored};

fn body(round: usize, lines: usize) -> Vec<String> {
    (0..lines).map(|line| format!("m,series={} line={line}i,round={round}i 1", line % 7)).collect()
}

#[test]
fn a_power_cut_keeps_what_was_acknowledged_as_durable() {
    let immediate = PointOptions::new().durability(Durability::Immediate);
    let durable = LineOptions::new(Dialect::V2Server).points(immediate);
    let buffered =
        LineOptions::new(Dialect::V2Server).points(PointOptions::new().durability(Durability::Buffered));
    let mut lost = 0;
    for seed in 0..40 {
        let disk = Disk::new();
        let store = options(&disk).open("data").unwrap();
        let stream = store.create_stream("metrics", StreamOptions::new().shards(4)).unwrap();
        let (mut kept, mut written) = (Vec::new(), Vec::new());
        for round in 0..6 {
            let lines = body(round, 20);
            // Each shard's records before a durable one are durable with it.
            let options = if round % 3 == 1 { &durable } else { &buffered };
            stream.write_line_protocol(lines.join("\n"), options).unwrap();
            written.extend(lines.iter().cloned());
            if round % 3 == 1 {
                kept.clone_from(&written);
            }
        }
        let disk = disk.cut_power(seed);
        let store = options(&disk).open("data").unwrap();
        let stream = store.open_stream("metrics").unwrap();
        let found = sorted_lines(&stream);
        for line in &kept {
            assert_eq!(found.iter().filter(|found| *found == line).count(), 1, "seed {seed}: {line}");
        }
        assert!(found.iter().all(|line| written.contains(line)), "seed {seed}");
        assert!(found.windows(2).all(|pair| pair[0] != pair[1]), "seed {seed}");
        lost += written.len() - found.len();
    }
    // The cut is real: of what was not durable some is lost.
    assert!(lost > 0);
}

#[test]
fn a_full_disk_says_which_lines_are_not_in_so_that_each_lands_once() {
    let disk = Disk::new();
    let store = options(&disk).segment_len(1 << 16, 1 << 16).open("data").unwrap();
    let stream = store.create_stream("metrics", StreamOptions::new().shards(4)).unwrap();
    let options = LineOptions::new(Dialect::V2Server);
    let mut expected = Vec::new();
    disk.set_capacity(Some(disk.used() + (1 << 19)));
    let mut round = 0;
    let (lines, results) = loop {
        let lines = body(round, 500);
        expected.extend(lines.iter().cloned());
        match stream.write_line_protocol(lines.join("\n"), &options) {
            Ok(puts) => assert_eq!(puts.len(), 500),
            Err(WriteLinesError::Partial { results }) => break (lines, results),
            Err(error) => panic!("{error}"),
        }
        round += 1;
        assert!(round < 100, "the disk was never full");
    };
    assert_eq!(results.results().len(), 500);
    let mut again = Vec::new();
    for (index, error) in results.failed() {
        assert!(matches!(error, PutLineError::Put(PutError::StorageFull { .. })), "{error}");
        again.push(lines[index].as_str());
    }
    assert!(!again.is_empty());
    disk.set_capacity(None);
    stream.write_line_protocol(again.join("\n"), &options).unwrap();
    // None has overtaken another of its series.
    for series in 0..7 {
        let start = format!("m,series={series} ");
        let of_series = |line: &&String| line.starts_with(&start);
        let found: Vec<_> = stored(&stream).iter().map(|stored| stored.text().to_owned()).collect();
        assert!(found.iter().filter(of_series).eq(expected.iter().filter(of_series)), "series {series}");
    }
    expected.sort();
    assert!(sorted_lines(&stream) == expected, "a line is missing or there twice");
}
