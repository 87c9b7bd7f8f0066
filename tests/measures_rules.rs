//! Guards the rules of Timestream's `WriteRecords` and their texts, which clients compare: one row for each rule. The rule
//! table of `docs/measures.md` names the rows, and this checks that it names them all.
#![cfg(feature = "measures")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use riverbed::Timestamp;
use riverbed::measures::{
    Dimension, Field, MeasureRecord, MeasureType, Quotas, Reason, RejectedRecord, TableLimit, TimeUnit,
    ValidationError, Value, validate,
};

use MeasureType::{BigInt, Boolean, Double, Multi, Varchar};

/// What becomes of a call.
enum Expected {
    /// All records are taken.
    Taken,
    /// The whole call is refused, with this text.
    Refused(String),
    /// The first record is rejected, with this text.
    Rejected(String),
}

struct Row {
    name: &'static str,
    common: MeasureRecord<'static>,
    records: Vec<MeasureRecord<'static>>,
    expected: Expected,
    /// What becomes of it without the service's quotas, where that differs: it is taken.
    quota: bool,
}

fn leak(text: String) -> &'static str {
    text.leak()
}

fn long(length: usize) -> &'static str {
    leak("n".repeat(length))
}

fn plain() -> MeasureRecord<'static> {
    MeasureRecord::new()
        .dimension("host", "a")
        .measure_name("load")
        .measure_value("0.5")
        .time("1700000000000")
}

fn multi() -> MeasureRecord<'static> {
    let record = MeasureRecord::new().dimension("host", "a").measure_name("memory").time("1700000000000");
    record.value("used", "1", BigInt)
}

