//! What clients are told, as JSON objects on one line each. An event's is the same for everybody: make it once.
//! Ids and positions are strings, for a double carries only 53 bits.

use freshet_proto::{
    chat::{
        Accepted, Actor, Event, Message, Modes, Note, Notice, Pin, Position, Refusal, Reply, Role, User, UserAction,
        What,
    },
    id::ChannelName,
};
use serde_json::{Map, Value, json};

use super::{HEARTBEAT_MS, Identity, Joined, PROTO, ResumeToken};

/// An event of a channel.
pub fn event(channel: &ChannelName, event: &Event) -> String {
    let mut object = begin(kind(&event.what), channel);
    object.insert("position".into(), event.position.to_string().into());
    object.insert("at_ms".into(), event.at_ms.into());
    if let Some(origin) = &event.origin {
        object.insert("nonce".into(), origin.nonce.as_str().into());
    }
    match &event.what {
        What::Message(message) | What::Announcement(message) => object.extend(message_fields(message)),
        What::Delete { id, login, by } => {
            object.insert("id".into(), id.to_string().into());
            object.insert("login".into(), login.as_str().into());
            object.insert("by".into(), actor(by));
        }
        What::Clear { by } => drop(object.insert("by".into(), actor(by))),
        What::User { login, action, by } => {
            object.insert("login".into(), login.as_str().into());
            object.extend(action_fields(action));
            object.insert("by".into(), actor(by));
        }
        What::Modes { modes, by } => {
            object.insert("modes".into(), modes_object(modes));
            object.insert("by".into(), actor(by));
        }
        What::Pin(pin) => drop(object.insert("pin".into(), pin.as_ref().map_or(Value::Null, pin_object))),
        What::Raid { to, by } => {
            object.insert("to".into(), to.as_str().into());
            object.insert("by".into(), actor(by));
        }
        // A newer home's: its number counts, so that nobody misses one.
        _ => {}
    }
    line(object)
}

fn kind(what: &What) -> &'static str {
    match what {
        What::Message(_) => "message",
        What::Announcement(_) => "announcement",
        What::Delete { .. } => "delete",
        What::Clear { .. } => "clear",
        What::User { .. } => "user",
        What::Modes { .. } => "mode",
        What::Pin(_) => "pin",
        What::Raid { .. } => "raid",
        _ => "other",
    }
}

/// The answer to `hello`.
pub fn welcome(identity: Option<&Identity>, batch: bool) -> String {
    let user = identity.map_or(Value::Null, |identity| Value::Object(user_object(&identity.user)));
    json!({"type": "welcome", "proto": PROTO, "user": user, "batch": batch, "heartbeat_ms": HEARTBEAT_MS}).to_string()
}

/// The answer to `join`: `ok` for those who never said `hello`. The events follow by themselves.
pub fn joined(joined: &Joined, is_simple: bool) -> String {
    let mut object = begin(if is_simple { "ok" } else { "joined" }, &joined.channel);
    object.insert("position".into(), joined.head.to_string().into());
    let token = ResumeToken { channel: joined.channel.clone(), position: joined.head };
    object.insert("resume".into(), token.to_string().into());
    object.insert("role".into(), joined.role.as_str().into());
    object.insert("modes".into(), modes_object(&joined.modes));
    object.insert("pin".into(), joined.pin.as_ref().map_or(Value::Null, pin_object));
    object.insert("follow".into(), joined.events.len().into());
    if let Some(missed) = joined.gap {
        object.insert("gap".into(), json!({"missed": missed}));
    }
    line(object)
}

/// The answer to `part`.
pub fn parted(channel: &ChannelName) -> String {
    line(begin("parted", channel))
}

/// A post that stands.
pub fn ack(channel: &ChannelName, nonce: &str, accepted: &Accepted) -> String {
    let mut object = begin("ack", channel);
    object.insert("nonce".into(), nonce.into());
    if let Some(position) = accepted.position {
        object.insert("position".into(), position.to_string().into());
    }
    if let Some(id) = accepted.id {
        object.insert("id".into(), id.to_string().into());
    }
    if let Some(verb) = accepted.done {
        object.insert("done".into(), verb.word().into());
    }
    line(object)
}

/// A post that was refused. `channel` is left out where it was of none.
pub fn nack(channel: Option<&ChannelName>, nonce: &str, refusal: &Refusal) -> String {
    let mut object = Map::new();
    object.insert("type".into(), "nack".into());
    if let Some(channel) = channel {
        object.insert("channel".into(), channel.as_str().into());
    }
    object.insert("nonce".into(), nonce.into());
    object.insert("code".into(), refusal.code.as_str().into());
    if let Some(retry_ms) = refusal.retry_ms {
        object.insert("retry_ms".into(), retry_ms.into());
    }
    object.insert("text".into(), refusal.text().into());
    line(object)
}

/// Something that is no post was refused or not understood.
pub fn error(code: &str, text: &str, channel: Option<&ChannelName>, retry_ms: Option<u64>) -> String {
    let mut object = Map::new();
    object.insert("type".into(), "error".into());
    object.insert("code".into(), code.into());
    object.insert("text".into(), text.into());
    if let Some(channel) = channel {
        object.insert("channel".into(), channel.as_str().into());
    }
    if let Some(retry_ms) = retry_ms {
        object.insert("retry_ms".into(), retry_ms.into());
    }
    line(object)
}

