//! What each dialect makes of bodies that tell them apart: our own vectors, in
//! `tests/golden/line_protocol.json`.
//!
//! Guards against a change in what a body means. The results of the v2 server were checked against
//! `models/points.go`, those of v3 against its crate. `UPDATE_GOLDEN=1` writes the file anew; look at every
//! difference then.

use std::path::Path;

use riverbed::line_protocol::{Dialect, FieldRef, FieldValueRef, ParseOptions, Parser, TagRef};
use riverbed::point::PointTime;
use serde_json::{Value, json};

/// The time of points that bring none.
const CLOCK: PointTime = PointTime::from_nanos(1_657_729_063_123_456_789);

fn value(value: FieldValueRef<'_>) -> Value {
    match value {
        // JSON has no infinity.
        FieldValueRef::Float(value) if !value.is_finite() => json!({"float": value.to_string()}),
        FieldValueRef::Float(value) => json!({"float": value}),
        FieldValueRef::Integer(value) => json!({"integer": value}),
        FieldValueRef::Unsigned(value) => json!({"unsigned": value}),
        FieldValueRef::Boolean(value) => json!({"boolean": value}),
        FieldValueRef::String(text) => json!({"string": text.to_string()}),
    }
}

fn tag(tag: &TagRef<'_>) -> Value {
    json!([tag.key.to_string(), tag.value.to_string()])
}

fn field(field: &FieldRef<'_>) -> Value {
    json!([field.key.to_string(), value(field.value)])
}

/// What `dialect` makes of the lines of `body`.
fn results(body: &str, dialect: Dialect) -> Value {
    let precision = dialect
        .precision(body.strip_prefix("#precision=").and_then(|rest| rest.lines().next()).unwrap_or("ns"));
    let options = ParseOptions::new(dialect, CLOCK).precision(precision.unwrap());
    let mut parser = Parser::new(body.as_bytes(), options);
    let mut results = Vec::new();
    while let Some(point) = parser.next_point() {
        results.push(match point {
            Ok(point) => json!({
                "measurement": point.measurement().to_string(),
                "tags": point.tags().iter().map(tag).collect::<Value>(),
                "fields": point.fields().iter().map(field).collect::<Value>(),
                "time": point.time().as_nanos(),
            }),
            Err(error) => json!({"error": error.to_string(), "line": error.line(), "offset": error.offset()}),
        });
    }
    Value::Array(results)
}

#[test]
fn each_dialect_reads_its_own_way() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/line_protocol.json");
    let mut golden: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let mut wrong = Vec::new();
    for vector in golden.as_array_mut().unwrap() {
        let body = vector["body"].as_str().unwrap().to_owned();
        let names =
            [("v2_server", Dialect::V2Server), ("v2_library", Dialect::V2Library), ("v3", Dialect::V3)];
        for (name, dialect) in names {
            let ours = results(&body, dialect);
            if vector[name] != ours {
                wrong.push(format!("{body:?} by {name}\n  is       {ours}\n  and was  {}", vector[name]));
                vector[name] = ours;
            }
        }
    }
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, serde_json::to_string_pretty(&golden).unwrap() + "\n").unwrap();
        return;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
