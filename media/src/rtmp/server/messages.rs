//! What each kind of message means to a session (§5.4, §6.2, §7.1).

use bytes::Bytes;
use rml_rtmp::{
    messages::{RtmpMessage, UserControlEventType},
    time::RtmpTimestamp,
};

use super::{Output, Session, Stage};
use crate::{
    flv::TagKind,
    rtmp::{
        RtmpError,
        chunk::{Message, control_value},
    },
};

const USER_CONTROL: u8 = 4;
const WINDOW: u8 = 5;
const AUDIO: u8 = 8;
const VIDEO: u8 = 9;
const DATA_AMF3: u8 = 15;
const COMMAND_AMF3: u8 = 17;
const DATA: u8 = 18;
const COMMAND: u8 = 20;
const AGGREGATE: u8 = 22;

/// §7.1.7, of a user control message.
const PING: u16 = 6;

/// `@setDataFrame` as an AMF0 string: what precedes the name of data that a server should store.
const SET_DATA_FRAME: &[u8] = b"\x02\x00\x0d@setDataFrame";

impl Session {
    pub(super) fn message(&mut self, message: Message, out: &mut Vec<Output>) -> Result<(), RtmpError> {
        if self.stage == Stage::Over {
            return Ok(());
        }
        match message.kind {
            AUDIO => self.media(TagKind::Audio, message.timestamp_ms, message.payload, out),
            VIDEO => self.media(TagKind::Video, message.timestamp_ms, message.payload, out),
            DATA => self.data(message.timestamp_ms, message.payload, out),
            DATA_AMF3 => self.data(message.timestamp_ms, without_amf3_prefix(message.payload), out),
            AGGREGATE => self.aggregate(&message, out),
            COMMAND => self.command(message.stream, &message.payload, out),
            COMMAND_AMF3 => self.command(message.stream, &without_amf3_prefix(message.payload), out),
            WINDOW => self.window(&message),
            USER_CONTROL => self.user_control(&message.payload),
            // Acknowledgements, Set Peer Bandwidth (we send little) and shared objects ask nothing of us.
            _ => Ok(()),
        }
    }

    fn media(
        &mut self,
        kind: TagKind,
        timestamp_ms: u32,
        payload: Bytes,
        out: &mut Vec<Output>,
    ) -> Result<(), RtmpError> {
        match self.stage {
            _ if payload.is_empty() => Ok(()),
            Stage::Publishing { .. } => {
                out.push(Output::Media { kind, timestamp_ms, payload });
                Ok(())
            }
            // What was under way when the peer ended its publish.
            Stage::Connected { published: true } => Ok(()),
            _ => Err(RtmpError::MediaBeforePublish),
        }
    }

    /// Data outside a publish is of no interest; some encoders describe themselves early.
    fn data(&mut self, timestamp_ms: u32, payload: Bytes, out: &mut Vec<Output>) -> Result<(), RtmpError> {
        if !matches!(self.stage, Stage::Publishing { .. }) {
            return Ok(());
        }
        let begin = if payload.starts_with(SET_DATA_FRAME) { SET_DATA_FRAME.len() } else { 0 };
        self.media(TagKind::Data, timestamp_ms, payload.slice(begin..), out)
    }

    /// §7.1.6: FLV tags in one message. The first tag's time is the message's.
    fn aggregate(&mut self, message: &Message, out: &mut Vec<Output>) -> Result<(), RtmpError> {
        let mut rest = message.payload.clone();
        let mut first = None;
        while let Some(tag) = take_tag(&mut rest) {
            let offset = tag.time.wrapping_sub(*first.get_or_insert(tag.time));
            let timestamp_ms = message.timestamp_ms.wrapping_add(offset);
            match TagKind::from_type_id(tag.kind) {
                Some(TagKind::Data) => self.data(timestamp_ms, tag.payload, out)?,
                Some(kind) => self.media(kind, timestamp_ms, tag.payload, out)?,
                None => {}
            }
        }
        Ok(())
    }

    /// §5.4.4. A window of 0 would ask for endless acknowledgements; the peer can't mean it.
    fn window(&mut self, message: &Message) -> Result<(), RtmpError> {
        match control_value(message)? {
            0 => {}
            window => self.window = window,
        }
        Ok(())
    }

    /// Answers pings (§7.1.7). A ping too short to have a time gets 0.
    fn user_control(&mut self, payload: &[u8]) -> Result<(), RtmpError> {
        let Some((event, data)) = payload.split_first_chunk() else { return Ok(()) };
        if u16::from_be_bytes(*event) != PING {
            return Ok(());
        }
        let time = data.first_chunk().map_or(0, |time| u32::from_be_bytes(*time));
        let answer = RtmpMessage::UserControl {
            event_type: UserControlEventType::PingResponse,
            stream_id: None,
            buffer_length: None,
            timestamp: Some(RtmpTimestamp::new(time)),
        };
        self.writer.message(answer, 0)
    }
}

/// Messages of the AMF3 kinds begin with a byte that says how they go on; all senders go on in AMF0.
fn without_amf3_prefix(payload: Bytes) -> Bytes {
    if payload.first() == Some(&0) { payload.slice(1..) } else { payload }
}

struct Tag {
    kind: u8,
    time: u32,
    payload: Bytes,
}

/// Takes one FLV tag and its back pointer. `None` at the end, and where a tag is cut off.
fn take_tag(rest: &mut Bytes) -> Option<Tag> {
    let &[kind, l2, l1, l0, t2, t1, t0, t3, ..] = rest.first_chunk::<11>()?;
    let end = 11 + u32::from_be_bytes([0, l2, l1, l0]) as usize;
    if end > rest.len() {
        return None;
    }
    let payload = rest.slice(11..end);
    *rest = rest.slice((end + 4).min(rest.len())..);
    Some(Tag { kind, time: u32::from_be_bytes([t3, t2, t1, t0]), payload })
}