/// What only some are told.
pub fn notice(channel: &ChannelName, notice: &Notice) -> String {
    let mut object = begin("notice", channel);
    let note = match &notice.note {
        Note::Warned { reason } => {
            object.insert("reason".into(), reason.as_str().into());
            "warned"
        }
        Note::Silenced { reason, until_ms } => {
            object.insert("reason".into(), reason.as_str().into());
            object.insert("until_ms".into(), (*until_ms).into());
            "silenced"
        }
        Note::Held { message } => return held(channel, message),
        Note::Decided { id, approved } => {
            object.insert("id".into(), id.to_string().into());
            object.insert("approved".into(), (*approved).into());
            "decided"
        }
        // Each follows as one that is held.
        Note::Waiting { messages } => {
            object.insert("follow".into(), messages.len().into());
            "waiting"
        }
        _ => "other",
    };
    object.insert("note".into(), note.into());
    line(object)
}

/// A message that waits for a moderator.
pub fn held(channel: &ChannelName, message: &Message) -> String {
    let mut object = begin("notice", channel);
    object.insert("note".into(), "held".into());
    object.insert("message".into(), Value::Object(message_fields(message)));
    line(object)
}

/// How many are there.
pub fn count(channel: &ChannelName, connections: u64, users: u64) -> String {
    let mut object = begin("count", channel);
    object.insert("connections".into(), connections.into());
    object.insert("users".into(), users.into());
    line(object)
}

/// Events are missing here: the reader was too slow, or its hub was cut off. What follows comes after `position`.
pub fn gap(channel: &ChannelName, missed: Option<u64>, position: Position) -> String {
    let mut object = begin("gap", channel);
    object.insert("missed".into(), missed.into());
    object.insert("position".into(), position.to_string().into());
    line(object)
}

/// The hub goes away: come back after `reconnect_ms`, to one of these hubs or, where there are none, to any.
pub fn bye(reconnect_ms: u64, hubs: &[String]) -> String {
    json!({"type": "bye", "reconnect_ms": reconnect_ms, "hubs": hubs}).to_string()
}

/// The answer to `ping`.
pub fn pong() -> String {
    json!({"type": "pong"}).to_string()
}

fn begin(kind: &str, channel: &ChannelName) -> Map<String, Value> {
    let mut object = Map::new();
    object.insert("type".into(), kind.into());
    object.insert("channel".into(), channel.as_str().into());
    object
}

fn line(object: Map<String, Value>) -> String {
    Value::Object(object).to_string()
}

fn message_fields(message: &Message) -> Map<String, Value> {
    let mut object = Map::new();
    object.insert("id".into(), message.id.to_string().into());
    let mut user = user_object(&message.user);
    user.insert("roles".into(), message.roles.iter().map(Role::as_str).collect::<Vec<_>>().into());
    object.insert("user".into(), user.into());
    object.insert("text".into(), message.text.as_str().into());
    for (key, is_so) in [("action", message.action), ("deleted", message.deleted)] {
        if is_so {
            object.insert(key.into(), true.into());
        }
    }
    if let Some(Reply { id, login, name }) = &message.reply {
        object.insert("reply".into(), json!({"id": id.to_string(), "login": login.as_str(), "name": name.as_str()}));
    }
    if let Some(pdt_ms) = message.pdt_ms {
        object.insert("pdt_ms".into(), pdt_ms.into());
    }
    object
}

fn user_object(user: &User) -> Map<String, Value> {
    let mut object = Map::new();
    object.insert("id".into(), user.id.as_str().into());
    object.insert("login".into(), user.login.as_str().into());
    object.insert("name".into(), user.name.as_str().into());
    if let Some(color) = user.color {
        object.insert("color".into(), format!("#{:06x}", color & 0xff_ffff).into());
    }
    object
}

fn action_fields(action: &UserAction) -> Map<String, Value> {
    let mut object = Map::new();
    let name = match action {
        UserAction::Timeout { until_ms, seconds } => {
            object.insert("until_ms".into(), (*until_ms).into());
            object.insert("seconds".into(), (*seconds).into());
            "timeout"
        }
        UserAction::Ban => "ban",
        UserAction::Unban => "unban",
        UserAction::Warn => "warn",
        UserAction::Role(role) => {
            object.insert("role".into(), role.map(Role::as_str).into());
            "role"
        }
        _ => "other",
    };
    object.insert("action".into(), name.into());
    object
}

fn actor(by: &Actor) -> Value {
    json!({"id": by.id.as_str(), "login": by.login.as_str()})
}

fn modes_object(modes: &Modes) -> Value {
    let &Modes { slow_s, followers_min, emote_only, unique, links_off, shield } = modes;
    json!({
        "slow_s": slow_s,
        "followers_min": followers_min,
        "emote_only": emote_only,
        "unique": unique,
        "links_off": links_off,
        "shield": shield,
    })
}

fn pin_object(pin: &Pin) -> Value {
    json!({"message": message_fields(&pin.message), "until_ms": pin.until_ms, "by": actor(&pin.by)})
}
