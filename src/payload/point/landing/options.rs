//! How points are put.

use crate::log::durability::Durability;
use crate::payload::line_protocol::{Dialect, NonFinite};
use crate::payload::point::{DefaultTags, Precision, TagPrecedence};

/// How points are put in a stream.
///
/// ```
/// use riverbed::Durability;
/// use riverbed::point::{DefaultTags, PointOptions, TagPrecedence};
///
/// let options = PointOptions::new()
///     .default_tags(DefaultTags::new().tag("region", "eu"), TagPrecedence::Record)
///     .durability(Durability::Immediate);
/// # let _ = options;
/// ```
#[derive(Debug, Clone, Default)]
pub struct PointOptions {
    pub(super) default_tags: DefaultTags,
    pub(super) precedence: TagPrecedence,
    pub(super) non_finite: NonFinite,
    pub(super) durability: Option<Durability>,
}

impl PointOptions {
    /// No default tags; infinite fields are left out; the stream's durability.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives every point these tags. `precedence` says which one stays where the point has a tag of the same key.
    #[must_use]
    pub fn default_tags(self, default_tags: DefaultTags, precedence: TagPrecedence) -> Self {
        Self { default_tags, precedence, ..self }
    }

    /// Does this with fields that are infinite or not a number. Lines of text that hold one are always refused.
    #[must_use]
    pub fn non_finite(self, non_finite: NonFinite) -> Self {
        Self { non_finite, ..self }
    }

    /// The same for what is read from text: what a dialect reads as infinite would otherwise be lost without a word.
    pub(super) fn for_lines(&self) -> Self {
        self.clone().non_finite(NonFinite::Refuse)
    }

    /// What the puts promise, instead of the stream's default.
    #[must_use]
    pub fn durability(self, durability: Durability) -> Self {
        Self { durability: Some(durability), ..self }
    }
}

/// How a body of line protocol is read and put in a stream.
///
/// ```
/// use riverbed::line_protocol::Dialect;
/// use riverbed::point::{LineOptions, Precision};
///
/// let options = LineOptions::new(Dialect::V3).precision(Precision::Seconds).accept_partial(true);
/// # let _ = options;
/// ```
#[derive(Debug, Clone)]
pub struct LineOptions {
    pub(super) dialect: Dialect,
    pub(super) precision: Precision,
    pub(super) accept_partial: bool,
    pub(super) points: PointOptions,
}

impl LineOptions {
    /// Reads `dialect` with timestamps in nanoseconds, takes all lines or none, and puts points as
    /// [`PointOptions::new`] says.
    #[must_use]
    pub fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            precision: Precision::default(),
            accept_partial: false,
            points: PointOptions::default(),
        }
    }

    /// Reads timestamps in this unit, and cuts the clock to it for lines without one.
    #[must_use]
    pub fn precision(self, precision: Precision) -> Self {
        Self { precision, ..self }
    }

    /// Whether the good lines of a body with bad ones are put: `accept_partial` of InfluxDB v3. The v2 server puts none
    /// of them, and so does this unless told otherwise.
    #[must_use]
    pub fn accept_partial(self, accept_partial: bool) -> Self {
        Self { accept_partial, ..self }
    }

    /// Puts the points of the lines like this.
    #[must_use]
    pub fn points(self, points: PointOptions) -> Self {
        Self { points, ..self }
    }
}
