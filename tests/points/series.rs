//! A series is a partition key: its points are in one shard, in order, whatever its key looks like.
//!
//! Guards against a series that is spread over shards or told apart by how its tags were written, and against long
//! or odd series keys that cannot be put.

use std::collections::{BTreeMap, BTreeSet};

use riverbed::line_protocol::{Dialect, FieldValueRef};
use riverbed::point::{LineOptions, Point, PointDecoder, PointOptions};
use riverbed::{HashKey, Position, ShardId};

use crate::support::{sorted_lines, stored, stream};

#[test]
fn the_points_of_a_series_are_in_one_shard_in_order() {
    let stream = stream();
    for round in 0..20_i64 {
        let body: String = (0..64)
            .map(|series| {
                format!(
                    "cpu,core={series} round={round}i,half=0i\ncpu,core={series} round={round}i,half=1i\n"
                )
            })
            .collect();
        stream.write_line_protocol(body, &LineOptions::new(Dialect::V2Server)).unwrap();
    }
    let mut shards: BTreeMap<String, BTreeSet<ShardId>> = BTreeMap::new();
    let mut rounds: BTreeMap<String, Vec<(i64, i64)>> = BTreeMap::new();
    let mut decoder = PointDecoder::new();
    for shard in stream.shards() {
        let mut reader = stream.reader(shard.id, Position::TrimHorizon).unwrap();
        while let Some(record) = reader.next().unwrap() {
            let stored = decoder.decode(&record).unwrap();
            let key = record.partition_key().unwrap().to_owned();
            assert_eq!(stored.point().series_key().partition_key(), key);
            assert!(shard.range.contains(HashKey::of(&key)));
            let integer = |field| match stored.point().field(field) {
                Some(FieldValueRef::Integer(value)) => value,
                other => panic!("{other:?}"),
            };
            shards.entry(key.clone()).or_default().insert(shard.id);
            rounds.entry(key).or_default().push((integer("round"), integer("half")));
        }
    }
    assert_eq!(shards.len(), 64);
    assert!(shards.values().all(|shards| shards.len() == 1));
    assert_eq!(shards.values().flatten().collect::<BTreeSet<_>>().len(), 4, "every shard is used");
    let expected: Vec<_> = (0..20).flat_map(|round| [(round, 0), (round, 1)]).collect();
    assert!(rounds.values().all(|rounds| *rounds == expected));
}

#[test]
fn the_order_and_escaping_of_tags_do_not_make_another_series() {
    let stream = stream();
    let body = "m,b=2,a=1 f=1 1\nm,a=1,b=2 f=2 2\nmy\\ m,k\\=1=v\\,w f=3 3\n";
    stream.write_line_protocol(body, &LineOptions::new(Dialect::V2Server)).unwrap();
    let point = Point::new("m").tag("b", "2").tag("a", "1").tag("c", "").field("f", 4.0);
    stream.put_point(&point).unwrap();
    let point = Point::new("my m").tag("k=1", "v,w").field("f", 5.0);
    stream.put_point(&point).unwrap();
    let keys: BTreeSet<_> = stored(&stream).into_iter().map(|stored| stored.key).collect();
    assert_eq!(keys, BTreeSet::from(["m,a=1,b=2".to_owned(), "my\\ m,k\\=1=v\\,w".to_owned()]));
}

#[test]
fn series_keys_that_are_too_long_for_a_partition_key_stay_series() {
    let stream = stream();
    // 256 characters fit, 257 do not; these two agree in the first 300.
    let fits = "x".repeat(256 - "m,t=".len());
    let long = "é".repeat(300);
    for round in 0..3 {
        let body = format!("m,t={fits} f={round} 1\nm,t={long}1 f={round} 1\nm,t={long}2 f={round} 1\n");
        stream.write_line_protocol(body, &LineOptions::new(Dialect::V2Server)).unwrap();
    }
    let mut series: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for stored in stored(&stream) {
        series.entry(stored.key.clone()).or_default().push(stored.text().to_owned());
    }
    let mut expected = BTreeMap::new();
    for tag in [fits, format!("{long}1"), format!("{long}2")] {
        let key = Point::new("m").tag("t", &tag).series_key().partition_key().into_owned();
        assert_eq!(key.chars().count(), 256);
        expected.insert(key, (0..3).map(|round| format!("m,t={tag} f={round} 1")).collect::<Vec<_>>());
    }
    assert_eq!(expected.len(), 3);
    assert_eq!(series, expected);
}

#[test]
fn the_longest_series_key_of_all_is_put() {
    let stream = stream();
    let point = Point::new("m".repeat(60_000)).field("f", 1.5);
    stream.put_point(&point).unwrap();
    assert_eq!(stored(&stream)[0].line.len(), 60_000 + " f=1.5 1657729063123456789".len());
    let too_long = Point::new("m".repeat(66_000)).field("f", 1.5);
    let error = stream.put_point(&too_long).unwrap_err();
    assert_eq!(error.to_string(), "max key length exceeded: 66000 > 65535");
    let results = stream.put_points([&too_long, &point], &PointOptions::new());
    assert_eq!(results.failed().map(|(index, _)| index).collect::<Vec<_>>(), [0]);
    assert_eq!(sorted_lines(&stream).len(), 2);
}

#[test]
fn series_keys_that_are_not_utf8_are_told_apart() {
    let stream = stream();
    let body = b"m,t=\xff f=1 1\nm,t=\xfe f=2 1\nm,t=\xff f=3 1\n";
    let puts = stream.write_line_protocol(body, &LineOptions::new(Dialect::V2Server)).unwrap();
    assert_eq!(puts[0].shard_id, puts[2].shard_id);
    let all = stored(&stream);
    let keys: BTreeSet<_> = all.iter().map(|stored| &stored.key).collect();
    assert_eq!(keys.len(), 2);
    assert!(keys.iter().all(|key| key.starts_with("m,t=\u{fffd}#")));
    let of_first =
        all.iter().filter(|stored| stored.line.starts_with(b"m,t=\xff")).map(|stored| &stored.line);
    assert_eq!(of_first.collect::<Vec<_>>(), [b"m,t=\xff f=1 1", b"m,t=\xff f=3 1"]);
}
