//! One socket: what a client may ask, how often, and what it is answered.
//!
//! Events do not pass through here: they go from the channel's log to all subscribers at once. The shell begins to send
//! them when it has performed the outputs of [`Input::Joined`], from the head that it told.

use std::collections::VecDeque;

use freshet_proto::{
    chat::{MessageId, Nonce, Note, Position, Refusal, Text},
    id::ChannelName,
};

use super::{
    client::{ClientMessage, ParseError, parse},
    encode,
};
use crate::session::{Client, Close, Identity, Input, Joined, MAX_BACKLOG, Output, Post};

/// See the module.
#[derive(Debug)]
pub struct Session {
    client: Client,
    batch: bool,
    said_hello: bool,
    /// Objects that wait for a token to be verified.
    verifying: Option<VecDeque<ClientMessage>>,
    closed: bool,
    /// No other socket's: posts that come without a nonce are called by it.
    number: u64,
}

impl Session {
    /// A socket whose client has shown a good token already, or none.
    pub fn new(identity: Option<Identity>) -> Self {
        let client = Client::new(identity);
        Self { client, batch: false, said_hello: false, verifying: None, closed: false, number: 0 }
    }

    /// The same, with a number that no other socket of the same person has.
    pub fn numbered(self, number: u64) -> Self {
        Self { number, ..self }
    }

    /// Whether several objects may be put into one frame, one a line.
    pub fn batch(&self) -> bool {
        self.batch
    }

    /// Takes what happened at `now_ms`, by a clock that never jumps; appends to `out` what is to be done.
    pub fn handle(&mut self, now_ms: u64, input: Input<'_>, out: &mut Vec<Output>) {
        if self.closed {
            return;
        }
        match input {
            Input::Frame(frame) => self.frame(now_ms, frame, out),
            Input::Verified(identity) => self.verified(now_ms, identity, out),
            Input::Joined(joined) => self.joined(*joined, out),
            Input::NotJoined(channel, refusal) => {
                self.client.part(&channel);
                out.push(refused(&channel, &refusal));
            }
            Input::Answer { ticket, answer } => {
                let Some((channel, nonce)) = self.client.answered(ticket) else { return };
                out.push(Output::Send(match answer {
                    Ok(accepted) => encode::ack(&channel, nonce.as_str(), &accepted),
                    Err(refusal) => encode::nack(Some(&channel), nonce.as_str(), &refusal),
                }));
            }
            Input::Standing(channel, role, follows_since_ms) => {
                self.client.stand(&channel, role, follows_since_ms);
            }
            Input::Notice(channel, notice) if self.client.is_for_us(&channel, notice) => {
                out.push(Output::Send(encode::notice(&channel, notice)));
                if let Note::Waiting { messages } = &notice.note {
                    out.extend(messages.iter().map(|message| Output::Send(encode::held(&channel, message))));
                }
            }
            Input::Notice(..) => {}
        }
    }

    fn frame(&mut self, now_ms: u64, frame: &str, out: &mut Vec<Output>) {
        for object in parse(frame, self.batch) {
            if !self.client.takes_object(now_ms) {
                out.push(Output::Send(encode::error("flood", "too many objects", None, None)));
                return self.close(Close::Flood, out);
            }
            match object {
                Ok(message) => self.message(now_ms, message, out),
                Err(error) => self.mistake(now_ms, &error, out),
            }
            if self.closed {
                return;
            }
        }
    }

    fn mistake(&mut self, now_ms: u64, error: &ParseError, out: &mut Vec<Output>) {
        out.push(Output::Send(encode::error(error.code(), &error.to_string(), None, None)));
        if error.is_fatal() {
            self.close(Close::Malformed, out);
        } else if !self.client.takes_mistake(now_ms) {
            self.close(Close::Flood, out);
        }
    }

    fn close(&mut self, why: Close, out: &mut Vec<Output>) {
        self.closed = true;
        out.push(Output::Close(why));
    }

    fn message(&mut self, now_ms: u64, message: ClientMessage, out: &mut Vec<Output>) {
        if let Some(backlog) = &mut self.verifying {
            match backlog.len() < MAX_BACKLOG {
                true => backlog.push_back(message),
                false => self.close(Close::Flood, out),
            }
            return;
        }
        match message {
            ClientMessage::Hello { token, batch } => {
                (self.batch, self.said_hello) = (batch, true);
                match token {
                    Some(token) => {
                        self.verifying = Some(VecDeque::new());
                        out.push(Output::Verify(token));
                    }
                    None => out.push(Output::Send(encode::welcome(self.client.identity(), batch))),
                }
            }
            ClientMessage::Join { channel, resume, history } => self.join(now_ms, channel, resume, history, out),
            ClientMessage::Part { channel } => {
                if self.client.part(&channel) {
                    out.push(Output::Part(channel.clone()));
                }
                out.push(Output::Send(encode::parted(&channel)));
            }
            ClientMessage::Msg { channel, nonce, text, reply_to, pdt_ms } => {
                let nonce =
                    nonce.unwrap_or_else(|| Nonce::cut(&format!("hub-{:x}-{}", self.number, self.client.tickets())));
                let channel = channel.or_else(|| self.client.only_channel());
                if let Err(refusal) = self.post(now_ms, channel.as_ref(), &nonce, (text, reply_to, pdt_ms), out) {
                    out.push(Output::Send(encode::nack(channel.as_ref(), nonce.as_str(), &refusal)));
                }
            }
            ClientMessage::Ping => out.push(Output::Send(encode::pong())),
        }
    }

    fn verified(&mut self, now_ms: u64, identity: Option<Identity>, out: &mut Vec<Output>) {
        let Some(backlog) = self.verifying.take() else { return };
        let Some(identity) = identity else {
            out.push(Output::Send(encode::error("bad_token", "the token is not good, or not any more", None, None)));
            return self.close(Close::Token, out);
        };
        self.client.identify(identity);
        out.push(Output::Send(encode::welcome(self.client.identity(), self.batch)));
        for message in backlog {
            if !self.closed {
                self.message(now_ms, message, out);
            }
        }
    }

    fn join(
        &mut self,
        now_ms: u64,
        channel: ChannelName,
        resume: Option<Position>,
        history: u32,
        out: &mut Vec<Output>,
    ) {
        if let Err(refusal) = self.client.join(now_ms, &channel) {
            return out.push(refused(&channel, &refusal));
        }
        out.push(Output::Join { channel, resume, history });
    }

    fn joined(&mut self, joined: Joined, out: &mut Vec<Output>) {
        // It may have been left while it was coming.
        if !self.client.joined(&joined) {
            return;
        }
        out.push(Output::Send(encode::joined(&joined, !self.said_hello)));
        out.extend(joined.events.iter().map(|event| Output::Send(encode::event(&joined.channel, event))));
    }

    fn post(
        &mut self,
        now_ms: u64,
        channel: Option<&ChannelName>,
        nonce: &Nonce,
        (text, reply_to, pdt_ms): (Text, Option<MessageId>, Option<u64>),
        out: &mut Vec<Output>,
    ) -> Result<(), Refusal> {
        let post = Post { nonce: nonce.clone(), text, reply_to, pdt_ms };
        let (ticket, submit) = self.client.post(now_ms, channel, post)?;
        out.push(Output::Submit { ticket, submit });
        Ok(())
    }
}

fn refused(channel: &ChannelName, refusal: &Refusal) -> Output {
    Output::Send(encode::error(refusal.code.as_str(), refusal.text(), Some(channel), refusal.retry_ms))
}
