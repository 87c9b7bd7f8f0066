//! Models of what readers and the writer do without a common lock, run through every interleaving and every reordering
//! that the memory model allows:
//!
//! ```text
//! RUSTFLAGS="--cfg loom" cargo test --release --lib loom
//! ```
//!
//! The published end is the engine's own [`Published`]; a region's bytes are cells whose every access `loom` checks, one
//! cell for a frame. Each model says which changes to the protocol it catches; each of them was tried.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use loom::cell::UnsafeCell;
use loom::sync::{Arc, RwLock};
use loom::thread;

use super::published::Published;
use super::region::FRAME_ALIGNMENT;

/// Where frames begin.
const START: usize = 2 * FRAME_ALIGNMENT;

/// A mapped segment: a region's published end over cells for bytes.
struct Segment<const FRAMES: usize> {
    published: Published,
    frames: [UnsafeCell<u64>; FRAMES],
}

impl<const FRAMES: usize> Segment<FRAMES> {
    fn new() -> Self {
        let frames = std::array::from_fn(|_| UnsafeCell::new(0));
        Self { published: Published::new(START), frames }
    }

    /// What `Slot::write` and `Slot::publish` do.
    fn append(&self, index: usize, value: u64) {
        // SAFETY: `loom` fails the model when anybody else accesses the cell at the same time.
        self.frames[index].with_mut(|frame| unsafe { *frame = value });
        self.published.publish(START + (index + 1) * FRAME_ALIGNMENT);
    }

    /// What `Region::bytes` does for each frame before `end`.
    fn read(&self, end: usize) -> Vec<u64> {
        let count = (end - START) / FRAME_ALIGNMENT;
        // SAFETY: as above.
        self.frames[..count].iter().map(|frame| frame.with(|frame| unsafe { *frame })).collect()
    }
}

/// Whoever sees a frame sees it whole, sees those before it, and never sees fewer later on.
///
/// Catches: `publish` storing, or `load` loading, with `Relaxed`; publishing before the bytes are written.
#[test]
fn loom_what_is_published_is_whole() {
    loom::model(|| {
        let segment = Arc::new(Segment::<3>::new());
        let writer = {
            let segment = Arc::clone(&segment);
            thread::spawn(move || {
                for index in 0..3 {
                    segment.append(index, 10 + index as u64);
                }
            })
        };
        let mut seen = START;
        for _ in 0..2 {
            let extent = segment.published.load();
            assert!(extent.end >= seen && !extent.closed);
            seen = extent.end;
            for (index, frame) in segment.read(extent.end).into_iter().enumerate() {
                assert_eq!(frame, 10 + index as u64);
            }
        }
        writer.join().unwrap();
        assert_eq!(segment.read(segment.published.load().end), [10, 11, 12]);
    });
}

/// A reader that finds a segment closed has its last frame, and finds the next segment in the list.
///
/// Catches: closing before the next segment is in the list; `close` storing with `Relaxed`, or an end that is not the
/// last; "closed" in a word of its own that is loaded after the end.
#[test]
fn loom_a_closed_segment_has_a_successor() {
    type List = RwLock<Vec<Arc<Segment<2>>>>;
    loom::model(|| {
        let first = Arc::new(Segment::<2>::new());
        first.append(0, 10);
        let list: Arc<List> = Arc::new(RwLock::new(vec![Arc::clone(&first)]));
        let writer = {
            let (list, first) = (Arc::clone(&list), Arc::clone(&first));
            thread::spawn(move || {
                first.append(1, 11);
                // As `Appender::start_segment` does.
                let next = Arc::new(Segment::<2>::new());
                list.write().unwrap().push(Arc::clone(&next));
                first.published.close();
                next.append(0, 12);
            })
        };
        // As `Cursor::look` does.
        for _ in 0..2 {
            let extent = first.published.load();
            let frames = first.read(extent.end);
            if extent.closed {
                assert_eq!(frames, [10, 11], "closed is final");
                let next = list.read().unwrap().get(1).map(Arc::clone);
                let next = next.expect("a closed segment has a successor");
                let frames = next.read(next.published.load().end);
                assert!(frames.is_empty() || frames == [12]);
            } else {
                assert!(frames == [10] || frames == [10, 11]);
            }
        }
        writer.join().unwrap();
    });
}

/// A mapping, and its end.
struct Mapping {
    bytes: UnsafeCell<u64>,
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // Unmapping: no access may be going on, and none may follow.
        // SAFETY: as above.
        self.bytes.with_mut(|bytes| unsafe { *bytes = u64::MAX });
    }
}

/// A segment that a reader holds stays mapped while retention takes it out of the list; a reader that comes later does not
/// find it.
///
/// Catches: unmapping when the segment leaves the list instead of when the last holder lets go; a reader that uses the
/// mapping without holding it.
#[test]
fn loom_a_removed_segment_stays_mapped_while_it_is_read() {
    loom::model(|| {
        let mapping = || Arc::new(Mapping { bytes: UnsafeCell::new(7) });
        let list = Arc::new(RwLock::new(vec![mapping(), mapping()]));
        let retention = {
            let list = Arc::clone(&list);
            thread::spawn(move || {
                // As `SegmentList::remove_before` does: out of the list under the lock, let go of outside.
                let removed = list.write().unwrap().remove(0);
                drop(removed);
            })
        };
        let readers: Vec<_> = (0..2)
            .map(|_| {
                let list = Arc::clone(&list);
                move || {
                    let oldest = list.read().unwrap().first().map(Arc::clone).unwrap();
                    // SAFETY: as above.
                    let value = oldest.bytes.with(|bytes| unsafe { *bytes });
                    assert_eq!(value, 7);
                }
            })
            .collect();
        let mut readers = readers.into_iter();
        let other = readers.next().map(thread::spawn);
        if let Some(read) = readers.next() {
            read();
        }
        if let Some(other) = other {
            other.join().unwrap();
        }
        retention.join().unwrap();
        assert_eq!(list.read().unwrap().len(), 1);
    });
}