fn typed(value: &'static str, kind: MeasureType) -> MeasureRecord<'static> {
    plain().measure_value(value).measure_type(kind)
}

fn row(name: &'static str, record: MeasureRecord<'static>, expected: Expected) -> Row {
    Row { name, common: MeasureRecord::new(), records: vec![record], expected, quota: false }
}

fn taken(name: &'static str, record: MeasureRecord<'static>) -> Row {
    row(name, record, Expected::Taken)
}

fn refused(name: &'static str, record: MeasureRecord<'static>, text: &str) -> Row {
    row(name, record, Expected::Refused(text.to_owned()))
}

fn rejected(name: &'static str, record: MeasureRecord<'static>, text: &str) -> Row {
    row(name, record, Expected::Rejected(text.to_owned()))
}

impl Row {
    fn quota(mut self) -> Self {
        self.quota = true;
        self
    }

    fn common(mut self, common: MeasureRecord<'static>) -> Self {
        self.common = common;
        self
    }

    fn records(mut self, count: usize) -> Self {
        self.records = vec![plain(); count];
        self
    }
}

/// A failed constraint of the service's model, in its words.
fn constraint(value: &str, at: &str, what: &str) -> String {
    format!(
        "1 validation error detected: Value '{value}' at 'records{at}' failed to satisfy constraint: Member must {what}"
    )
}

const AT_LEAST_ONE: &str = "have length greater than or equal to 1";

fn call_rows() -> Vec<Row> {
    let mut rows = vec![
        refused("no-records", plain(), &constraint("[]", "", AT_LEAST_ONE)).records(0),
        taken("records-100", plain()).records(100),
        refused("records-101", plain(), &constraint("...", "", "have length less than or equal to 100"))
            .records(101)
            .quota(),
        refused("no-measure-name", MeasureRecord { measure_name: None, ..plain() },
            "Record 0 has no measure name: give it one, in the record or in the common attributes."),
        refused("no-measure-value", MeasureRecord { measure_value: None, ..plain() },
            "Record 0 has no measure value: give it one of type DOUBLE, in the record or in the common attributes."),
        refused("no-time", MeasureRecord { time: None, ..plain() }, "Invalid time for record."),
        refused("empty-dimension-name", plain().dimension("", "x"),
            &constraint("", ".1.member.dimensions.2.member.name", AT_LEAST_ONE)),
        refused("empty-measure-name", plain().measure_name(""), &constraint("", ".1.member.measureName", AT_LEAST_ONE)),
        refused("empty-measure-value", plain().measure_value(""), &constraint("", ".1.member.measureValue", AT_LEAST_ONE)),
        refused("empty-value-name", multi().value("", "1", BigInt),
            &constraint("", ".1.member.measureValues.2.member.name", AT_LEAST_ONE)),
        refused("empty-value", multi().value("free", "", BigInt),
            &constraint("", ".1.member.measureValues.2.member.value", AT_LEAST_ONE)),
        refused("empty-time", plain().time(""), &constraint("", ".1.member.time", AT_LEAST_ONE)),
        refused("long-time", plain().time(leak("0".repeat(257))),
            &constraint(&"0".repeat(257), ".1.member.time", "have length less than or equal to 256")).quota(),
        refused("long-measure-value", typed(long(2049), Varchar),
            &constraint(long(2049), ".1.member.measureValue", "have length less than or equal to 2048")).quota(),
        refused("long-value", multi().value("text", long(2049), Varchar),
            &constraint(long(2049), ".1.member.measureValues.2.member.value", "have length less than or equal to 2048")).quota(),
        taken("dimensions-128", with_dimensions(128)),
        refused("dimensions-129", with_dimensions(129),
            &constraint("...", ".1.member.dimensions", "have length less than or equal to 128")).quota(),
        refused("time-text", plain().time("noon"), "Invalid time for record."),
        refused("time-fraction", plain().time("1.5"), "Invalid time for record."),
        refused("time-sign", plain().time("+1"), "Invalid time for record."),
        refused("time-negative", plain().time("-1"), "Invalid time for record."),
        taken("time-last", plain().time("9223372036854775807").time_unit(TimeUnit::Nanoseconds)),
        refused("time-2262", plain().time("9223372037").time_unit(TimeUnit::Seconds), "Invalid time for record."),
        taken("version-1", plain().version(1)),
        taken("version-largest", plain().version(i64::MAX)),
        refused("version-0", plain().version(0),
            &constraint("0", ".1.member.version", "have value greater than or equal to 1")),
        refused("version-negative", plain().version(-3),
            &constraint("-3", ".1.member.version", "have value greater than or equal to 1")),
        refused("dimension-twice", plain().dimension("host", "b"),
            "Record 0 has the dimension 'host' twice: give it once, either in the record or in the common attributes."),
        refused("dimension-overlap", plain(),
            "Record 0 has the dimension 'host' twice: give it once, either in the record or in the common attributes.")
            .common(MeasureRecord::new().dimension("host", "a")),
        taken("dimension-case", plain().dimension("Host", "a")),
        taken("no-dimensions", MeasureRecord { dimensions: Vec::new(), ..plain() }),
        refused("multi-no-values", MeasureRecord { measure_values: Vec::new(), ..multi() },
            "Record 0 is of type MULTI and has no measure values: give it at least one."),
        refused("multi-measure-value", multi().measure_value("1"),
            "Record 0 is of type MULTI and has a measure value: give measure values only."),
        refused("values-without-multi", multi().measure_type(Double),
            "Record 0 is of type DOUBLE and has measure values, which only MULTI has: give a measure value instead, or \
             change the type."),
        refused("multi-nested", multi().value("inner", "1", Multi),
            "The measure value 'inner' of record 0 is of type MULTI: give it one of the other types."),
        refused("multi-value-twice", multi().value("used", "2", BigInt),
            "Record 0 has the measure value 'used' twice: give it once."),
        refused("multi-value-overlap", multi(), "Record 0 has the measure value 'used' twice: give it once.")
            .common(MeasureRecord::new().value("used", "1", BigInt)),
    ];
    // The second record's fault is found too, and named as its own.
    let second = refused(
        "second-record",
        plain(),
        &constraint("0", ".2.member.version", "have value greater than or equal to 1"),
    );
    rows.push(Row { records: vec![plain(), plain().version(0)], ..second });
    rows
}

fn with_dimensions(count: usize) -> MeasureRecord<'static> {
    let record = MeasureRecord { dimensions: Vec::new(), ..plain() };
    (0..count).fold(record, |record, index| record.dimension(leak(format!("d{index}")), "v"))
}

