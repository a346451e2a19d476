//! The commands of a publisher and our answers (§7.2, and what encoders send besides).

use rml_rtmp::{
    messages::{PeerBandwidthLimitType, RtmpMessage},
    rml_amf0::Amf0Value,
};

use super::{Connect, Output, Publish, Session, Stage};
use crate::rtmp::{
    RtmpError,
    amf0::{Decoder, Value},
    writer::{Call, object, text},
};

/// What a command message holds.
struct Command {
    name: String,
    transaction: f64,
    object: Value,
    /// The first argument after the command object.
    argument: Option<Value>,
}

impl Session {
    pub(super) fn command(&mut self, stream: u32, payload: &[u8], out: &mut Vec<Output>) -> Result<(), RtmpError> {
        let Some(command) = self.parse(payload)? else { return Ok(()) };
        match command.name.as_str() {
            "connect" => self.connected(&command, out),
            "createStream" => self.create_stream(&command),
            "publish" => self.publish(stream, &command, out),
            "FCUnpublish" | "deleteStream" | "closeStream" => self.unpublish(&command, out),
            "releaseStream" | "FCPublish" | "_checkbw" | "getStreamLength" | "FCSubscribe" => {
                self.result(&command, Amf0Value::Null)
            }
            "play" | "play2" => self.play(stream),
            // Answers to what we never asked, and events such as `onStatus`.
            "_result" | "_error" => Ok(()),
            _ => self.unknown(&command),
        }
    }

    /// A command without a name is dropped, as one that we don't know would be.
    fn parse(&self, payload: &[u8]) -> Result<Option<Command>, RtmpError> {
        let mut decoder = Decoder::new(payload, &self.limits);
        let Some(Value::String(name)) = decoder.value()? else { return Ok(None) };
        let transaction = decoder.value()?.and_then(|value| value.as_f64()).unwrap_or(0.0);
        let object = decoder.value()?.unwrap_or(Value::Null);
        // Nothing later matters to us; what follows may be anything.
        let argument = decoder.value().unwrap_or(None);
        Ok(Some(Command { name, transaction, object, argument }))
    }

    /// §7.2.1.1.
    fn connected(&mut self, command: &Command, out: &mut Vec<Output>) -> Result<(), RtmpError> {
        if self.stage != Stage::Fresh {
            return Err(RtmpError::OutOfOrder { command: "connect", why: "came twice" });
        }
        self.stage = Stage::Connected { published: false };
        self.connect = connect(&command.object);
        out.push(Output::Connect(self.connect.clone()));
        let window = self.limits.window;
        self.writer.message(RtmpMessage::WindowAcknowledgement { size: window }, 0)?;
        let limit_type = PeerBandwidthLimitType::Dynamic;
        self.writer.message(RtmpMessage::SetPeerBandwidth { size: window, limit_type }, 0)?;
        self.writer.chunk_size(self.limits.own_chunk_size)?;
        self.answer_connect(command.transaction)
    }

    fn answer_connect(&mut self, transaction: f64) -> Result<(), RtmpError> {
        let properties = object([("fmsVer", text("FMS/3,0,1,123")), ("capabilities", Amf0Value::Number(31.0))]);
        let mut information = vec![
            ("level", text("status")),
            ("code", text("NetConnection.Connect.Success")),
            ("description", text("connected")),
            ("objectEncoding", Amf0Value::Number(0.0)),
        ];
        if !self.connect.four_ccs.is_empty() {
            // Enhanced RTMP: what we take of what was offered, and no extension.
            information.push(("fourCcList", Amf0Value::StrictArray(vec![text("avc1"), text("mp4a")])));
            information.push(("capsEx", Amf0Value::Number(0.0)));
        }
        let information = information.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let call = Call { stream: 0, transaction, object: properties };
        self.writer.command("_result", call, vec![Amf0Value::Object(information)])
    }

    /// §7.2.1.3.
    fn create_stream(&mut self, command: &Command) -> Result<(), RtmpError> {
        if self.stage == Stage::Fresh {
            return Err(RtmpError::OutOfOrder { command: "createStream", why: "came before connect" });
        }
        let limit = self.limits.message_streams;
        if self.streams >= limit {
            return Err(RtmpError::TooManyMessageStreams { limit });
        }
        self.streams += 1;
        self.result(command, Amf0Value::Number(self.streams.into()))
    }

