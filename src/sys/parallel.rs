//! The same work for many things, on several threads.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use parking_lot::Mutex;

/// How many threads to use for work that mostly waits for the disk.
pub(crate) const WAITING: usize = 8;

/// Calls `work` for each of `items`, begun in their order, on up to so many threads, of which the caller's is one. Once one
/// has failed, no more are begun. Returns the results in the order of the items, or the first failure in that order.
///
/// Where there can be no more threads, those that there are do it all.
pub(crate) fn map<T: Sync, R: Send, E: Send>(
    items: &[T],
    threads: usize,
    work: impl Fn(&T) -> Result<R, E> + Sync,
) -> Result<Vec<R>, E> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::with_capacity(items.len()));
    let take_turns = || {
        while let Some((index, item)) = {
            let index = next.fetch_add(1, Ordering::Relaxed);
            items.get(index).map(|item| (index, item))
        } {
            let result = work(item);
            if result.is_err() {
                // The others need not begin what cannot be finished.
                next.store(items.len(), Ordering::Relaxed);
            }
            results.lock().push((index, result));
        }
    };
    thread::scope(|scope| {
        for _ in 1..threads.min(items.len()) {
            if thread::Builder::new().spawn_scoped(scope, take_turns).is_err() {
                break;
            }
        }
        take_turns();
    });
    let mut results = results.into_inner();
    results.sort_unstable_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_items() {
        let items: Vec<_> = (0..100).collect();
        for threads in [0, 1, 2, 200] {
            let squares = map(&items, threads, |&item: &u32| Ok::<_, ()>(item * item)).unwrap();
            assert_eq!(squares, items.iter().map(|item| item * item).collect::<Vec<_>>());
        }
        assert!(map(&[], 4, |item: &u32| Ok::<_, ()>(*item)).unwrap().is_empty());
    }

    #[test]
    fn after_a_failure_nothing_more_is_begun() {
        let begun = AtomicUsize::new(0);
        let failed = map(&[1, 2, 3, 4], 1, |&item: &u32| {
            begun.fetch_add(1, Ordering::Relaxed);
            if item < 2 { Ok(()) } else { Err(item) }
        });
        assert_eq!((failed, begun.into_inner()), (Err(2), 2));
        let failed = map(&[1, 2, 3, 4], 4, |&item: &u32| if item < 3 { Ok(()) } else { Err(item) });
        assert!(matches!(failed, Err(3 | 4)));
    }
}
