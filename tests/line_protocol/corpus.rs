//! The conformance corpus of influxdata/line-protocol: what its reference implementation makes of thousands
//! of bodies, most of them found by fuzzing, and of a hundred points.
//!
//! Each case names the implementation whose tests it was taken from, and records the result of the v2
//! library. Guards against any difference to that library's grammar, including where in the text it finds an
//! error.

use std::collections::BTreeMap;

use riverbed::line_protocol::{Dialect, FieldValueRef, LineWriter, ParseError, ParseOptions, Parser};
use riverbed::point::{FieldValue, Point, PointTime, Precision};
use serde_json::Value;

use crate::support::{base64, data_file};

fn corpus(test: &str) -> Option<Value> {
    let path = data_file("line_protocol_corpus.json", test)?;
    Some(serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap())
}

/// Text as it stands, or `{"binary": base64}` where it is not UTF-8.
fn bytes(value: &Value) -> Vec<u8> {
    value.as_str().map_or_else(|| base64(value["binary"].as_str().unwrap()), |text| text.as_bytes().to_vec())
}

fn precision(name: &str) -> Precision {
    match name {
        "1ns" => Precision::Nanoseconds,
        "1µs" => Precision::Microseconds,
        "1ms" => Precision::Milliseconds,
        "1s" => Precision::Seconds,
        _ => panic!("unknown precision {name}"),
    }
}

/// A point in a form that can be compared: name, tags, fields with type and exact value, nanoseconds.
#[derive(Debug, PartialEq)]
struct Plain {
    name: Vec<u8>,
    tags: Vec<(Vec<u8>, Vec<u8>)>,
    fields: Vec<(Vec<u8>, String)>,
    time: i64,
}

/// The exact value of a float, but for the sign of zero, which the corpus does not record.
fn float(value: f64) -> String {
    format!("float {:x}", (value + 0.0).to_bits())
}

fn expected(point: &Value) -> Plain {
    let list = |key: &str| point[key].as_array().cloned().unwrap_or_default();
    let value = |value: &Value| {
        let (kind, value) = value.as_object().unwrap().iter().next().unwrap();
        match kind.as_str() {
            "float" => float(value.as_f64().unwrap()),
            "int" => format!("int {}", value.as_i64().unwrap()),
            "uint" => format!("uint {}", value.as_u64().unwrap()),
            "bool" => format!("bool {value}"),
            "string" => format!("string {}", value.as_str().unwrap()),
            "binary" => format!("string {}", base64(value.as_str().unwrap()).escape_ascii()),
            _ => panic!("unknown kind {kind}"),
        }
    };
    Plain {
        name: bytes(&point["name"]),
        tags: list("tags").iter().map(|tag| (bytes(&tag["key"]), bytes(&tag["value"]))).collect(),
        fields: list("fields").iter().map(|field| (bytes(&field["key"]), value(&field["value"]))).collect(),
        time: point["time"].as_i64().unwrap(),
    }
}

/// What we read, up to the first error.
fn read(input: &[u8], options: ParseOptions) -> Result<Vec<Plain>, ParseError> {
    let mut parser = Parser::new(input, options);
    let mut points = Vec::new();
    while let Some(point) = parser.next_point() {
        let point = point?;
        let value = |value| match value {
            FieldValueRef::Float(value) => float(value),
            FieldValueRef::Integer(value) => format!("int {value}"),
            FieldValueRef::Unsigned(value) => format!("uint {value}"),
            FieldValueRef::Boolean(value) => format!("bool {value}"),
            FieldValueRef::String(text) => match text.to_str() {
                Ok(text) => format!("string {text}"),
                Err(_) => format!("string {}", text.to_bytes().escape_ascii()),
            },
        };
        points.push(Plain {
            name: point.measurement().to_bytes().into(),
            tags: point
                .tags()
                .iter()
                .map(|tag| (tag.key.to_bytes().into(), tag.value.to_bytes().into()))
                .collect(),
            fields: point
                .fields()
                .iter()
                .map(|field| (field.key.to_bytes().into(), value(field.value)))
                .collect(),
            time: point.time().as_nanos(),
        });
    }
    Ok(points)
}

/// `LINE:COLUMN` in a recorded error, both from 1 and in bytes.
fn recorded_place(error: &str) -> Option<(u64, usize)> {
    let place = error.split_once("at line ")?.1.split(": ").next()?;
    let (line, column) = place.split_once(':')?;
    Some((line.parse().ok()?, column.parse().ok()?))
}

/// The place of our error as the corpus counts: columns start with the point, or with the line feed last
/// before the error.
fn our_place(error: &ParseError, input: &[u8]) -> (u64, usize) {
    let start = error.range().start;
    let column = input[start..error.offset()].iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
    (error.line(), column)
}

#[derive(Default)]
struct Tally {
    cases: usize,
    agree: usize,
    places: usize,
    places_agree: usize,
}

