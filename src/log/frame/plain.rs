//! A frame about to be written that is as nearly all are.

use crate::log::header::Signature;
use crate::sys::clock::Timestamp;

use super::{FIXED_HEADER_LEN, FixedHeader, Kind, LARGE};

/// A frame about to be written that is nothing but a header without optional fields, a key, and data that are not [`LARGE`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plain<'a> {
    key: &'a [u8],
    data: &'a [u8],
    length: u32,
    key_length: u16,
    body_crc: Option<u32>,
}

impl<'a> Plain<'a> {
    /// Bytes before the key.
    pub(crate) const HEADER_LEN: usize = FIXED_HEADER_LEN;

    /// A frame whose body has this checksum, if that is known, see [`checksum_ahead`](super::checksum_ahead); `None` if key or data are
    /// longer than that of a plain frame.
    #[inline]
    pub(crate) fn new(key: &'a [u8], data: &'a [u8], body_crc: Option<u32>) -> Option<Self> {
        let key_length = u16::try_from(key.len()).ok()?;
        if data.len() >= LARGE {
            return None;
        }
        let length = u32::try_from(FIXED_HEADER_LEN + key.len() + data.len()).ok()?;
        Some(Self { key, data, length, key_length, body_crc })
    }

    /// Bytes from the frame's first to the end of its data.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.length as usize
    }

    #[inline]
    pub(crate) fn key(&self) -> &'a [u8] {
        self.key
    }

    #[inline]
    pub(crate) fn data(&self) -> &'a [u8] {
        self.data
    }

    /// The checksum of key and data, if it is known.
    #[inline]
    pub(crate) fn body_crc(&self) -> Option<u32> {
        self.body_crc
    }

    /// The header, checksum included, where that of key and data is `body_crc`.
    #[inline(always)]
    pub(crate) fn header(
        &self,
        body_crc: u32,
        signature: Signature,
        sequence: u64,
        time: Timestamp,
    ) -> [u8; FIXED_HEADER_LEN] {
        let fixed = FixedHeader {
            length: self.length,
            crc: 0,
            sequence,
            time: time.as_nanos(),
            body_crc,
            key_length: self.key_length,
            kind: Kind::RAW.0,
            flags: 0,
        };
        FixedHeader { crc: fixed.checksum(signature), ..fixed }.to_bytes()
    }
}