fn record_rows() -> Vec<Row> {
    let mut rows = vec![
        taken("dimension-name-60", plain().dimension(long(60), "x")),
        rejected(
            "dimension-name-61",
            plain().dimension(long(61), "x"),
            &format!("The dimension name '{}' has 61 bytes, at most 60 are allowed.", long(61)),
        )
        .quota(),
        taken("measure-name-256", plain().measure_name(long(256))),
        rejected(
            "measure-name-257",
            plain().measure_name(long(257)),
            &format!("The measure name '{}' has 257 bytes, at most 256 are allowed.", long(257)),
        )
        .quota(),
        rejected(
            "value-name-257",
            multi().value(long(257), "1", BigInt),
            &format!("The measure value name '{}' has 257 bytes, at most 256 are allowed.", long(257)),
        )
        .quota(),
        rejected(
            "shared-measure",
            plain().dimension("load", "x"),
            "The name 'load' is used for a dimension and for a measure. Rename one of them.",
        ),
        rejected(
            "shared-value",
            multi().value("host", "1", BigInt),
            "The name 'host' is used for a dimension and for a measure. Rename one of them.",
        ),
        rejected(
            "dimension-pairs",
            plain().dimension("note", long(2040)),
            "The names and values of the dimensions have 2049 bytes, at most 2048 are allowed.",
        )
        .quota(),
        rejected(
            "multi-257",
            with_values(257, "1"),
            "The record has 257 measure values, at most 256 are allowed.",
        )
        .quota(),
        rejected(
            "multi-sizes",
            with_values(2, long(1025)),
            "The measure values of the record have 2050 bytes, at most 2048 are allowed.",
        )
        .quota(),
        rejected(
            "double-infinite",
            typed("Infinity", Double),
            "The value 'Infinity' of 'load' is not a finite number.",
        ),
        rejected(
            "double-negative-infinite",
            typed("-inf", Double),
            "The value '-inf' of 'load' is not a finite number.",
        ),
        rejected("double-nan", typed("NaN", Double), "The value 'NaN' of 'load' is not a finite number."),
        rejected(
            "double-too-large",
            typed("1e309", Double),
            "The value '1e309' of 'load' is not a finite number.",
        ),
        rejected("double-text", typed("abc", Double), "The value 'abc' of 'load' is not a DOUBLE."),
        rejected("double-space", typed(" 1", Double), "The value ' 1' of 'load' is not a DOUBLE."),
        taken("double-forms", typed("-1.5e-3", Double)),
        rejected("bigint-fraction", typed("1.0", BigInt), "The value '1.0' of 'load' is not a BIGINT."),
        taken("bigint-least", typed("-9223372036854775808", BigInt)),
        rejected(
            "bigint-too-large",
            typed("9223372036854775808", BigInt),
            "The value '9223372036854775808' of 'load' is not a BIGINT.",
        ),
        taken("boolean-case", typed("True", Boolean)),
        rejected("boolean-digit", typed("1", Boolean), "The value '1' of 'load' is not a BOOLEAN."),
        taken("varchar-any", typed("any text, \u{1f30a}", Varchar)),
        taken("timestamp-unit", typed("1700000000000", MeasureType::Timestamp)),
        rejected(
            "timestamp-text",
            typed("2023-11-28", MeasureType::Timestamp),
            "The value '2023-11-28' of 'load' is not a TIMESTAMP.",
        ),
        rejected(
            "timestamp-negative",
            typed("-1", MeasureType::Timestamp),
            "The value '-1' of 'load' is not a TIMESTAMP.",
        ),
        rejected(
            "multi-value-type",
            multi().value("free", "much", BigInt),
            "The value 'much' of 'free' is not a BIGINT.",
        ),
    ];
    // host, a, load, 0.5 and note have 16 bytes.
    rows.push(taken("record-2048", plain().dimension("note", long(2048 - 16))));
    rows.push(
        rejected(
            "record-2049",
            plain().dimension("note", long(2048 - 15)),
            "The names and values of the record have 2049 bytes, at most 2048 are allowed.",
        )
        .quota(),
    );
    for (row, name) in [
        ("reserved-time", "time"),
        ("reserved-non-existent", "ts_non_existent_col"),
        ("reserved-ts", "ts_anything"),
        ("reserved-measure-name", "measure_name_2"),
        ("reserved-measure-value", "measure_value"),
        ("reserved-colon", "a:b"),
    ] {
        let rule = "is reserved. Choose a name without ':' that is not time and does not start with ts_, measure_name or \
                    measure_value.";
        rows.push(rejected(
            row,
            plain().dimension(name, "x"),
            &format!("The dimension name '{name}' {rule}"),
        ));
        rows.push(rejected(row, plain().measure_name(name), &format!("The measure name '{name}' {rule}")));
        rows.push(rejected(
            row,
            multi().value(name, "1", BigInt),
            &format!("The measure value name '{name}' {rule}"),
        ));
    }
    rows
}

