//! The bytes of a packed record: a magic number, a protocol-buffers message, the message's MD5.

use bytes::{BufMut, Bytes, BytesMut};
use prost::Message;
use prost::encoding::encoded_len_varint;

use crate::sys::md5;

const MAGIC: [u8; 4] = [0xf3, 0x89, 0x9a, 0xc2];
const DIGEST_LEN: usize = 16;

/// Bytes around the message.
pub(super) const ENVELOPE_LEN: usize = MAGIC.len() + DIGEST_LEN;

#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct AggregatedRecord {
    #[prost(string, repeated, tag = "1")]
    pub(super) partition_key_table: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    pub(super) explicit_hash_key_table: Vec<String>,
    #[prost(message, repeated, tag = "3")]
    pub(super) records: Vec<Record>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct Record {
    #[prost(uint64, required, tag = "1")]
    pub(super) partition_key_index: u64,
    #[prost(uint64, optional, tag = "2")]
    pub(super) explicit_hash_key_index: Option<u64>,
    #[prost(bytes = "bytes", required, tag = "3")]
    pub(super) data: Bytes,
    #[prost(message, repeated, tag = "4")]
    pub(super) tags: Vec<Tag>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct Tag {
    #[prost(string, required, tag = "1")]
    pub(super) key: String,
    #[prost(string, optional, tag = "2")]
    pub(super) value: Option<String>,
}

/// Bytes that a field of this many takes in a message; the tags that are used take one.
pub(super) fn field_len(len: usize) -> usize {
    1 + encoded_len_varint(len as u64) + len
}

/// Seals a message.
pub(super) fn seal(message: &AggregatedRecord) -> Bytes {
    let body = message.encode_to_vec();
    let mut bytes = BytesMut::with_capacity(ENVELOPE_LEN + body.len());
    bytes.put_slice(&MAGIC);
    bytes.put_slice(&body);
    bytes.put_u128(md5::digest(&body));
    bytes.freeze()
}

/// The message inside `data`, if it is sealed.
pub(super) fn unseal(data: &[u8]) -> Option<&[u8]> {
    let (body, digest) = data.strip_prefix(&MAGIC)?.split_last_chunk::<DIGEST_LEN>()?;
    (md5::digest(body) == u128::from_be_bytes(*digest)).then_some(body)
}