    /// §7.2.2.6.
    fn publish(&mut self, stream: u32, command: &Command, out: &mut Vec<Output>) -> Result<(), RtmpError> {
        match self.stage {
            Stage::Connected { .. } => {
                self.stage = Stage::Asked { stream };
                let name = command.argument.as_ref().and_then(Value::as_str).unwrap_or("");
                // The shell may answer before it looks further: what was said before has to go out before that.
                self.flush(out);
                out.push(Output::Publish(target(&self.connect.app, name)));
                Ok(())
            }
            Stage::Fresh => Err(RtmpError::OutOfOrder { command: "publish", why: "came before connect" }),
            _ => self.status(stream, "error", "NetStream.Publish.BadName", "this connection publishes already"),
        }
    }

    /// The first of FCUnpublish, deleteStream (§7.2.2.3) and closeStream ends the publish; encoders send several.
    fn unpublish(&mut self, command: &Command, out: &mut Vec<Output>) -> Result<(), RtmpError> {
        match self.stage {
            Stage::Publishing { stream } => {
                self.stage = Stage::Connected { published: true };
                out.push(Output::Unpublish);
                self.status(stream, "status", "NetStream.Unpublish.Success", "unpublished")
            }
            Stage::Asked { .. } => {
                self.stage = Stage::Connected { published: true };
                out.push(Output::Unpublish);
                Ok(())
            }
            // deleteStream has no answer; FCUnpublish may wait for one.
            _ if command.name == "FCUnpublish" => self.result(command, Amf0Value::Undefined),
            _ => Ok(()),
        }
    }

    fn play(&mut self, stream: u32) -> Result<(), RtmpError> {
        self.stage = Stage::Over;
        let words = "streams are served over HTTP: open the watch page, or its index.m3u8, instead";
        self.status(stream, "error", "NetStream.Play.Failed", words)?;
        Err(RtmpError::Play)
    }

    fn unknown(&mut self, command: &Command) -> Result<(), RtmpError> {
        if command.transaction == 0.0 {
            return Ok(());
        }
        let information = object([
            ("level", text("error")),
            ("code", text("NetConnection.Call.Failed")),
            ("description", text("no such command")),
        ]);
        self.writer.command("_error", Call::new(0, command.transaction), vec![information])
    }

    /// Transaction 0 expects no answer (§7.2.1.2).
    fn result(&mut self, command: &Command, value: Amf0Value) -> Result<(), RtmpError> {
        if command.transaction == 0.0 {
            return Ok(());
        }
        self.writer.command("_result", Call::new(0, command.transaction), vec![value])
    }
}

fn connect(object: &Value) -> Connect {
    let text = |name| object.get(name).and_then(Value::as_str).unwrap_or("").to_owned();
    Connect {
        app: text("app"),
        tc_url: text("tcUrl"),
        encoder: text("flashVer"),
        four_ccs: four_ccs(object),
        caps_ex: object.get("capsEx").and_then(Value::as_f64).unwrap_or(0.0) as u32,
    }
}

/// Enhanced RTMP v1 has a list, v2 an object whose names are FourCCs.
fn four_ccs(object: &Value) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    if let Some(Value::Array(list)) = object.get("fourCcList") {
        found.extend(list.iter().filter_map(Value::as_str).map(str::to_owned));
    }
    for name in ["videoFourCcInfoMap", "audioFourCcInfoMap"] {
        if let Some(Value::Object(map)) = object.get(name) {
            found.extend(map.iter().map(|(four_cc, _)| four_cc.clone()));
        }
    }
    found.sort();
    found.dedup();
    found
}

/// Application and key. Where the whole URL was given as the application, the key is its last part.
fn target(app: &str, name: &str) -> Publish {
    let (app, app_query) = split_query(app);
    let (key, query) = split_query(name);
    let app = app.trim_matches('/');
    if key.is_empty() {
        let (app, key) = app.rsplit_once('/').unwrap_or(("", app));
        return Publish { app: app.to_owned(), key: key.to_owned(), query: query.or(app_query) };
    }
    Publish { app: app.to_owned(), key: key.to_owned(), query: query.or(app_query) }
}

fn split_query(text: &str) -> (&str, Option<String>) {
    match text.split_once('?') {
        Some((text, query)) => (text, Some(query.to_owned())),
        None => (text, None),
    }
}
