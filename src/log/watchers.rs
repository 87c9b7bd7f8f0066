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

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.wakers.is_empty()
    }

    /// Those to be told, who are forgotten here.
    pub(crate) fn take(&mut self) -> Self {
        std::mem::take(self)
    }

    pub(crate) fn wake(self) {
        self.wakers.into_iter().for_each(Waker::wake);
    }
}
