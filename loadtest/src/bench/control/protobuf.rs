//! The few messages of etcd's API that are spoken here, as protobuf writes them: no generated code, no compiler.
//!
//! ```text
//! message ──▶ { tag (field << 3 | wire type), then a varint or a length and that many bytes }*
//! ```
//! The numbers of fields are those of etcd 3.4's `rpc.proto` and `kv.proto`. Unknown fields are skipped, as protobuf's
//! rules ask.

use anyhow::{Context, bail};
use bytes::Bytes;

/// `PutRequest`: key 1, value 2.
pub fn put(key: &[u8], value: &[u8]) -> Bytes {
    let mut message = Vec::with_capacity(8 + key.len() + value.len());
    bytes_field(&mut message, 1, key);
    bytes_field(&mut message, 2, value);
    message.into()
}

/// `WatchRequest` (create_request 1) of a `WatchCreateRequest` (key 1, range_end 2): every key that begins with `prefix`.
pub fn watch(prefix: &[u8]) -> Bytes {
    let mut end = prefix.to_vec();
    // The first key after all those with the prefix (rpc.proto, range_end). A prefix here never ends with 0xff.
    if let Some(last) = end.last_mut() {
        *last += 1;
    }
    let mut create = Vec::new();
    bytes_field(&mut create, 1, prefix);
    bytes_field(&mut create, 2, &end);
    let mut message = Vec::new();
    bytes_field(&mut message, 1, &create);
    message.into()
}

/// What a `StatusResponse` says: header 1 (member_id 2), leader 4, raftAppliedIndex 7.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Who answers.
    pub member: u64,
    /// Who leads; 0 where nobody does.
    pub leader: u64,
    /// How far it has applied the log.
    pub applied: u64,
}

impl Status {
    /// Reads one.
    ///
    /// # Errors
    /// When the bytes are no protobuf.
    pub fn decode(message: &[u8]) -> anyhow::Result<Self> {
        let mut status = Self::default();
        for field in Fields(message) {
            match field? {
                (1, Value::Bytes(header)) => {
                    for field in Fields(header) {
                        if let (2, Value::Number(member)) = field? {
                            status.member = member;
                        }
                    }
                }
                (4, Value::Number(leader)) => status.leader = leader,
                (7, Value::Number(applied)) => status.applied = applied,
                _ => {}
            }
        }
        Ok(status)
    }
}

/// What a `WatchResponse` says: created 3, canceled 4, cancel_reason 6, events 11 (kv 2 (key 1)).
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Watched {
    /// Whether it says that the watch has begun.
    pub created: bool,
    /// Why the watch has ended, if it has.
    pub canceled: Option<String>,
    /// The keys that have changed, in order.
    pub keys: Vec<Vec<u8>>,
}

impl Watched {
    /// Reads one.
    ///
    /// # Errors
    /// When the bytes are no protobuf.
    pub fn decode(message: &[u8]) -> anyhow::Result<Self> {
        let (mut watched, mut canceled, mut reason) = (Self::default(), false, String::new());
        for field in Fields(message) {
            match field? {
                (3, Value::Number(created)) => watched.created = created != 0,
                (4, Value::Number(flag)) => canceled = flag != 0,
                (6, Value::Bytes(text)) => reason = String::from_utf8_lossy(text).into_owned(),
                (11, Value::Bytes(event)) => watched.keys.extend(changed_key(event)?),
                _ => {}
            }
        }
        watched.canceled = canceled.then_some(reason);
        Ok(watched)
    }
}

fn changed_key(event: &[u8]) -> anyhow::Result<Option<Vec<u8>>> {
    let mut key = None;
    for field in Fields(event) {
        let (2, Value::Bytes(pair)) = field? else { continue };
        for field in Fields(pair) {
            if let (1, Value::Bytes(bytes)) = field? {
                key = Some(bytes.to_vec());
            }
        }
    }
    Ok(key)
}

/// Wire types: a varint, and bytes after their length.
const VARINT: u64 = 0;
const LENGTH: u64 = 2;

/// A field's value. Those of a fixed width are skipped: no message here has one.
#[derive(Debug, PartialEq, Eq)]
enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    Skipped,
}

