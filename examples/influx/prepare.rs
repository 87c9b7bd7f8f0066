//! Every way to prepare data.

use std::collections::BTreeMap;
use std::error::Error;

use riverbed::line_protocol::{Dialect, FieldValueRef};
use riverbed::point::{
    DefaultTags, FieldType, LineOptions, Point, PointDecoder, PointMapping, PointOptions, PointTime,
    Precision, TagPrecedence, WriteLinesError,
};
use riverbed::{Position, ReaderOptions, Stream};
use serde::Serialize;
use serde_json::json;

/// Points from all of them, into one stream.
pub(crate) fn run(testing: &Stream) -> Result<(), Box<dyn Error>> {
    string(testing)?;
    dictionary(testing)?;
    point_helper(testing)?;
    data_frame(testing)?;
    data_class(testing)?;
    named_tuple(testing)?;
    default_tags(testing)?;
    bad_lines(testing)?;
    testing.sync()?; // all of it is on disk

    read_back(testing)
}

/// Text, as it comes from a file or another program. `Ok` means that every line went in.
fn string(testing: &Stream) -> Result<(), Box<dyn Error>> {
    let records = "
cpu,core=0 temp=25.3 1657729063
cpu,core=0 temp=25.4 1657729078
cpu,core=0 temp=25.2 1657729093
";
    let options = LineOptions::new(Dialect::V2Server).precision(Precision::Seconds);
    let puts = testing.write_line_protocol(records, &options)?;
    let last = puts.last().map(|put| put.sequence_number.to_string()).unwrap_or_default();
    println!("string: {} lines, the last one is {last}", puts.len());
    Ok(())
}

/// Maps that say which part is which. JSON does not tell signed from unsigned: the mapping does.
fn dictionary(testing: &Stream) -> Result<(), Box<dyn Error>> {
    let records = [
        json!({"measurement": "cpu", "tags": {"core": "1"}, "fields": {"temp": 25.3}, "time": 1657729063}),
        json!({"measurement": "cpu", "tags": {"core": "1"}, "fields": {"temp": 25.4}, "time": 1657729078}),
        json!({"measurement": "cpu", "tags": {"core": "1"}, "fields": {"temp": 25.2}, "time": 1657729093}),
    ];
    let mapping = PointMapping::new().time_precision(Precision::Seconds).integer_type(FieldType::Integer);
    put_all(testing, "dictionary", &mapping.points(&records)?)
}

/// Points, part by part. Tags and fields can be added at any time.
fn point_helper(testing: &Stream) -> Result<(), Box<dyn Error>> {
    let points = [(25.3, 1_657_729_063), (25.4, 1_657_729_078), (25.2, 1_657_729_093)]
        .into_iter()
        .map(|(temp, seconds)| {
            let time = PointTime::new(seconds, Precision::Seconds)?;
            Ok(Point::new("cpu").tag("core", "2").field("temp", temp).time(time))
        })
        .collect::<Result<Vec<_>, riverbed::point::TimeOutOfRange>>()?;
    put_all(testing, "point helper", &points)
}

/// Rows of a table: the tag columns and the time column are named, all others are fields.
fn data_frame(testing: &Stream) -> Result<(), Box<dyn Error>> {
    let columns = ["core", "temp", "timestamp"];
    let data = [
        [json!("3"), json!(25.3), json!(1_657_729_063)],
        [json!("3"), json!(25.4), json!(1_657_729_078)],
        [json!("3"), json!(25.2), json!(1_657_729_093)],
    ];
    let rows = data.map(|row| columns.into_iter().zip(row).collect::<BTreeMap<_, _>>());
    let mapping = PointMapping::new()
        .measurement("cpu")
        .tag_keys(["core"])
        .remaining_fields()
        .time_key("timestamp")
        .time_precision(Precision::Seconds);
    put_all(testing, "data frame", &mapping.points(&rows)?)
}

/// A struct of the caller's. The types of its fields decide the types of the point's.
#[derive(Serialize)]
struct Cpu {
    core: String,
    temp: f64,
    timestamp: i64,
}

