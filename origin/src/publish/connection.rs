//! One encoder's connection: the RTMP session machine between a socket and a publication.
//!
//! ```text
//! accepted ──TLS, handshake, connect──▶ connected ──publish, claim──▶ publishing ──unpublish──▶ connected
//! ```
//! The key is checked before `NetStream.Publish.Start`: encoders that were told to start believe that they are live and
//! reconnect for ever. Whoever is refused is told why and stays for [`Config::farewell_ms`](crate::Config), because
//! some encoders show nothing when the connection closes at once.

use std::{io, sync::Arc, time::Duration};

use freshet_media::rtmp::{
    Limits,
    server::{Output, Publish, Session},
};
use freshet_proto::registry::Departure;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{Instant, sleep_until},
};
use tracing::{info, warn};

use super::{
    Line, RoundTrips,
    close::Close,
    publication::{Event, Publication},
    wire::Wire,
};
use crate::{Inner, broadcast::Dismissal, meter};

/// How often the connection's round trip is looked at: as often as it is told.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// One encoder's connection.
pub(crate) struct Connection<S> {
    inner: Arc<Inner>,
    line: Line,
    /// When the round trip is looked at next.
    look_at: Instant,
    wire: Wire<S>,
    session: Session,
    outputs: Vec<Output>,
    encoder: String,
    state: State,
}

enum State {
    /// Something is awaited until then.
    Awaiting {
        what: &'static str,
        until: Instant,
        limit: Duration,
    },
    /// The registry is asked about a publish.
    Asking,
    Publishing(Box<Publication>),
}

enum Turn {
    Read(io::Result<usize>),
    Event(Event),
    Timeout,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// A connection that was accepted at `since`.
    pub(crate) fn new(inner: Arc<Inner>, stream: S, line: Line, since: Instant) -> Self {
        let limit = inner.config.handshake_timeout();
        Self {
            line,
            look_at: since,
            wire: Wire::new(stream, inner.config.read_buffer, inner.config.write_buffer),
            session: Session::new(Limits::default()),
            outputs: Vec::new(),
            encoder: String::new(),
            state: State::Awaiting { what: "RTMP handshake", until: since + limit, limit },
            inner,
        }
    }

    /// Serves until the connection ends.
    pub(crate) async fn run(mut self) {
        let close = self.serve().await;
        self.part(close).await;
    }

    async fn serve(&mut self) -> Close {
        let timer = sleep_until(self.settle());
        tokio::pin!(timer);
        loop {
            let turn = tokio::select! {
                biased;
                event = self.state.event() => Turn::Event(event),
                read = self.wire.read() => Turn::Read(read),
                () = &mut timer => Turn::Timeout,
            };
            if let Err(close) = self.take(turn).await {
                return close;
            }
            let until = self.settle();
            if timer.is_elapsed() || until < timer.deadline() {
                timer.as_mut().reset(until);
            }
        }
    }

    async fn take(&mut self, turn: Turn) -> Result<(), Close> {
        match turn {
            Turn::Read(Ok(0)) => Err(self.state.end_of_stream(io::ErrorKind::UnexpectedEof.into())),
            Turn::Read(Err(error)) => Err(self.state.end_of_stream(error)),
            Turn::Read(Ok(count)) => self.received(count).await,
            Turn::Event(event) => self.state.publication().map_or(Ok(()), |publication| publication.perform(event)),
            Turn::Timeout => self.due(),
        }
    }

    fn settle(&mut self) -> Instant {
        let now = Instant::now();
        match &mut self.state {
            State::Awaiting { until, .. } => *until,
            State::Asking => now,
            State::Publishing(publication) => publication.settle(now),
        }
    }

    fn due(&mut self) -> Result<(), Close> {
        let now = Instant::now();
        match &mut self.state {
            State::Awaiting { what, until, limit } if *until <= now => {
                Err(Close::TooSlow { awaited: what, limit: *limit })
            }
            State::Publishing(publication) => publication.due(now),
            _ => Ok(()),
        }
    }

    async fn received(&mut self, count: usize) -> Result<(), Close> {
        self.inner.meters.ingest_bytes.increment(count as u64);
        if let Some(publication) = self.state.publication() {
            let now = Instant::now();
            publication.heard(now);
            if let Some(ends) = self.line.ends.filter(|_| self.look_at <= now) {
                self.look_at = now + LOOK_EVERY;
                publication.measure(self.inner.round_trips.get_or_init(RoundTrips::open).of(ends));
            }
        }
        let mut outputs = std::mem::take(&mut self.outputs);
        let handled = self.session.handle(self.wire.received(count), &mut outputs);
        for output in outputs.drain(..) {
            self.perform(output).await?;
        }
        self.outputs = outputs;
        Ok(handled?)
    }

