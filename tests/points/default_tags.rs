//! Tags that every point gets on its way into a stream.
//!
//! Guards against text and points getting different ones, against the wrong tag winning, and against default tags that
//! do not count for the series.

use proptest::prelude::*;
use riverbed::line_protocol::Dialect;
use riverbed::point::{DefaultTags, LineOptions, Point, PointOptions, TagPrecedence};

use crate::arbitrary::{point, tame_text};
use crate::bodies::cases;
use crate::support::{stored, stream};

#[test]
fn precedence_says_which_tag_stays() {
    for (precedence, expected) in [
        (TagPrecedence::Default, "cpu,core=0,host=a,region=eu temp=25.3 1"),
        (TagPrecedence::Record, "cpu,core=0,host=b,region=eu temp=25.3 1"),
    ] {
        let tags = DefaultTags::new().tag("region", "eu").tag("host", "a").tag("none", "");
        let points = PointOptions::new().default_tags(tags, precedence);
        let stream = stream();
        let options = LineOptions::new(Dialect::V2Server).points(points);
        stream.write_line_protocol("cpu,host=b,core=0 temp=25.3 1", &options).unwrap();
        let stored = &stored(&stream)[0];
        assert_eq!(stored.text(), expected);
        assert_eq!(stored.key, expected.split(' ').next().unwrap());
    }
}

#[test]
fn default_tags_that_cannot_be_written_refuse_the_line() {
    let tags = DefaultTags::new().tag("time", "x");
    let points = PointOptions::new().default_tags(tags, TagPrecedence::Default);
    let stream = stream();
    let options = LineOptions::new(Dialect::V2Server).points(points);
    let error = stream.write_line_protocol("m f=1 1", &options).unwrap_err();
    assert_eq!(error.to_string(), "unable to parse 'm f=1 1': cannot use reserved tag key \"time\"");
}

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn lines_get_what_points_get(
        mut points in prop::collection::vec(point(tame_text, any::<String>().boxed()), 0..8),
        defaults in prop::collection::vec((tame_text(), "[a-c]?"), 0..4),
        precedence in prop::sample::select(vec![TagPrecedence::Default, TagPrecedence::Record]),
    ) {
        points.retain(|point| point.to_line_protocol().is_ok());
        let tags: DefaultTags = defaults.into_iter().collect();
        let options = PointOptions::new().default_tags(tags.clone(), precedence);
        let lines: Vec<_> = points.iter().map(|point| point.to_line_protocol().unwrap()).collect();

        let [from_text, from_points, by_hand] = [stream(), stream(), stream()];
        from_text
            .write_line_protocol(lines.join("\n"), &LineOptions::new(Dialect::V2Server).points(options.clone()))
            .unwrap();
        from_points.put_points(&points, &options).all().unwrap();
        points.iter_mut().for_each(|point: &mut Point| tags.apply(point, precedence));
        by_hand.put_points(&points, &PointOptions::new()).all().unwrap();
        prop_assert_eq!(stored(&from_text), stored(&by_hand));
        prop_assert_eq!(stored(&from_points), stored(&by_hand));
    }
}