fn with_values(count: usize, value: &'static str) -> MeasureRecord<'static> {
    let record = MeasureRecord { measure_values: Vec::new(), ..multi() };
    (0..count).fold(record, |record, index| record.value(leak(format!("v{index:03}")), value, Varchar))
}

#[test]
fn every_rule_holds_with_its_text() {
    for row in call_rows().into_iter().chain(record_rows()) {
        let name = row.name;
        let found = validate(&row.common, &row.records, Quotas::Service);
        match (&row.expected, found) {
            (Expected::Taken, Ok(checked)) => {
                assert_eq!(checked.len(), row.records.len(), "{name}");
                assert!(checked.iter().all(Result::is_ok), "{name}: {checked:?}");
            }
            (Expected::Refused(text), Err(error)) => assert_eq!(error.to_string(), *text, "{name}"),
            (Expected::Rejected(text), Ok(checked)) => match &checked[0] {
                Err(reason) => {
                    assert_eq!(reason.to_string(), *text, "{name}");
                    assert_eq!(reason.existing_version(), None, "{name}");
                }
                Ok(taken) => panic!("{name}: taken as {taken:?}"),
            },
            (_, found) => panic!("{name}: {found:?}"),
        }
        let without = validate(&row.common, &row.records, Quotas::Off);
        let all_taken = without.is_ok_and(|checked| checked.iter().all(Result::is_ok));
        let expected = row.quota || matches!(row.expected, Expected::Taken);
        assert_eq!(all_taken, expected, "{name} without quotas");
    }
}

/// The texts that depend on what is stored. `tests/measures.rs` checks when they come.
fn texts() -> Vec<(&'static str, Reason, &'static str)> {
    let (start, end) = (Timestamp::from_millis(1_701_151_930_452), Timestamp::from_millis(1_701_197_530_452));
    vec![
        (
            "version-older",
            Reason::OlderVersion { version: 2, existing: 200 },
            "The record version 2 is lower than the existing version 200. A higher version is required to update the measure value.",
        ),
        (
            "version-same",
            Reason::SameVersion { existing: 1 },
            "A record already exists with the same time, dimensions, measure name, and record version. A higher record version must be specified in order to update the measure value. Specifying record version is supported by the latest SDKs.",
        ),
        (
            "window-memory",
            Reason::OutsideMemoryStore { start, end },
            "The record timestamp is outside the time range [2023-11-28T06:12:10.452Z, 2023-11-28T18:52:10.452Z) of the memory store.",
        ),
        (
            "window-ingestion",
            Reason::OutsideIngestionWindow { start, end },
            "The record timestamp is outside the time range [2023-11-28T06:12:10.452Z, 2023-11-28T18:52:10.452Z) of the data ingestion window.",
        ),
        (
            "table-dimensions",
            Reason::TableFull { name: "d".to_owned(), limit: TableLimit::Dimensions },
            "The name 'd' is new, and the table has 128 dimensions already, which is the most allowed.",
        ),
        (
            "table-measures",
            Reason::TableFull { name: "m".to_owned(), limit: TableLimit::Measures },
            "The name 'm' is new, and the table has 8192 measure names already, which is the most allowed.",
        ),
        (
            "table-values",
            Reason::TableFull { name: "v".to_owned(), limit: TableLimit::Values },
            "The name 'v' is new, and the table has 1024 names of MULTI measure values already, which is the most allowed.",
        ),
    ]
}

#[test]
fn texts_about_what_is_stored_are_the_services() {
    for (name, reason, text) in texts() {
        assert_eq!(reason.to_string(), text, "{name}");
        let existing = match reason {
            Reason::OlderVersion { existing, .. } | Reason::SameVersion { existing } => Some(existing),
            _ => None,
        };
        assert_eq!(RejectedRecord::new(3, reason).existing_version, existing, "{name}");
    }
}

/// Names of types and units, as those who read calls as text give them.
#[test]
fn unknown_names_are_refused_as_the_service_does() {
    let unknown = "FLOAT".parse::<MeasureType>().unwrap_err();
    let error = ValidationError::UnknownName { record: 0, field: Field::MeasureType, name: unknown };
    let what = "satisfy enum value set: [DOUBLE, BIGINT, VARCHAR, BOOLEAN, TIMESTAMP, MULTI]";
    assert_eq!(error.to_string(), constraint("FLOAT", ".1.member.measureValueType", what));
    let unknown = "HOURS".parse::<TimeUnit>().unwrap_err();
    let error = ValidationError::UnknownName { record: 1, field: Field::TimeUnit, name: unknown };
    let what = "satisfy enum value set: [MILLISECONDS, SECONDS, MICROSECONDS, NANOSECONDS]";
    assert_eq!(error.to_string(), constraint("HOURS", ".2.member.timeUnit", what));
    for kind in [Double, BigInt, Varchar, Boolean, MeasureType::Timestamp, Multi] {
        assert_eq!(kind.name().parse(), Ok(kind));
    }
    for unit in [TimeUnit::Seconds, TimeUnit::Milliseconds, TimeUnit::Microseconds, TimeUnit::Nanoseconds] {
        assert_eq!(unit.name().parse(), Ok(unit));
    }
}

#[test]
fn common_attributes_go_under_each_record() {
    let common = MeasureRecord::new()
        .dimension("region", "eu")
        .measure_name("load")
        .measure_type(BigInt)
        .measure_value("7")
        .time("1700000000")
        .time_unit(TimeUnit::Seconds)
        .version(5);
    let records = [
        MeasureRecord::new().dimension("host", "a"),
        MeasureRecord::new()
            .measure_name("heat")
            .measure_type(Varchar)
            .measure_value("hot")
            .time("3")
            .time_unit(TimeUnit::Nanoseconds)
            .version(6),
    ];
    let checked = validate(&common, &records, Quotas::Service).unwrap();
    let first = checked[0].as_ref().unwrap();
    // Sorted by name, wherever they come from.
    let host = Dimension { name: "host", value: "a" };
    let region = Dimension { name: "region", value: "eu" };
    assert_eq!(first.dimensions(), [host, region]);
    assert_eq!((first.measure_name(), first.version()), ("load", 5));
    assert_eq!(first.time(), Timestamp::from_millis(1_700_000_000_000));
    assert_eq!(*first.value(), Value::BigInt(7));
    let second = checked[1].as_ref().unwrap();
    assert_eq!(second.dimensions(), [region]);
    assert_eq!((second.measure_name(), second.version()), ("heat", 6));
    assert_eq!(second.time(), Timestamp::from_nanos(3));
    assert_eq!(*second.value(), Value::Varchar("hot"));
}

#[test]
fn defaults_are_double_milliseconds_and_version_1() {
    let checked = validate(&MeasureRecord::new(), &[plain()], Quotas::Service).unwrap();
    let measure = checked[0].as_ref().unwrap();
    assert_eq!((measure.version(), measure.value()), (1, &Value::Double(0.5)));
    assert_eq!(measure.time(), Timestamp::from_millis(1_700_000_000_000));
}

#[test]
fn values_are_typed_in_the_units_of_their_record() {
    let record = multi()
        .time("1700000000")
        .time_unit(TimeUnit::Seconds)
        .value("since", "1600000000", MeasureType::Timestamp)
        .value("on", "FALSE", Boolean)
        .value("load", "1e2", Double);
    let checked = validate(&MeasureRecord::new(), &[record], Quotas::Service).unwrap();
    let expected = Value::Multi(vec![
        ("load", Value::Double(100.0)),
        ("on", Value::Boolean(false)),
        ("since", Value::Timestamp(Timestamp::from_millis(1_600_000_000_000))),
        ("used", Value::BigInt(1)),
    ]);
    assert_eq!(*checked[0].as_ref().unwrap().value(), expected);
}

#[test]
fn the_documented_rule_table_names_every_row() {
    let document = std::fs::read_to_string("docs/measures.md").unwrap();
    let table = document.split("## Rules").nth(1).unwrap().split("\n## ").next().unwrap();
    let documented: BTreeSet<_> = table
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| rule "))
        .filter_map(|line| line.trim_end_matches(" |").rsplit("| ").next())
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .collect();
    let rows = call_rows().into_iter().chain(record_rows()).map(|row| row.name);
    let tested: BTreeSet<_> = rows.chain(texts().into_iter().map(|(name, ..)| name)).collect();
    assert_eq!(documented, tested);
}