    async fn perform(&mut self, output: Output) -> Result<(), Close> {
        match output {
            Output::Send(bytes) => self.wire.send(&bytes)?,
            Output::Connect(connect) => {
                self.encoder = connect.encoder.chars().filter(|c| !c.is_control()).take(80).collect();
                self.await_publish();
            }
            Output::Publish(publish) => self.publish(publish).await?,
            Output::Media { kind, timestamp_ms, payload } => {
                if let Some(publication) = self.state.publication() {
                    publication.take(kind, timestamp_ms, payload).await?;
                }
            }
            Output::Unpublish => self.unpublish().await,
            _ => {}
        }
        Ok(())
    }

    fn await_publish(&mut self) {
        let limit = self.inner.config.publish_timeout();
        self.state = State::Awaiting { what: "publish", until: Instant::now() + limit, limit };
    }

    async fn publish(&mut self, publish: Publish) -> Result<(), Close> {
        self.state = State::Asking;
        if self.inner.is_draining() {
            return Err(Dismissal::Draining.into());
        }
        let publication = Publication::begin(self.inner.clone(), publish).await?;
        let claimed = publication.claimed();
        let (channel, session, epoch) = (&claimed.channel, claimed.session, claimed.epoch);
        let test = publication.is_test();
        info!(peer = %self.line.peer, encoder = self.encoder, %channel, %session, %epoch, test, "a publish began");
        self.state = State::Publishing(Box::new(publication));
        let mut answer = Vec::new();
        self.session.accept_publish(&mut answer)?;
        self.send_all(answer)
    }

    fn send_all(&mut self, outputs: Vec<Output>) -> Result<(), Close> {
        for output in outputs {
            if let Output::Send(bytes) = output {
                self.wire.send(&bytes)?;
            }
        }
        Ok(())
    }

    async fn unpublish(&mut self) {
        let limit = self.inner.config.publish_timeout();
        let awaiting = State::Awaiting { what: "another publish", until: Instant::now() + limit, limit };
        if let State::Publishing(publication) = std::mem::replace(&mut self.state, awaiting) {
            publication.leave(Some(Departure::Unpublished)).await;
        }
    }

    /// Tells the encoder and the registry why, and ends.
    async fn part(mut self, close: Close) {
        self.log(&close);
        meter::closed(close.label());
        let wait = if self.tell(&close) { self.inner.config.farewell() } else { Duration::ZERO };
        let leave = async {
            if let State::Publishing(publication) = self.state {
                publication.leave(close.departure()).await;
            }
        };
        tokio::join!(leave, self.wire.farewell(wait));
    }

    fn tell(&mut self, close: &Close) -> bool {
        let mut words = Vec::new();
        let text = close.to_string();
        let told = match (&self.state, close.status()) {
            (State::Asking, Some(_)) => self.session.refuse_publish(&text, &mut words),
            (State::Publishing(_), Some(code)) => self.session.end_publish(code, &text, &mut words),
            _ => return false,
        };
        told.is_ok() && self.send_all(words).is_ok()
    }

    fn log(&self, close: &Close) {
        let channel = match &self.state {
            State::Publishing(publication) => publication.claimed().channel.as_str(),
            _ => "",
        };
        if close.is_ordinary() {
            info!(peer = %self.line.peer, encoder = self.encoder, channel, why = %close, "an encoder's connection ended");
        } else {
            warn!(peer = %self.line.peer, encoder = self.encoder, channel, why = %close, "an encoder's connection was ended");
        }
    }
}

impl State {
    fn publication(&mut self) -> Option<&mut Publication> {
        match self {
            Self::Publishing(publication) => Some(publication),
            _ => None,
        }
    }

    async fn event(&mut self) -> Event {
        match self {
            Self::Publishing(publication) => publication.event().await,
            _ => std::future::pending().await,
        }
    }

    /// A publisher is lost; anyone else has left.
    fn end_of_stream(&self, error: io::Error) -> Close {
        match self {
            Self::Publishing(_) => Close::Lost(error),
            _ => Close::Left,
        }
    }
}
