//! Records of the caller's to points: what InfluxDB's Python client does with dictionaries, data classes,
//! named tuples and data frames.
//!
//! Guards against values that end up in the wrong part of a point, as the wrong type, or nowhere without a
//! word.

use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

use riverbed::line_protocol::WriteError;
use riverbed::point::{
    DefaultTags, FieldType, FieldValue, MappingError, Point, PointMapping, Precision, TagPrecedence,
};
use serde::Serialize;
use serde_json::{Value, json};

#[derive(Serialize)]
struct Cpu {
    core: &'static str,
    temp: f64,
    timestamp: i64,
}

const CPUS: [Cpu; 3] = [
    Cpu { core: "0", temp: 25.3, timestamp: 1_657_729_063 },
    Cpu { core: "0", temp: 25.4, timestamp: 1_657_729_078 },
    Cpu { core: "0", temp: 25.2, timestamp: 1_657_729_093 },
];

const LINES: [&str; 3] = [
    "cpu,core=0 temp=25.3 1657729063000000000",
    "cpu,core=0 temp=25.4 1657729078000000000",
    "cpu,core=0 temp=25.2 1657729093000000000",
];

fn lines(points: &[Point]) -> Vec<String> {
    points.iter().map(|point| point.to_line_protocol().unwrap()).collect()
}

#[test]
fn dictionaries() {
    let records = CPUS.map(|Cpu { core, temp, timestamp }| {
        json!({"measurement": "cpu", "tags": {"core": core}, "fields": {"temp": temp}, "time": timestamp})
    });
    let points = PointMapping::new().time_precision(Precision::Seconds).points(&records).unwrap();
    assert_eq!(lines(&points), LINES);
}

#[test]
fn data_classes() {
    let mapping = PointMapping::new()
        .measurement("cpu")
        .tag_keys(["core"])
        .field_keys(["temp"])
        .time_key("timestamp")
        .time_precision(Precision::Seconds);
    assert_eq!(lines(&mapping.points(&CPUS).unwrap()), LINES);
}

#[test]
fn named_tuples() {
    // Rust has no names for the parts of a tuple; a map of names to values is the nearest thing.
    let records = CPUS.map(|cpu| {
        BTreeMap::from([
            ("core", json!(cpu.core)),
            ("temp", json!(cpu.temp)),
            ("timestamp", json!(cpu.timestamp)),
        ])
    });
    let mapping = PointMapping::new()
        .measurement("cpu")
        .tag_keys(["core"])
        .field_keys(["temp"])
        .time_key("timestamp")
        .time_precision(Precision::Seconds);
    assert_eq!(lines(&mapping.points(&records).unwrap()), LINES);
}

#[test]
fn data_frames() {
    let columns = ["core", "temp", "timestamp"];
    let rows = CPUS.map(|cpu| [json!(cpu.core), json!(cpu.temp), json!(cpu.timestamp)]);
    let records = rows.iter().map(|row| columns.into_iter().zip(row).collect::<BTreeMap<_, _>>());
    let mapping = PointMapping::new()
        .measurement("cpu")
        .tag_keys(["core"])
        .remaining_fields()
        .time_key("timestamp")
        .time_precision(Precision::Seconds);
    assert_eq!(lines(&mapping.points(records).unwrap()), LINES);
}

#[test]
fn own_keys_and_types() {
    let record = json!({
        "name": "sensor_pt859", "location": "warehouse_125", "version": 3,
        "pressure": 125, "temperature": 10, "created": 1632208639,
    });
    let mapping = PointMapping::new()
        .measurement_key("name")
        .tag_keys(["location", "version", "absent"])
        .field_keys(["pressure", "temperature", "absent"])
        .time_key("created")
        .time_precision(Precision::Seconds)
        .integer_type(FieldType::Integer)
        .field_type("temperature", FieldType::Float);
    assert_eq!(
        mapping.point(&record).unwrap().to_line_protocol().unwrap(),
        "sensor_pt859,location=warehouse_125,version=3 pressure=125i,temperature=10 1632208639000000000"
    );
}

#[test]
fn rust_types_decide_field_types() {
    #[derive(Serialize)]
    enum State {
        Idle,
    }
    #[derive(Serialize)]
    struct Wrapped(i8);
    #[derive(Serialize)]
    struct All {
        a: u8,
        b: i64,
        c: f32,
        d: bool,
        e: char,
        f: State,
        g: Wrapped,
        h: Option<u64>,
        i: Option<u64>,
        j: (),
        k: u128,
    }
    let record = All {
        a: 1,
        b: -2,
        c: 0.5,
        d: true,
        e: 'x',
        f: State::Idle,
        g: Wrapped(7),
        h: Some(8),
        i: None,
        j: (),
        k: 9,
    };
    let point = PointMapping::new().measurement("m").remaining_fields().point(&record).unwrap();
    assert_eq!(
        point.to_line_protocol().unwrap(),
        r#"m a=1u,b=-2i,c=0.5,d=true,e="x",f="Idle",g=7i,h=8u,k=9u"#
    );
}