/// How a [`Cpu`] becomes a point.
fn cpu_mapping() -> PointMapping {
    PointMapping::new()
        .measurement("cpu")
        .tag_keys(["core"])
        .field_keys(["temp"])
        .time_key("timestamp")
        .time_precision(Precision::Seconds)
}

fn data_class(testing: &Stream) -> Result<(), Box<dyn Error>> {
    let records = [(25.3, 1_657_729_063), (25.4, 1_657_729_078), (25.2, 1_657_729_093)]
        .map(|(temp, timestamp)| Cpu { core: "4".into(), temp, timestamp });
    put_all(testing, "data class", &cpu_mapping().points(&records)?)
}

/// A named tuple is a struct in Rust too; here one that borrows.
fn named_tuple(testing: &Stream) -> Result<(), Box<dyn Error>> {
    #[derive(Serialize)]
    struct Record<'a> {
        core: &'a str,
        temp: f64,
        timestamp: i64,
    }
    let record = |temp, timestamp| Record { core: "5", temp, timestamp };
    let records = [record(25.3, 1_657_729_063), record(25.4, 1_657_729_078), record(25.2, 1_657_729_093)];
    put_all(testing, "named tuple", &cpu_mapping().points(&records)?)
}

/// Tags that every point gets, as from the client's configuration. They are part of the series.
fn default_tags(testing: &Stream) -> Result<(), Box<dyn Error>> {
    let tags = DefaultTags::new().tag("region", "eu");
    let points = PointOptions::new().default_tags(tags, TagPrecedence::Default);
    let options = LineOptions::new(Dialect::V2Server).points(points);
    let puts = testing.write_line_protocol("sensor temp=23.3", &options)?; // now, by the store's clock
    for put in puts {
        println!("default tags: in {}", put.shard_id);
    }
    Ok(())
}

/// A body with bad lines: refused as a whole as by a v2 server, or its good lines kept as by v3.
fn bad_lines(testing: &Stream) -> Result<(), Box<dyn Error>> {
    let body = "sensor temp=23.3 1\nsensor temp= 2\n";
    let whole = LineOptions::new(Dialect::V2Server);
    match testing.write_line_protocol(body, &whole) {
        Err(error @ WriteLinesError::Refused { .. }) => println!("nothing was put: {error}"),
        other => return Err(format!("expected a refusal: {other:?}").into()),
    }
    match testing.write_line_protocol(body, &LineOptions::new(Dialect::V3).accept_partial(true)) {
        Err(WriteLinesError::Partial { results }) => {
            for (index, error) in results.failed() {
                println!("all but line {index} was put: {error}");
            }
            Ok(())
        }
        other => Err(format!("expected a partial write: {other:?}").into()),
    }
}

fn put_all(testing: &Stream, way: &str, points: &[Point]) -> Result<(), Box<dyn Error>> {
    let puts = testing.put_points(points, &PointOptions::new()).all()?;
    println!("{way}: {} points", puts.len());
    Ok(())
}

/// The mean temperature of each series, from points that are borrowed from the mapped segments.
fn read_back(testing: &Stream) -> Result<(), Box<dyn Error>> {
    let mut reader = testing.merged_reader(Position::TrimHorizon, ReaderOptions::new())?;
    let mut decoder = PointDecoder::new();
    let mut temps: BTreeMap<String, (f64, f64)> = BTreeMap::new();
    while let Some(record) = reader.next()? {
        let stored = decoder.decode(&record)?;
        let point = stored.point();
        if let Some(FieldValueRef::Float(temp)) = point.field("temp") {
            let (sum, count) = temps.entry(point.series_key().to_string()).or_default();
            *sum += temp;
            *count += 1.0;
        }
    }
    for (series, (sum, count)) in &temps {
        println!("{series}: {:.2} over {count}", sum / count);
    }
    if temps.len() == 8 { Ok(()) } else { Err(format!("{} series came back, not 8", temps.len()).into()) }
}
