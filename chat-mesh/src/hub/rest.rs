//! Chat over the REST API: `GET` and `POST /api/streams/{id}/chat`, for those without a WebSocket.
//!
//! The edge has verified who asks, as for every request to the API, and says so in `x-client-*`.

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use freshet_proto::{
    api::{ApiReply, ApiRequest},
    chat::{
        Accepted, Answer, Author, Code, DisplayName, MessageId, Nonce, Position, Refusal, Submit, Text, User, UserId,
    },
    id::ChannelName,
};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Arrival, Format, Hub, Inbox, Join, Letter, door::ADMIN};
use crate::protocol::{Identity, ResumeToken, encode};

/// How many events are told where nobody says, and at most.
const EVENTS: usize = 100;

/// What is posted.
#[derive(Deserialize)]
struct Post {
    text: String,
    nonce: Option<String>,
    reply_to: Option<String>,
    pdt_ms: Option<u64>,
}

/// What is not done, and why.
struct Problem {
    status: u16,
    code: Option<&'static str>,
    detail: String,
    retry_ms: Option<u64>,
}

impl Problem {
    fn new(status: u16, detail: impl Into<String>) -> Self {
        Self { status, code: None, detail: detail.into(), retry_ms: None }
    }

    fn reply(self) -> (ApiReply, Bytes) {
        let title = http::StatusCode::from_u16(self.status).ok().and_then(|status| status.canonical_reason());
        let mut body = json!({
            "type": "about:blank",
            "title": title.unwrap_or("Problem"),
            "status": self.status,
            "detail": self.detail,
        });
        if let Some(code) = self.code {
            body["code"] = code.into();
        }
        let mut headers = vec![("content-type".to_owned(), "application/problem+json".to_owned())];
        if let Some(retry_ms) = self.retry_ms.or((self.status == 503).then_some(1_000)) {
            body["retry_ms"] = retry_ms.into();
            headers.push(("retry-after".to_owned(), retry_ms.div_ceil(1_000).max(1).to_string()));
        }
        if self.status == 401 {
            headers.push(("www-authenticate".to_owned(), "Bearer realm=\"freshet\"".to_owned()));
        }
        if self.status == 405 {
            headers.push(("allow".to_owned(), "GET, HEAD, POST".to_owned()));
        }
        written(self.status, headers, &body)
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let status = match refusal.code {
            Code::LoginRequired => 401,
            Code::NoSuchChannel | Code::NoSuchMessage => 404,
            Code::NotUnique | Code::NoChange | Code::NotBanned | Code::Full => 409,
            Code::TooLong | Code::BadCharacters | Code::UnknownCommand | Code::Usage(_) => 422,
            Code::RateLimit | Code::SlowMode => 429,
            Code::Paused | Code::NotStored => 503,
            _ => 403,
        };
        let detail = refusal.text().to_owned();
        Self { status, code: Some(refusal.code.as_str()), detail, retry_ms: refusal.retry_ms }
    }
}

impl Hub {
    /// Answers a request for `/api/streams/{id}/chat`.
    pub async fn api(&self, request: ApiRequest) -> (ApiReply, Bytes) {
        let answered = match request.method.as_str() {
            "GET" => self.read(&request).await.map(|body| (200, body)),
            "POST" => self.write(&request).await.map(|body| (201, body)),
            _ => Err(Problem::new(405, "chat can be read and written to")),
        };
        match answered {
            Ok((status, body)) => {
                let headers = [("content-type", "application/json"), ("cache-control", "no-store")];
                let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
                written(status, headers.into(), &body)
            }
            Err(problem) => problem.reply(),
        }
    }

    async fn read(&self, request: &ApiRequest) -> Result<Value, Problem> {
        let asked = Asked::of(request)?;
        let limit = match asked.query("limit") {
            Some(text) => text.parse().ok().filter(|limit| (1..=EVENTS).contains(limit)),
            None => Some(EVENTS),
        };
        let limit = limit.ok_or_else(|| Problem::new(422, format!("limit is a number from 1 to {EVENTS}")))?;
        let after = match asked.query("after") {
            Some(text) => Some(position(text).ok_or_else(|| Problem::new(422, "after is a position, EPOCH.SEQ"))?),
            None => None,
        };
        let watches = asked
            .query("token")
            .and_then(|token| self.door().identify(token))
            .is_some_and(|holder| holder.watches.as_ref() == Some(&asked.channel));
        let history = u32::try_from(limit).unwrap_or(u32::MAX);
        let Arrival { mut joined, .. } = self.look(&asked.channel, asked.identity, watches, after, history).await?;
        // What comes after a position is told from there on; the rest is for the next request.
        let more = after.is_some() && joined.events.len() > limit;
        joined.events.truncate(limit);
        let position = match joined.events.last() {
            Some(last) if more => last.position,
            _ => joined.head,
        };
        let events = joined.events.iter().map(|event| encode::event(&asked.channel, event));
        let events: Vec<Value> = events.filter_map(|event| serde_json::from_str(&event).ok()).collect();
        let mut body = json!({ "position": position.to_string(), "more": more, "events": events });
        if let Some(missed) = joined.gap {
            body["gap"] = json!({ "missed": missed });
        }
        Ok(body)
    }

