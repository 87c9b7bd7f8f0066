//! What a writer tells about its batches.

use std::time::Duration;

use super::not_written::NotWritten;
use super::sink::Sink;

/// An item that the sink has accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Written<I, A> {
    /// The item.
    pub item: I,
    /// What the sink says about it.
    pub ack: A,
}

/// Items that will be tried again.
#[derive(Debug)]
#[non_exhaustive]
pub struct Retry<'a, I, E> {
    /// The items, in order.
    pub items: &'a [I],
    /// Why the sink did not take the first of them.
    pub error: &'a E,
    /// Which retry this will be, counted from 1; from 1 again when the sink asks for time but takes what it can.
    pub retry: u32,
    /// How long from now it will be.
    pub delay: Duration,
}

type OnSuccess<I, A> = Box<dyn FnMut(Vec<Written<I, A>>) + Send>;
type OnError<I, E> = Box<dyn FnMut(Vec<NotWritten<I, E>>) + Send>;
type OnRetry<I, E> = Box<dyn FnMut(Retry<'_, I, E>) + Send>;

/// Who is to be told.
pub(crate) struct Callbacks<S: Sink> {
    pub(crate) success: Option<OnSuccess<S::Item, S::Ack>>,
    pub(crate) error: Option<OnError<S::Item, S::Error>>,
    pub(crate) retry: Option<OnRetry<S::Item, S::Error>>,
}

impl<S: Sink> Callbacks<S> {
    pub(crate) fn none() -> Self {
        Self { success: None, error: None, retry: None }
    }
}
