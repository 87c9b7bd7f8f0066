//! What a store has and has done, published through the `metrics` facade.

use std::collections::BTreeMap;
use std::sync::{Arc, Once, Weak};
use std::time::Duration;

use metrics::{Label, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge};
use parking_lot::Mutex;

use crate::sys::clock::Timestamp;

use super::handle::Store;
use super::shared::Shared;
use super::stats::{StoreStats, Totals};

/// What has been published of the counters, by stream and shard: they are added to, since a store that is opened again
/// begins from zero.
#[derive(Debug, Default)]
pub(crate) struct Published {
    counts: Mutex<BTreeMap<Series, Counts>>,
}

/// A stream, or one of its shards.
type Series = (String, Option<u32>);

#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    records: u64,
    bytes: u64,
    syncs: u64,
    stalls: u64,
}

impl Counts {
    fn of(totals: &Totals) -> Self {
        Self {
            records: totals.appended_records,
            bytes: totals.appended_bytes,
            syncs: totals.syncs,
            stalls: totals.stalls,
        }
    }
}

impl Store {
    /// Publishes what [`stats`](Self::stats) says through the `metrics` facade, now. The store does so by itself every
    /// [`metrics_interval`](crate::StoreOptions::metrics_interval).
    pub fn publish_metrics(&self) {
        publish(self);
    }
}

/// Publishes now and again and again.
pub(crate) fn schedule(shared: &Arc<Shared>) {
    let interval = shared.options().metrics_interval;
    let background = &shared.context().background;
    if !interval.is_zero() && !background.is_manual() {
        let shared = Arc::downgrade(shared);
        background.schedule(interval, move || again(&shared));
    }
}

fn again(shared: &Weak<Shared>) {
    if let Some(shared) = shared.upgrade() {
        publish(&Store::of(Arc::clone(&shared)));
        schedule(&shared);
    }
}

fn publish(store: &Store) {
    static DESCRIBED: Once = Once::new();
    DESCRIBED.call_once(describe);
    let shared = store.shared();
    let now = shared.clock().now();
    let root = store.path().to_string_lossy();
    let StoreStats { streams, .. } = store.stats();
    let mut published = shared.published().counts.lock();
    published.retain(|(name, _), _| streams.iter().any(|stream| stream.name == *name));
    for stream in &streams {
        let labels = vec![Label::new("store", root.to_string()), Label::new("stream", stream.name.clone())];
        let before = published.entry((stream.name.clone(), None)).or_default();
        publish_totals(&labels, &stream.total, before, now);
        for consumer in &stream.consumers {
            let labels = with(&labels, "consumer", consumer.name.clone());
            set("riverbed_consumer_lag_records", &labels, consumer.records);
            if let Some(behind) = consumer.behind {
                gauge!("riverbed_consumer_lag_seconds", labels.iter()).set(behind);
            }
        }
        if shared.options().shard_metrics {
            for shard in &stream.shards {
                let labels = with(&labels, "shard", shard.shard_id.to_string());
                let before =
                    published.entry((stream.name.clone(), Some(shard.shard_id.as_u32()))).or_default();
                publish_totals(&labels, &Totals::of(shard), before, now);
            }
        }
    }
}

fn with(labels: &[Label], key: &'static str, value: String) -> Vec<Label> {
    labels.iter().cloned().chain([Label::new(key, value)]).collect()
}

fn publish_totals(labels: &[Label], totals: &Totals, before: &mut Counts, now: Timestamp) {
    let counts = Counts::of(totals);
    let add = |name: &'static str, now: u64, before: u64| {
        counter!(name, labels.iter()).increment(now.saturating_sub(before));
    };
    add("riverbed_appended_records_total", counts.records, before.records);
    add("riverbed_appended_bytes_total", counts.bytes, before.bytes);
    add("riverbed_syncs_total", counts.syncs, before.syncs);
    add("riverbed_stalls_total", counts.stalls, before.stalls);
    *before = counts;
    set("riverbed_records", labels, totals.records);
    set("riverbed_disk_bytes", labels, totals.bytes);
    set("riverbed_segments", labels, totals.segments as u64);
    set("riverbed_unsynced_records", labels, totals.unsynced);
    set("riverbed_pinned_bytes", labels, totals.pinned_bytes);
    gauge!("riverbed_sync_overdue_seconds", labels.iter()).set(totals.sync_overdue);
    let age = totals.oldest.map_or(Duration::ZERO, |oldest| now.since(oldest));
    gauge!("riverbed_oldest_record_age_seconds", labels.iter()).set(age);
}

#[expect(clippy::cast_precision_loss, reason = "gauges are floats; above 2^53 the last digits do not matter")]
fn set(name: &'static str, labels: &[Label], value: u64) {
    gauge!(name, labels.iter()).set(value as f64);
}

fn describe() {
    describe_counter!("riverbed_appended_records_total", Unit::Count, "Records put.");
    describe_counter!("riverbed_appended_bytes_total", Unit::Bytes, "Bytes that records put took on disk.");
    describe_counter!("riverbed_syncs_total", Unit::Count, "Syncs.");
    describe_counter!("riverbed_stalls_total", Unit::Count, "Puts that waited for a segment to be made.");
    describe_gauge!("riverbed_records", Unit::Count, "Records that are kept.");
    describe_gauge!("riverbed_disk_bytes", Unit::Bytes, "Bytes of segments, reserved room included.");
    describe_gauge!("riverbed_segments", Unit::Count, "Segments.");
    describe_gauge!("riverbed_unsynced_records", Unit::Count, "Records that are not on disk yet.");
    describe_gauge!("riverbed_sync_overdue_seconds", Unit::Seconds, "By how much a periodic sync is late.");
    describe_gauge!("riverbed_pinned_bytes", Unit::Bytes, "Bytes of removed segments that are still held.");
    describe_gauge!("riverbed_oldest_record_age_seconds", Unit::Seconds, "Age of the oldest kept record.");
    describe_gauge!(
        "riverbed_consumer_lag_records",
        Unit::Count,
        "Records that a consumer has not processed."
    );
    describe_gauge!("riverbed_consumer_lag_seconds", Unit::Seconds, "By how much a consumer is behind.");
    describe_histogram!("riverbed_sync_duration_seconds", Unit::Seconds, "Time that a shard's sync took.");
    describe_histogram!(
        "riverbed_roll_duration_seconds",
        Unit::Seconds,
        "Time that beginning a segment took."
    );
}
