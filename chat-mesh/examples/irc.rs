//! One channel, `ada`, on loopback, for IRC clients: over TCP and at the root of a WebSocket listener.
//!
//! ```text
//! socket ──lines──▶ irc::Session ──Submit──▶ home::Home ──Event──▶ irc::Encoder ──▶ fanout::Log, one per format and carrier
//! ```
//! It prints where it listens, as JSON, and serves until its standard input ends. A token is the name of an account: this is
//! for trying clients out, and nothing else.

use std::{collections::BTreeMap, error::Error, sync::Arc};

use bytes::{Bytes, BytesMut};
use freshet_chat_mesh::{
    fanout::{self, Connection, Fanout, Haste, Log, Sink},
    home::{Home, Input as HomeInput, Limits, Now, Output as HomeOutput, Record, Settings, State},
    irc::{Encoder, Format, LineReader, Session, author, encode},
    moderation::{Change, Durable},
    session::{Identity, Input, Joined, Output},
    ws::{self, Event as WsEvent, Limits as WsLimits, Peer, handshake::Asked},
};
use freshet_proto::{
    chat::{DisplayName, Role, User, UserId},
    clock::WallClock,
    id::ChannelName,
    random::Random,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::Instant,
};

/// What a connection's reader tells the room.
enum Told {
    Come(Connection, bool),
    Lines(String),
    Frame(Bytes),
    Gone,
}

type Room = mpsc::Sender<(u64, Told)>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let fanout = Arc::new(Fanout::new(fanout::Config { shards: 1, ..fanout::Config::default() }));
    let (room, told) = mpsc::channel(64);
    let tcp = TcpListener::bind(("127.0.0.1", 0)).await?;
    let ws = TcpListener::bind(("127.0.0.1", 0)).await?;
    println!("{{\"tcp\": {}, \"ws\": {}}}", tcp.local_addr()?.port(), ws.local_addr()?.port());
    let serving = serve(Arc::clone(&fanout), told);
    let (mut stdin, mut end) = (tokio::io::stdin(), Vec::new());
    tokio::select! {
        biased;
        read = stdin.read_to_end(&mut end) => drop(read?),
        () = serving => {}
        () = accept(tcp, false, &fanout, &room) => {}
        () = accept(ws, true, &fanout, &room) => {}
    }
    Ok(())
}

async fn accept(listener: TcpListener, is_ws: bool, fanout: &Arc<Fanout>, room: &Room) {
    while let Ok((socket, _)) = listener.accept().await {
        let (fanout, room) = (Arc::clone(fanout), room.clone());
        tokio::spawn(async move {
            let name = Random::system().below(u64::MAX);
            if let Err(error) = hear(socket, is_ws, &fanout, name, &room).await {
                eprintln!("{name:x}: {error}");
            }
            let _ = room.send((name, Told::Gone)).await;
        });
    }
}

async fn hear(
    mut socket: TcpStream,
    is_ws: bool,
    fanout: &Fanout,
    name: u64,
    room: &Room,
) -> Result<(), Box<dyn Error>> {
    let mut input = BytesMut::new();
    if is_ws {
        upgrade(&mut socket, &mut input).await?;
    }
    let (mut reader, writer) = socket.into_split();
    room.send((name, Told::Come(fanout.connect(Sink::tcp(writer))?, is_ws))).await?;
    let (mut lines, mut peer) = (LineReader::default(), Peer::new(WsLimits::default(), false));
    loop {
        if is_ws {
            while let Some(event) = peer.receive(&mut input) {
                match event {
                    WsEvent::Text(text) => room.send((name, Told::Lines(text))).await?,
                    WsEvent::Reply(frame) => room.send((name, Told::Frame(frame))).await?,
                    WsEvent::Closed(_) => return Ok(()),
                    _ => {}
                }
            }
        } else {
            while let Some(line) = lines.next(&mut input)? {
                room.send((name, Told::Lines(line))).await?;
            }
        }
        if reader.read_buf(&mut input).await? == 0 {
            return Ok(());
        }
    }
}

