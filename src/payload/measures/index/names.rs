//! The names that a table has used.

use std::collections::HashMap;

use crate::payload::measures::quotas::Quotas;
use crate::payload::measures::reason::{Reason, TableLimit};

/// What a name is used for in a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum NameUse {
    Dimension,
    Measure,
    /// A value of a record of type `MULTI`.
    Value,
}

impl NameUse {
    fn limit(self) -> TableLimit {
        match self {
            Self::Dimension => TableLimit::Dimensions,
            Self::Measure => TableLimit::Measures,
            Self::Value => TableLimit::Values,
        }
    }

    /// Uses that a name may not have together with this one.
    fn excludes(self) -> &'static [Self] {
        match self {
            Self::Dimension => &[Self::Measure, Self::Value],
            Self::Measure | Self::Value => &[Self::Dimension],
        }
    }

    /// The bit that stands for this use.
    pub(crate) fn bit(self) -> u8 {
        match self {
            Self::Dimension => 1,
            Self::Measure => 2,
            Self::Value => 4,
        }
    }

    pub(crate) const ALL: [Self; 3] = [Self::Dimension, Self::Measure, Self::Value];
}

/// All names that a table has used, and for what. They stay when the records that brought them are gone, as columns do.
#[derive(Debug, Clone, Default)]
pub(crate) struct Names {
    /// The uses of each name, as bits.
    uses: HashMap<Box<str>, u8>,
    counts: [usize; NameUse::ALL.len()],
}

impl Names {
    fn knows(&self, name: &str, name_use: NameUse) -> bool {
        self.uses.get(name).is_some_and(|uses| uses & name_use.bit() != 0)
    }

    fn count(&self, name_use: NameUse) -> usize {
        let place = NameUse::ALL.iter().position(|one| *one == name_use);
        place.and_then(|place| self.counts.get(place)).copied().unwrap_or(0)
    }

    /// Notes a use of a name; returns whether it is new.
    pub(crate) fn add(&mut self, name: &str, name_use: NameUse) -> bool {
        if self.knows(name, name_use) {
            return false;
        }
        *self.uses.entry(name.into()).or_default() |= name_use.bit();
        let place = NameUse::ALL.iter().position(|one| *one == name_use);
        if let Some(count) = place.and_then(|place| self.counts.get_mut(place)) {
            *count += 1;
        }
        true
    }

    /// The names among these that are new, unless the table cannot have them.
    pub(crate) fn check<'n>(
        &self,
        names: impl Iterator<Item = (&'n str, NameUse)>,
        quotas: Quotas,
    ) -> Result<Vec<(&'n str, NameUse)>, Reason> {
        let mut new: Vec<(&str, NameUse)> = Vec::new();
        for (name, name_use) in names {
            if self.knows(name, name_use) {
                continue;
            }
            if name_use.excludes().iter().any(|other| self.knows(name, *other)) {
                return Err(Reason::SharedName { name: name.to_owned() });
            }
            let also_new = new.iter().filter(|(_, other)| *other == name_use).count();
            let limit = name_use.limit();
            if quotas.exceeded(self.count(name_use) + also_new + 1, limit.max()) {
                return Err(Reason::TableFull { name: name.to_owned(), limit });
            }
            new.push((name, name_use));
        }
        Ok(new)
    }
}
