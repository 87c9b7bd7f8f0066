//! Whom to tell, once, that something has happened.

use std::task::Waker;

/// What there is to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Watch {
    /// Nothing: there is more to read already.
    Ready,
    /// The waker is woken once there may be more.
    Watching,
    /// Nothing: there will never be more from here.
    Over,
}

/// Those who sleep elsewhere until something happens here. Each is told once and then forgotten.
#[derive(Debug, Default)]
pub(crate) struct Watchers {
    wakers: Vec<Waker>,
}

impl Watchers {
    pub(crate) fn add(&mut self, waker: &Waker) {
        if !self.wakers.iter().any(|known| known.will_wake(waker)) {
            self.wakers.push(waker.clone());
        }
    }

    pub(crate) fn remove(&mut self, waker: &Waker) {
        self.wakers.retain(|known| !known.will_wake(waker));
    }

    /// Those to be told, who are forgotten here. Costs next to nothing when there are none.
    #[inline]
    pub(crate) fn take(&mut self) -> Self {
        if self.wakers.is_empty() { Self::default() } else { std::mem::take(self) }
    }

    #[inline]
    pub(crate) fn wake(self) {
        if !self.wakers.is_empty() {
            self.wake_all();
        }
    }

    #[cold]
    fn wake_all(self) {
        self.wakers.into_iter().for_each(Waker::wake);
    }
}