fn decode_cases(corpus: &Value, dialect: Dialect) -> (BTreeMap<String, Tally>, Vec<String>) {
    let mut tallies = BTreeMap::<String, Tally>::new();
    let mut disagreements = Vec::new();
    for case in corpus["decode"].as_object().unwrap().values() {
        let (input, output) = (&case["input"], &case["output"]);
        let text = bytes(&input["text"]);
        let clock = PointTime::from_nanos(input["defaultTime"].as_i64().unwrap());
        let options =
            ParseOptions::new(dialect, clock).precision(precision(input["precision"].as_str().unwrap()));
        let ours = read(&text, options);
        let agree = match (&ours, output["error"].as_str()) {
            (Ok(points), None) => {
                let theirs = output["result"].as_array().cloned().unwrap_or_default();
                *points == theirs.iter().map(expected).collect::<Vec<_>>()
            }
            (Err(_), Some(_)) => true,
            _ => false,
        };
        let tally = tallies.entry(input["implementation"].as_str().unwrap().into()).or_default();
        tally.cases += 1;
        tally.agree += usize::from(agree);
        if let (Err(error), Some(place)) = (&ours, output["error"].as_str().and_then(recorded_place)) {
            tally.places += 1;
            let same = our_place(error, &text) == place;
            tally.places_agree += usize::from(same);
            if !same {
                disagreements.push(format!(
                    "{}: {:?} for {place:?}: {output}",
                    error,
                    our_place(error, &text)
                ));
            }
        }
        if !agree {
            disagreements.push(format!("{}: {ours:?}\n  for {output}", text.escape_ascii()));
        }
    }
    (tallies, disagreements)
}

fn print(what: &str, tallies: &BTreeMap<String, Tally>) {
    for (implementation, tally) in tallies {
        let Tally { cases, agree, places, places_agree } = tally;
        println!("{what} {implementation}: {agree} of {cases}, places of errors {places_agree} of {places}");
    }
}

#[test]
fn decode() {
    let Some(corpus) = corpus("the line-protocol corpus, decode") else { return };
    let (tallies, disagreements) = decode_cases(&corpus, Dialect::V2Library);
    print("decode", &tallies);
    assert!(disagreements.is_empty(), "{} disagreements:\n{}", disagreements.len(), disagreements.join("\n"));
}

/// The v2 server and v3 read some of these bodies differently; how many is only told.
#[test]
fn decode_by_other_dialects() {
    let Some(corpus) = corpus("the line-protocol corpus, other dialects") else { return };
    for dialect in [Dialect::V2Server, Dialect::V3] {
        let (tallies, _) = decode_cases(&corpus, dialect);
        print(&format!("{dialect:?} decode"), &tallies);
    }
}

#[test]
fn encode() {
    let Some(corpus) = corpus("the line-protocol corpus, encode") else { return };
    let mut tallies = BTreeMap::<String, Tally>::new();
    let mut disagreements = Vec::new();
    for case in corpus["encode"].as_object().unwrap().values() {
        let (input, output) = (&case["input"], &case["output"]);
        let writer = LineWriter::new()
            .dialect(Dialect::V2Library)
            .precision(precision(input["precision"].as_str().unwrap()));
        let line = writer.line(&point(&input["point"]));
        let agree = match (&line, output["result"].as_str()) {
            (Ok(line), Some(theirs)) => line == theirs,
            (Err(_), None) => true,
            _ => false,
        };
        let tally = tallies.entry(input["implementation"].as_str().unwrap().into()).or_default();
        tally.cases += 1;
        tally.agree += usize::from(agree);
        if !agree {
            disagreements.push(format!("{line:?}\n  for {output}"));
        }
    }
    print("encode", &tallies);
    assert!(disagreements.is_empty(), "{} disagreements:\n{}", disagreements.len(), disagreements.join("\n"));
}

fn point(point: &Value) -> Point {
    let text = |value: &Value| String::from_utf8(bytes(value)).unwrap();
    let list = |key: &str| point[key].as_array().cloned().unwrap_or_default();
    let mut built =
        Point::new(text(&point["name"])).time(PointTime::from_nanos(point["time"].as_i64().unwrap()));
    for tag in list("tags") {
        built.set_tag(text(&tag["key"]), text(&tag["value"]));
    }
    for field in list("fields") {
        let (kind, value) = field["value"].as_object().unwrap().iter().next().unwrap();
        let value = match kind.as_str() {
            "float" => FieldValue::Float(value.as_f64().unwrap()),
            "floatNonNumber" => FieldValue::Float(f64::NAN),
            "int" => FieldValue::Integer(value.as_i64().unwrap()),
            "uint" => FieldValue::Unsigned(value.as_u64().unwrap()),
            "bool" => FieldValue::Boolean(value.as_bool().unwrap()),
            "string" => FieldValue::String(value.as_str().unwrap().into()),
            _ => panic!("unknown kind {kind}"),
        };
        built.set_field(text(&field["key"]), value);
    }
    built
}