    async fn write(&self, request: &ApiRequest) -> Result<Value, Problem> {
        let asked = Asked::of(request)?;
        let identity = asked.identity.clone().ok_or(Refusal::from(Code::LoginRequired))?;
        let post: Post = serde_json::from_slice(&request.body).map_err(|error| match error.is_data() {
            true => Problem::new(422, error.to_string()),
            false => Problem::new(400, format!("the body is no JSON: {error}")),
        })?;
        let invalid = |what: &str| Problem::new(422, what);
        let nonce = post.nonce.or_else(|| asked.header("idempotency-key").map(nonce_of));
        let nonce = nonce.unwrap_or_else(|| self.shared.random.token());
        let reply_to = post.reply_to.map(|id| id.parse::<MessageId>());
        let text = Text::try_from(post.text).map_err(|_| Refusal::from(Code::TooLong))?;
        let nonce = Nonce::try_from(nonce).ok().filter(|nonce| !nonce.as_str().is_empty());
        let nonce = nonce.ok_or_else(|| invalid("nonce has 1 to 64 bytes"))?;
        let reply_to = reply_to.transpose().map_err(|_| invalid("reply_to is the id of a message"))?;
        let Arrival { joined, pass, .. } = self.look(&asked.channel, Some(identity.clone()), false, None, 0).await?;
        let Identity { user, admin } = identity;
        let author = Author { user, admin, follows_since_ms: joined.follows_since_ms };
        let submit =
            Submit { channel: asked.channel, author, nonce: nonce.clone(), text, reply_to, pdt_ms: post.pdt_ms };
        let answer: Answer = self.post(submit).await;
        drop(pass);
        let Accepted { position, id, done } = answer?;
        let mut body = json!({ "nonce": nonce.as_str() });
        if let Some(position) = position {
            body["position"] = position.to_string().into();
        }
        if let Some(id) = id {
            body["id"] = id.to_string().into();
        }
        if let Some(done) = done {
            body["done"] = done.word().into();
        }
        Ok(body)
    }

    /// Comes into a channel for a moment.
    async fn look(
        &self,
        channel: &ChannelName,
        identity: Option<Identity>,
        watches: bool,
        resume: Option<Position>,
        history: u32,
    ) -> Result<Arrival, Problem> {
        let inbox = Inbox::new(Instant::now(), None);
        self.join(Join {
            channel: channel.clone(),
            join: 0,
            format: Format::Json,
            resume,
            history,
            identity,
            follows_since_ms: None,
            watches,
            inbox: inbox.clone(),
        });
        loop {
            match inbox.next().await {
                Letter::Joined(arrival) => return Ok(*arrival),
                Letter::NotJoined { refusal, .. } => return Err(refusal.into()),
                _ => {}
            }
        }
    }
}

/// A request, taken apart.
struct Asked<'a> {
    request: &'a ApiRequest,
    channel: ChannelName,
    identity: Option<Identity>,
}

impl<'a> Asked<'a> {
    fn of(request: &'a ApiRequest) -> Result<Self, Problem> {
        let path = request.target.split('?').next().unwrap_or_default();
        let name = named(path).and_then(|name| name.parse::<ChannelName>().ok());
        let channel = name.ok_or(Refusal::from(Code::NoSuchChannel))?;
        let mut asked = Self { request, channel, identity: None };
        asked.identity = asked.identity();
        Ok(asked)
    }

    fn header(&self, name: &str) -> Option<&'a str> {
        let header = self.request.headers.iter().find(|(known, _)| known == name);
        header.map(|(_, value)| value.as_str())
    }

    fn query(&self, name: &str) -> Option<&'a str> {
        let (_, query) = self.request.target.split_once('?')?;
        query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value)
    }

    fn identity(&self) -> Option<Identity> {
        let name = self.header("x-client-username")?;
        let user = User {
            id: UserId::try_from(self.header("x-client-id")?).ok()?,
            login: name.to_lowercase().parse().ok()?,
            name: DisplayName::cut(name),
            color: self.header("x-client-color").and_then(|color| color.parse().ok()),
        };
        let roles = self.header("x-client-roles").unwrap_or_default();
        Some(Identity { user, admin: roles.split(',').any(|role| role == ADMIN) })
    }
}

/// The channel whose chat this path of the API is.
pub fn named(path: &str) -> Option<&str> {
    path.strip_prefix("/api/streams/")?.strip_suffix("/chat").filter(|name| !name.contains('/'))
}

/// A position, or a resume token.
fn position(text: &str) -> Option<Position> {
    text.parse().ok().or_else(|| text.parse::<ResumeToken>().ok().map(|token| token.position))
}

/// What a post is called that came under this idempotency key, which may be too long for a nonce.
fn nonce_of(key: &str) -> String {
    match key.len() {
        1..=32 => key.to_owned(),
        _ => digest(&SHA256, key.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect(),
    }
}

fn written(status: u16, headers: Vec<(String, String)>, body: &Value) -> (ApiReply, Bytes) {
    let body = Bytes::from(body.to_string());
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
    (ApiReply { status, headers, length }, body)
}