#[test]
fn times_of_many_kinds() {
    let mapping = PointMapping::new().measurement("m").field_keys(["f"]);
    let nanos = |time: Value| {
        mapping.point(&json!({"f": 1.5, "time": time})).unwrap().timestamp().unwrap().as_nanos()
    };
    assert_eq!(nanos(json!(5)), 5);
    assert_eq!(nanos(json!(-5)), -5);
    assert_eq!(nanos(json!("2022-07-13T16:17:43.5Z")), 1_657_729_063_500_000_000);
    let system_time = UNIX_EPOCH + Duration::new(1_657_729_063, 7);
    assert_eq!(nanos(serde_json::to_value(system_time).unwrap()), 1_657_729_063_000_000_007);
    assert_eq!(mapping.point(&json!({"f": 1.5, "time": null})).unwrap().timestamp(), None);
}

#[test]
fn records_that_are_no_points() {
    let flat = || PointMapping::new().measurement("m").field_keys(["f"]);
    let error = |mapping: PointMapping, record: Value| mapping.point(&record).unwrap_err();
    assert_eq!(error(flat(), json!([1])), MappingError::NotARecord { found: "a sequence" });
    assert_eq!(error(flat(), json!(null)), MappingError::NotARecord { found: "nothing" });
    let missing = error(PointMapping::new(), json!({"fields": {}}));
    assert_eq!(missing, MappingError::MissingMeasurement { key: "measurement".into() });
    let missing = error(PointMapping::new(), json!({"measurement": "m"}));
    assert_eq!(missing, MappingError::MissingFields);
    let unsupported = error(flat(), json!({"f": [1]}));
    assert_eq!(unsupported.to_string(), r#""f" holds a sequence, which cannot be a field"#);
    let unsupported = error(flat().tag_keys(["t"]), json!({"f": 1, "t": {}}));
    assert_eq!(unsupported.to_string(), r#""t" holds a struct or map, which cannot be a tag"#);
    let cast = error(flat().field_type("f", FieldType::Unsigned), json!({"f": -1}));
    assert_eq!(cast.to_string(), r#""f" holds -1, which does not fit the field type unsigned"#);
    let time = error(flat(), json!({"f": 1, "time": "yesterday"}));
    assert!(matches!(time, MappingError::InvalidTime { .. }), "{time}");
    let time = error(flat().time_precision(Precision::Hours), json!({"f": 1, "time": i64::MAX}));
    assert!(matches!(time, MappingError::TimeOutOfRange(_)), "{time}");
    let time = error(flat(), json!({"f": 1, "time": 1.5}));
    assert_eq!(time.to_string(), r#""time" holds a float, which cannot be a time"#);
    // Of many, the first that is none is named.
    let rows = [json!({"f": 1}), json!({"f": 2}), json!([3]), json!([4])];
    let source = Box::new(MappingError::NotARecord { found: "a sequence" });
    assert_eq!(flat().points(&rows), Err(MappingError::Record { index: 2, source }));
    assert_eq!(flat().points(&rows[..2]).unwrap().len(), 2);
}

#[test]
fn nothing_to_write_is_an_error() {
    let record = json!({"measurement": "m", "tags": {"t": null}, "fields": {"f": null}});
    let point = PointMapping::new().point(&record).unwrap();
    assert!(matches!(point.to_line_protocol(), Err(WriteError::NoFields { skipped: 0, .. })));
}

#[test]
fn default_tags_take_precedence_as_asked() {
    let defaults: DefaultTags = [("core", "9"), ("host", "a"), ("empty", "")].into_iter().collect();
    let mapping = PointMapping::new().measurement("cpu").tag_keys(["core"]).field_keys(["temp"]);
    let [cpu, ..] = &CPUS;
    let mut point = mapping.point(cpu).unwrap();
    defaults.apply(&mut point, TagPrecedence::Record);
    assert_eq!(point.to_line_protocol().unwrap(), "cpu,core=0,host=a temp=25.3");
    defaults.apply(&mut point, TagPrecedence::Default);
    assert_eq!(point.to_line_protocol().unwrap(), "cpu,core=9,host=a temp=25.3");
    assert_eq!(point.field_value("temp"), Some(&FieldValue::Float(25.3)));
}