async fn upgrade(socket: &mut TcpStream, input: &mut BytesMut) -> Result<(), Box<dyn Error>> {
    let end = loop {
        if let Some(at) = input.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        if socket.read_buf(input).await? == 0 || input.len() > 16_384 {
            return Err("no request".into());
        }
    };
    let head = String::from_utf8(input.split_to(end).to_vec())?;
    let mut request = http::Request::builder().method("GET").uri("/");
    for (name, value) in head.lines().skip(1).filter_map(|line| line.split_once(": ")) {
        request = request.header(name, value);
    }
    let (response, _) = Asked::read(&request.body(())?.into_parts().0, None)?.accept(&["irc"], false);
    let mut answer = "HTTP/1.1 101 Switching Protocols\r\n".to_owned();
    for (name, value) in response.headers() {
        answer += &format!("{name}: {}\r\n", value.to_str()?);
    }
    answer += "\r\n";
    Ok(socket.write_all(answer.as_bytes()).await?)
}

struct Seat {
    session: Session,
    connection: Connection,
    is_ws: bool,
}

struct Hall {
    home: Home,
    encoder: Encoder,
    logs: Vec<(Format, bool, Log)>,
    seats: BTreeMap<u64, Seat>,
    tickets: BTreeMap<u64, (u64, u64)>,
    next: u64,
    began: Instant,
    clock: WallClock,
}

fn ada() -> ChannelName {
    "ada".parse().expect("a name")
}

async fn serve(fanout: Arc<Fanout>, mut told: mpsc::Receiver<(u64, Told)>) {
    let (clock, began) = (WallClock::system(), Instant::now());
    let mut durable = Durable::default();
    let moderator = Change::Role("mod".parse().expect("a name"), Some(Role::Moderator));
    durable.apply(&moderator, 0).expect("one moderator");
    let modes = durable.modes.clone();
    let state = State::new(Limits::default(), durable);
    let now = Now { mono_ms: 0, wall_ms: clock.now_ms() };
    let home = Home::take_over(Settings::new(ada(), ada(), 1), 1, state, Vec::new(), now).expect("a first epoch");
    let log = |format| move |gap: fanout::Gap| Bytes::from(encode::gap(&ada(), Some(gap.missed()), format));
    let logs = Format::ALL.into_iter().flat_map(|format| [(format, true), (format, false)]);
    let logs = logs.map(|(format, is_ws)| (format, is_ws, fanout.log(1, log(format)))).collect();
    let encoder = Encoder::new(ada(), modes);
    let mut hall =
        Hall { home, encoder, logs, seats: BTreeMap::new(), tickets: BTreeMap::new(), next: 0, began, clock };
    while let Some((name, told)) = told.recv().await {
        hall.told(name, told);
    }
}

impl Hall {
    fn now(&self) -> Now {
        let mono_ms = u64::try_from(self.began.elapsed().as_millis()).expect("not so long");
        Now { mono_ms, wall_ms: self.clock.now_ms() }
    }

    fn told(&mut self, name: u64, told: Told) {
        match told {
            Told::Come(connection, is_ws) => {
                self.seats.insert(name, Seat { session: Session::new(name), connection, is_ws });
            }
            Told::Lines(lines) => self.tell(name, Input::Frame(&lines)),
            Told::Frame(frame) => {
                if let Some(seat) = self.seats.get(&name) {
                    let _ = seat.connection.send(frame);
                }
            }
            Told::Gone => drop(self.seats.remove(&name)),
        }
    }