/// The fields of a message in order, by number. Ends after the first error.
struct Fields<'a>(&'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = anyhow::Result<(u64, Value<'a>)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}

impl<'a> Fields<'a> {
    fn field(&mut self) -> anyhow::Result<(u64, Value<'a>)> {
        let tag = self.varint()?;
        let value = match tag & 7 {
            VARINT => Value::Number(self.varint()?),
            LENGTH => {
                let length = usize::try_from(self.varint()?)?;
                Value::Bytes(self.take(length)?)
            }
            1 => self.take(8).map(|_| Value::Skipped)?,
            5 => self.take(4).map(|_| Value::Skipped)?,
            other => bail!("protobuf has no wire type {other}"),
        };
        Ok((tag >> 3, value))
    }

    fn varint(&mut self) -> anyhow::Result<u64> {
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        bail!("a protobuf number has more than ten bytes")
    }

    fn take(&mut self, length: usize) -> anyhow::Result<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length).context("a protobuf message ends short")?;
        self.0 = rest;
        Ok(taken)
    }
}

fn bytes_field(message: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    write_varint(message, field << 3 | LENGTH);
    write_varint(message, bytes.len() as u64);
    message.extend_from_slice(bytes);
}

fn write_varint(message: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        message.push(number as u8 | 0x80);
        number >>= 7;
    }
    message.push(number as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_put_is_its_key_and_its_value() {
        assert_eq!(put(b"c/1", b"ab")[..], *b"\x0a\x03c/1\x12\x02ab");
        let long = put(b"k", &[7; 300]);
        assert_eq!(long[..6], *b"\x0a\x01k\x12\xac\x02", "300 takes two bytes");
        assert_eq!(long.len(), 6 + 300);
    }

    #[test]
    fn a_watch_of_a_prefix_ends_before_the_first_key_without_it() {
        assert_eq!(watch(b"c/")[..], *b"\x0a\x08\x0a\x02c/\x12\x02c0");
    }

    #[test]
    fn a_status_says_who_answers_who_leads_and_how_far_it_is() {
        let message = b"\x0a\x09\x08\x01\x10\x96\x01\x18\x02\x20\x03\x12\x063.4.23\x18\x80\x20\x20\x96\x01\x28\x09\x30\x02\x38\x08";
        assert_eq!(Status::decode(message).unwrap(), Status { member: 150, leader: 150, applied: 8 });
        assert_eq!(Status::decode(b"").unwrap(), Status::default());
    }

    #[test]
    fn a_watch_response_says_what_has_changed() {
        let created = Watched::decode(b"\x0a\x02\x08\x01\x10\x00\x18\x01").unwrap();
        assert_eq!(created, Watched { created: true, ..Watched::default() });
        // Two events of type PUT; the second key-value pair also has its revisions and a value.
        let changed = b"\x5a\x07\x12\x05\x0a\x03c/1\x5a\x0f\x12\x0d\x0a\x03c/2\x10\x05\x18\x09\x2a\x02ab";
        assert_eq!(Watched::decode(changed).unwrap().keys, [b"c/1".to_vec(), b"c/2".to_vec()]);
        let canceled = Watched::decode(b"\x20\x01\x32\x04gone").unwrap();
        assert_eq!(canceled.canceled.as_deref(), Some("gone"));
    }

    #[test]
    fn fields_of_a_fixed_width_are_skipped() {
        let message = b"\x09\x01\x02\x03\x04\x05\x06\x07\x08\x15\x01\x02\x03\x04\x20\x07";
        assert_eq!(Status::decode(message).unwrap().leader, 7);
    }

    #[test]
    fn what_is_no_message_is_refused() {
        for (bytes, why) in [
            (&b"\x0a\x05ab"[..], "ends short"),
            (b"\x20", "ends short"),
            (b"\x20\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "more than ten bytes"),
            (b"\x23\x01", "no wire type 3"),
            (b"\x3a\xff\xff\xff\xff\xff\xff\xff\xff\x7f", "ends short"),
        ] {
            let error = Status::decode(bytes).unwrap_err().to_string();
            assert!(error.contains(why), "{bytes:?}: {error}");
        }
    }
}
