//! What clients say.

use freshet_proto::{
    chat::{MessageId, Nonce, Position, Text},
    id::ChannelName,
};
use serde::Deserialize;

use super::{HISTORY, ResumeToken};

/// The longest frame, in bytes.
pub const MAX_FRAME: usize = 16 << 10;
/// The longest object, in bytes: the longest token, or 500 characters written as escapes.
pub const MAX_OBJECT: usize = 8 << 10;
/// How many objects a frame may have.
pub const MAX_OBJECTS: usize = 16;

/// One object from a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientMessage {
    /// Who it is, and how it wants to be spoken to.
    Hello {
        /// A JWT; without one it reads alone.
        token: Option<String>,
        /// Whether both sides may put several objects into a frame, one a line.
        batch: bool,
    },
    /// It wants to read a channel.
    Join {
        /// Which.
        channel: ChannelName,
        /// From where; `None` from now.
        resume: Option<Position>,
        /// How many messages before that it wants to see, where it does not resume.
        history: u32,
    },
    /// It does not any more.
    Part {
        /// Which.
        channel: ChannelName,
    },
    /// It wants something said, or done.
    Msg {
        /// Where; may be left out where only one channel is joined.
        channel: Option<ChannelName>,
        /// What the client calls it; the hub finds a name where it is left out.
        nonce: Option<Nonce>,
        /// What.
        text: Text,
        /// Which message it answers.
        reply_to: Option<MessageId>,
        /// What its player shows, in ms since 1970.
        pdt_ms: Option<u64>,
    },
    /// It is there.
    Ping,
}

/// Why an object was not understood. The client's doing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// The frame is too long.
    #[error("a frame has at most {MAX_FRAME} bytes")]
    FrameTooLong,
    /// An object is too long.
    #[error("an object has at most {MAX_OBJECT} bytes")]
    ObjectTooLong,
    /// There are too many objects.
    #[error("a frame has at most {MAX_OBJECTS} objects")]
    TooManyObjects,
    /// Not JSON.
    #[error("not JSON: {0}")]
    NotJson(String),
    /// JSON, but not an object of ours.
    #[error("{0}")]
    Invalid(String),
    /// A type that we don't know.
    #[error("unknown type; known are hello, join, part, msg, shout and ping")]
    UnknownType,
}

impl ParseError {
    /// Whether nothing that follows can be trusted to be what the client meant: the connection is closed.
    pub fn is_fatal(&self) -> bool {
        !matches!(self, Self::Invalid(_) | Self::UnknownType)
    }

    /// As the client reads it.
    pub fn code(&self) -> &'static str {
        match self {
            Self::FrameTooLong | Self::ObjectTooLong | Self::TooManyObjects => "too_large",
            Self::NotJson(_) => "malformed",
            Self::Invalid(_) => "invalid",
            Self::UnknownType => "unknown_type",
        }
    }
}

/// Any object of ours: which fields it needs is for its type to say. Fields that we don't know are passed over.
#[derive(Deserialize)]
struct Fields {
    r#type: String,
    token: Option<String>,
    proto: Option<u32>,
    #[serde(default)]
    batch: bool,
    channel: Option<ChannelName>,
    resume: Option<String>,
    history: Option<u32>,
    nonce: Option<Nonce>,
    text: Option<String>,
    reply_to: Option<String>,
    pdt_ms: Option<u64>,
}

/// The objects in a frame, in order: one, or with `batch` one a line. Empty lines are passed over.
///
/// An object that is not understood stands as its error among the others.
pub fn parse(frame: &str, batch: bool) -> Vec<Result<ClientMessage, ParseError>> {
    if frame.len() > MAX_FRAME {
        return vec![Err(ParseError::FrameTooLong)];
    }
    if !batch {
        return vec![object(frame)];
    }
    let lines: Vec<_> = frame.lines().filter(|line| !line.trim().is_empty()).take(MAX_OBJECTS + 1).collect();
    match lines.len() {
        0 => vec![object(frame)],
        n if n > MAX_OBJECTS => vec![Err(ParseError::TooManyObjects)],
        _ => lines.into_iter().map(object).collect(),
    }
}

fn object(text: &str) -> Result<ClientMessage, ParseError> {
    if text.len() > MAX_OBJECT {
        return Err(ParseError::ObjectTooLong);
    }
    // An array would pass for the object's values in order.
    if !text.trim_start().starts_with('{') {
        return Err(ParseError::NotJson("no object".to_owned()));
    }
    let fields: Fields = serde_json::from_str(text).map_err(|error| match error.is_data() {
        true => ParseError::Invalid(error.to_string()),
        false => ParseError::NotJson(error.to_string()),
    })?;
    match fields.r#type.as_str() {
        "hello" => hello(fields),
        "join" => join(fields),
        "part" => Ok(ClientMessage::Part { channel: needed(fields.channel, "part needs channel")? }),
        "msg" | "shout" => msg(fields),
        "ping" => Ok(ClientMessage::Ping),
        _ => Err(ParseError::UnknownType),
    }
}

fn hello(fields: Fields) -> Result<ClientMessage, ParseError> {
    match fields.proto {
        None | Some(super::PROTO) => Ok(ClientMessage::Hello { token: fields.token, batch: fields.batch }),
        Some(_) => Err(invalid("proto is 1")),
    }
}

fn join(fields: Fields) -> Result<ClientMessage, ParseError> {
    let token = match fields.resume {
        Some(resume) => Some(resume.parse::<ResumeToken>().map_err(|_| invalid("resume is CHANNEL.EPOCH.SEQ"))?),
        None => None,
    };
    let channel = fields.channel.or_else(|| token.as_ref().map(|token| token.channel.clone()));
    let channel = needed(channel, "join needs channel")?;
    if token.as_ref().is_some_and(|token| token.channel != channel) {
        return Err(invalid("resume is of another channel"));
    }
    let history = fields.history.unwrap_or(HISTORY).min(HISTORY);
    Ok(ClientMessage::Join { channel, resume: token.map(|token| token.position), history })
}

fn msg(fields: Fields) -> Result<ClientMessage, ParseError> {
    let is_shout = fields.r#type == "shout";
    if !is_shout && (fields.channel.is_none() || fields.nonce.is_none()) {
        return Err(invalid("msg needs channel and nonce"));
    }
    if fields.nonce.as_ref().is_some_and(|nonce| nonce.as_str().is_empty()) {
        return Err(invalid("nonce is 1 to 64 bytes"));
    }
    let text = needed(fields.text, "msg needs text")?;
    let reply_to =
        fields.reply_to.map(|id| id.parse().map_err(|_| invalid("reply_to is a message's id"))).transpose()?;
    Ok(ClientMessage::Msg {
        channel: fields.channel,
        nonce: fields.nonce,
        text: Text::try_from(text).map_err(|error| ParseError::Invalid(format!("text is {error}")))?,
        reply_to,
        pdt_ms: fields.pdt_ms,
    })
}

fn needed<T>(value: Option<T>, what: &str) -> Result<T, ParseError> {
    value.ok_or_else(|| invalid(what))
}

fn invalid(what: &str) -> ParseError {
    ParseError::Invalid(what.to_owned())
}