    fn tell(&mut self, name: u64, input: Input<'_>) {
        let now = self.now();
        let Some(seat) = self.seats.get_mut(&name) else { return };
        let arrives = matches!(input, Input::Joined(_));
        let mut outputs = Vec::new();
        seat.session.handle(now.mono_ms, input, &mut outputs);
        for output in outputs {
            self.perform(name, output);
        }
        if arrives && let Some(seat) = self.seats.get(&name) {
            let log = log_of(&self.logs, seat);
            let _ = seat.connection.subscribe_as(log, log.head(), seat.session.mark());
        }
    }

    fn perform(&mut self, name: u64, output: Output) {
        let Some(seat) = self.seats.get(&name) else { return };
        match output {
            Output::Send(lines) => drop(seat.connection.send(carried(&lines, seat.is_ws))),
            Output::Verify(token) => {
                let login: Option<ChannelName> = token.split('.').next().and_then(|login| login.parse().ok());
                let identity = login.map(|login| {
                    let id = UserId::cut(login.as_str());
                    let user = User { id, name: DisplayName::cut(login.as_str()), login, color: None };
                    Identity { user, admin: false }
                });
                self.tell(name, Input::Verified(identity));
            }
            Output::Join { channel, .. } if channel == ada() => {
                let role = match seat.session.login().map(ChannelName::as_str) {
                    None => Role::Guest,
                    Some("ada") => Role::Owner,
                    Some("mod") => Role::Moderator,
                    Some(_) => Role::Plain,
                };
                let state = self.home.state();
                let (head, modes) = (state.head(), state.durable().modes.clone());
                let joined = Joined {
                    channel,
                    head,
                    role,
                    follows_since_ms: None,
                    modes,
                    pin: None,
                    events: Vec::new(),
                    gap: None,
                };
                self.tell(name, Input::Joined(Box::new(joined)));
            }
            Output::Join { channel, .. } => {
                self.tell(name, Input::NotJoined(channel, freshet_proto::chat::Code::NoSuchChannel.into()));
            }
            Output::Part(_) => drop(seat.connection.unsubscribe(log_of(&self.logs, seat))),
            Output::Submit { ticket, submit } => {
                self.next += 1;
                self.tickets.insert(self.next, (name, ticket));
                self.order(HomeInput::Submit { ticket: self.next, submit });
                let version = self.home.state().durable().version;
                self.order(HomeInput::Stored { version });
            }
            Output::Close(_) => drop(seat.connection.close(Bytes::new())),
        }
    }

    fn order(&mut self, input: HomeInput) {
        let mut outputs = Vec::new();
        self.home.handle(self.now(), input, &mut outputs);
        for output in outputs {
            match output {
                HomeOutput::Record(Record::Event(event)) => {
                    let encoded = self.encoder.event(&event);
                    let seq = event.position.seq;
                    for (format, is_ws, log) in &self.logs {
                        let lines = encoded.lines(*format);
                        let frame = if lines.is_empty() { Bytes::new() } else { carried(&lines, *is_ws) };
                        log.append_but(&frame, (seq, seq + 1), Haste::Batched, author(&event)).expect("the next");
                    }
                }
                HomeOutput::Answer { ticket, answer } => {
                    if let Some((name, ticket)) = self.tickets.remove(&ticket) {
                        self.tell(name, Input::Answer { ticket, answer });
                    }
                }
                HomeOutput::Notice(notice) => {
                    let names: Vec<_> = self.seats.keys().copied().collect();
                    for name in names {
                        self.tell(name, Input::Notice(ada(), &notice));
                    }
                }
                _ => {}
            }
        }
    }
}

fn log_of<'a>(logs: &'a [(Format, bool, Log)], seat: &Seat) -> &'a Log {
    let is_its = |(format, is_ws, _): &&(Format, bool, Log)| *format == seat.session.format() && *is_ws == seat.is_ws;
    &logs.iter().find(is_its).expect("each has one").2
}

fn carried(lines: &str, is_ws: bool) -> Bytes {
    if is_ws { ws::encode::text(lines) } else { Bytes::copy_from_slice(lines.as_bytes()) }
}
