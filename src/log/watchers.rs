//! Whom to tell, once, that something has happened.

use std::task::Waker;

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
    pub(crate) fn take(&mut self) -> Self {
        std::mem::take(self)
    }

    pub(crate) fn wake(self) {
        self.wakers.into_iter().for_each(Waker::wake);
    }
}
