//! What a sink's answers mean for the items of a batch.

use std::time::Duration;

use super::callbacks::Written;
use super::not_written::{NotWritten, Reason};
use super::schedule::{Batch, Lost, Settled, Tag, WriteTicket};
use super::sink::{Item, Outcome, Sink};

/// The items of a batch, by what became of them.
pub(crate) struct Sorted<S: Sink> {
    pub(crate) written: Vec<Written<S::Item, S::Ack>>,
    pub(crate) lost: Vec<Lost<S>>,
    /// What those get who wait for an item.
    pub(crate) awaited: Vec<(WriteTicket<S>, Settled<S>)>,
    /// What is to be tried again.
    pub(crate) again: Batch<S>,
    /// Why the first of those was not taken.
    pub(crate) first_error: Option<S::Error>,
    /// The bytes of those that are settled: all but the ones to be tried again.
    pub(crate) settled_bytes: usize,
    /// How many of them the sink has accepted.
    pub(crate) accepted: u64,
}

/// The longest time for which any of the answers asks to be left alone; `None` when nothing is to be tried again.
pub(crate) fn retry_after<A, E>(outcomes: &[Outcome<A, E>]) -> Option<Option<Duration>> {
    let asked = outcomes.iter().filter_map(|outcome| match outcome {
        Outcome::Retry { retry_after, .. } => Some(*retry_after),
        Outcome::Accepted(_) | Outcome::Rejected(_) => None,
    });
    asked.max()
}

/// How many items the sink has accepted.
pub(crate) fn accepted<A, E>(outcomes: &[Outcome<A, E>]) -> u64 {
    outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Accepted(_))).count() as u64
}

/// Sorts a batch by the sink's answers. `retry` says whether its retries are not used up; `unanswered` what is wrong with
/// items that have no answer.
pub(crate) fn sort<S: Sink>(
    batch: Batch<S>,
    outcomes: Vec<Outcome<S::Ack, S::Error>>,
    retry: bool,
    unanswered: &Reason<S::Error>,
) -> Sorted<S> {
    let Batch { items, tags, attempts, retries, accepted_before, started } = batch;
    let attempts = attempts.saturating_add(1);
    let mut sorted = Sorted {
        written: Vec::new(),
        lost: Vec::new(),
        awaited: Vec::new(),
        again: Batch { items: Vec::new(), tags: Vec::new(), attempts, retries, accepted_before, started },
        first_error: None,
        settled_bytes: 0,
        accepted: 0,
    };
    let mut outcomes = outcomes.into_iter();
    for (item, tag) in items.into_iter().zip(tags) {
        let size = item.size();
        let reason = match outcomes.next() {
            Some(Outcome::Accepted(ack)) => {
                sorted.settled_bytes = sorted.settled_bytes.saturating_add(size);
                sorted.accepted += 1;
                match tag.ticket {
                    Some(ticket) => sorted.awaited.push((ticket, Ok(ack))),
                    None => sorted.written.push(Written { item, ack }),
                }
                continue;
            }
            Some(Outcome::Retry { error, .. }) if retry && tag.ticket.is_none() => {
                sorted.first_error.get_or_insert(error);
                sorted.again.items.push(item);
                sorted.again.tags.push(tag);
                continue;
            }
            Some(Outcome::Retry { error, retry_after }) => Reason::GaveUp { attempts, retry_after, error },
            Some(Outcome::Rejected(error)) => Reason::Rejected(error),
            None => unanswered.clone(),
        };
        sorted.settled_bytes = sorted.settled_bytes.saturating_add(size);
        sorted.lose(item, tag, reason);
    }
    sorted
}

/// All of these are lost, for the same reason.
pub(crate) fn lose_all<S: Sink>(batch: Batch<S>, reason: &Reason<S::Error>) -> Sorted<S> {
    sort(batch, Vec::new(), false, reason)
}

impl<S: Sink> Sorted<S> {
    fn lose(&mut self, item: S::Item, tag: Tag<S>, reason: Reason<S::Error>) {
        let lost = NotWritten { item, reason };
        match tag.ticket {
            Some(ticket) => self.awaited.push((ticket, Err(lost))),
            None => self.lost.push(lost),
        }
    }
}
