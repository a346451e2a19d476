//! IRC clients at a hub, beside others.

use std::net::{IpAddr, SocketAddr};

use freshet_chat_mesh::hub::{Caller, Config, Hub, MAX_ARRIVING_PER_ADDRESS, Socket};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, ReadHalf, WriteHalf, split},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_tungstenite::tungstenite::Message;

use crate::{
    client::{Client, Last},
    house::{House, PATIENCE, head},
};

/// Takes IRC clients: bare lines on one port, WebSocket on the other.
async fn listen(hub: &Hub) -> (SocketAddr, SocketAddr) {
    let bare = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let framed = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let at = (bare.local_addr().unwrap(), framed.local_addr().unwrap());
    let hub = hub.clone();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                biased;
                taken = bare.accept() => {
                    let (socket, peer) = taken.unwrap();
                    tokio::spawn(hub.clone().serve_irc(Socket::Tcp(socket), peer.ip()));
                }
                taken = framed.accept() => {
                    let ((mut socket, peer), hub) = (taken.unwrap(), hub.clone());
                    tokio::spawn(async move {
                        let Some((request, ahead)) = head(&mut socket).await else { return };
                        let socket = Socket::Tcp(socket);
                        hub.serve_irc_websocket(Caller { request, socket, ahead, peer: peer.ip(), stay: Box::new(()) }).await;
                    });
                }
            }
        }
    });
    at
}

/// A client of bare lines.
struct Lines {
    reader: BufReader<ReadHalf<TcpStream>>,
    writer: WriteHalf<TcpStream>,
}

impl Lines {
    async fn connect(at: SocketAddr) -> Self {
        let (reader, writer) = split(TcpStream::connect(at).await.unwrap());
        Self { reader: BufReader::new(reader), writer }
    }

    /// Somebody who is logged in and in `ada`.
    async fn in_ada(house: &House, at: SocketAddr, login: &str) -> Self {
        let mut client = Self::connect(at).await;
        client.say("CAP REQ :twitch.tv/tags twitch.tv/commands").await;
        client.say(&format!("PASS oauth:{}\r\nNICK {login}\r\nJOIN #ada", house.token(login))).await;
        client.until("ROOMSTATE #ada").await;
        client
    }

    async fn say(&mut self, line: &str) {
        self.writer.write_all(format!("{line}\r\n").as_bytes()).await.unwrap();
    }

    /// The next line; `None` at the end.
    async fn next(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = timeout(PATIENCE, self.reader.read_line(&mut line)).await.expect("it is told something in time");
        (read.unwrap() > 0).then(|| line.strip_suffix("\r\n").expect("a whole line").to_owned())
    }

    /// The next line that has this; others are passed over.
    async fn until(&mut self, what: &str) -> String {
        loop {
            let line = self.next().await.unwrap_or_else(|| panic!("closed before {what:?}"));
            if line.contains(what) {
                return line;
            }
        }
    }

    /// Everything up to the end.
    async fn rest(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        while let Some(line) = self.next().await {
            lines.push(line);
        }
        lines
    }
}

#[tokio::test]
async fn whoever_speaks_what_all_others_hear_it_once() {
    let house = House::open(Default::default()).await;
    let (bare, _) = listen(&house.hub).await;
    let mut guest = Lines::connect(bare).await;
    guest.say("NICK justinfan7\r\nJOIN #ada").await;
    guest.until(" 366 ").await;
    let mut bob = Lines::in_ada(&house, bare, "bob").await;
    let mut bobs_other = Lines::in_ada(&house, bare, "bob").await;
    let mut json = house.user_in_ada("eve").await;

    bob.say("@client-nonce=c1 PRIVMSG #ada :by IRC").await;
    let state = bob.until("USERSTATE #ada").await;
    assert!(state.contains(";client-nonce=c1;id="), "{state}");
    json.said("ada", "n1", "by JSON").await;
    let heard = bob.next().await.unwrap();
    assert!(heard.ends_with(" :eve!eve@eve.tmi.twitch.tv PRIVMSG #ada :by JSON"), "its own it showed itself: {heard}");
    assert_eq!(guest.next().await.unwrap(), ":bob!bob@bob.tmi.twitch.tv PRIVMSG #ada :by IRC");
    assert_eq!(guest.next().await.unwrap(), ":eve!eve@eve.tmi.twitch.tv PRIVMSG #ada :by JSON");
    assert!(
        bobs_other.next().await.unwrap().ends_with("PRIVMSG #ada :by IRC"),
        "another connection of the same person"
    );
    let mut fresh = house.user("eve").await;
    fresh.send(serde_json::json!({"type": "join", "channel": "ada", "history": 9})).await;
    fresh.expect("ok").await;
    assert_eq!(fresh.expect("message").await["text"], "by IRC");
}

#[tokio::test]
async fn nobody_hides_what_they_say_by_naming_it_after_a_connection() {
    let house = House::open(Default::default()).await;
    let (bare, _) = listen(&house.hub).await;
    let mut json = house.user_in_ada("eve").await;
    let mut bob = Lines::in_ada(&house, bare, "bob").await;
    bob.say("PRIVMSG #ada :hello").await;
    let nonce = json.find("message").await["nonce"].as_str().unwrap().to_owned();
    assert!(nonce.starts_with("irc-"), "{nonce}");
    json.say("ada", &format!("{}-9", nonce.rsplit_once('-').unwrap().0), "unheard?").await;
    bob.until("PRIVMSG #ada :unheard?").await;
}

#[tokio::test]
async fn a_moderator_is_answered_and_all_are_told() {
    let house = House::open(Default::default()).await;
    let (bare, _) = listen(&house.hub).await;
    let mut ada = Lines::in_ada(&house, bare, "ada").await;
    let mut bob = Lines::in_ada(&house, bare, "bob").await;
    ada.say("PRIVMSG #ada :/slow 7").await;
    assert_eq!(bob.next().await.unwrap(), "@slow=7;room-id=ada :tmi.twitch.tv ROOMSTATE #ada");
    assert!(bob.next().await.unwrap().starts_with("@msg-id=slow_on :tmi.twitch.tv NOTICE #ada :"));
    ada.say("PRIVMSG #ada :/mod bob").await;
    ada.until("@msg-id=mod_success ").await;
    assert!(bob.until("USERSTATE #ada").await.contains(";mod=1;"));
    bob.say("PRIVMSG #ada :/timeout eve 30").await;
    bob.until("@msg-id=timeout_success ").await;
    assert!(ada.until("CLEARCHAT #ada :eve").await.starts_with("@ban-duration=30;room-id=ada;target-user-id=eve;"));
    let mut late = Lines::connect(bare).await;
    late.say("CAP REQ :twitch.tv/tags twitch.tv/commands\r\nNICK justinfan1\r\nJOIN #ada").await;
    let room = late.until("ROOMSTATE #ada").await;
    assert!(room.contains(";slow=7;"), "{room}");
    late.say("JOIN #nowhere").await;
    late.until("@msg-id=msg_room_not_found :tmi.twitch.tv NOTICE #nowhere ").await;
}

#[tokio::test]
async fn irc_over_websocket_is_at_the_root_alone() {
    let house = House::open(Default::default()).await;
    let (bare, framed) = listen(&house.hub).await;
    let fields = [("sec-websocket-protocol", "irc"), ("sec-websocket-extensions", "permessage-deflate")];
    let answer = Client::answered(framed, "/", &fields).await;
    assert_eq!(answer.headers()["sec-websocket-protocol"], "irc");
    assert!(!answer.headers().contains_key("sec-websocket-extensions"));
    assert_eq!(Client::try_connect(framed, "/chat/ada", &fields).await.err(), Some(404));
    let page = [("sec-websocket-protocol", "irc"), ("origin", "https://elsewhere.example")];
    assert_eq!(Client::try_connect(framed, "/", &page).await.err(), Some(403));

    let mut client = Client::try_connect(framed, "/", &fields[..1]).await.unwrap();
    client.raw(Message::text("NICK justinfan1\r\nJOIN #ada\r\nPING")).await;
    let mut bob = Lines::in_ada(&house, bare, "bob").await;
    let mut frames = String::new();
    while !frames.contains(" 366 ") {
        frames += &client.text().await;
    }
    bob.say("PRIVMSG #ada :hi").await;
    assert_eq!(client.text().await, ":bob!bob@bob.tmi.twitch.tv PRIVMSG #ada :hi\r\n");
}

#[tokio::test]
async fn connections_end_with_a_word() {
    let config = Config { ping_after_ms: 100, ..Config::default() };
    let house = House::open(config).await;
    let (bare, _) = listen(&house.hub).await;
    let mut silent = Lines::in_ada(&house, bare, "bob").await;
    assert_eq!(silent.next().await.unwrap(), "PING :tmi.twitch.tv");
    let mut long = Lines::connect(bare).await;
    long.say(&"x".repeat(5_000)).await;
    assert_eq!(
        long.rest().await,
        [":tmi.twitch.tv NOTICE * :Not IRC: a line has at most 4096 bytes besides its tags."]
    );
    let mut left = Lines::in_ada(&house, bare, "eve").await;
    left.say("QUIT :bye").await;
    assert!(left.rest().await.iter().all(|line| line == "PING :tmi.twitch.tv"));
    house.revoke("bob");
    let told = silent.rest().await;
    assert_eq!(
        told.last().map(String::as_str),
        Some(":tmi.twitch.tv NOTICE * :Login authentication failed: the token is not good any more.")
    );
    let mut ada = Lines::in_ada(&house, bare, "ada").await;
    drop((silent, long, left));
    let gone = async {
        assert_eq!(ada.rest().await.last().map(String::as_str), Some(":tmi.twitch.tv RECONNECT"));
        drop(ada);
    };
    tokio::join!(house.hub.drain(Vec::new(), PATIENCE), gone);
    assert_eq!(Lines::connect(bare).await.rest().await, [":tmi.twitch.tv NOTICE * :this hub goes away: try another"]);
}

impl Client {
    /// The next text.
    async fn text(&mut self) -> String {
        use futures_util::StreamExt;
        loop {
            let message =
                timeout(PATIENCE, self.socket.next()).await.expect("in time").expect("open").expect("a frame");
            if let Message::Text(text) = message {
                return text.to_string();
            }
        }
    }
}

#[tokio::test]
async fn json_is_none_of_its_business() {
    let house = House::open(Default::default()).await;
    let (_, framed) = listen(&house.hub).await;
    let mut client = Client::connect(framed, "/").await;
    client.raw(Message::text("{\"type\":\"hello\"}")).await;
    assert!(client.text().await.contains("Not IRC"));
    assert!(matches!(client.last().await, Last::Closed(Some(frame)) if u16::from(frame.code) == 1008));
}

#[tokio::test]
async fn who_arrives_when_too_many_of_an_address_do_is_told_so() {
    let house = House::open(Default::default()).await;
    let here = IpAddr::from([127, 0, 0, 1]);
    let arriving: Vec<_> = (0..MAX_ARRIVING_PER_ADDRESS).map(|_| house.hub.arrives(here).unwrap()).collect();
    for (is_websocket, beginning) in [(false, ":tmi.twitch.tv NOTICE * :there are too many"), (true, "HTTP/1.1 429 ")] {
        let no = house.hub.arrives(here).unwrap_err();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (socket, _) = listener.accept().await.unwrap();
        house.hub.refuse_irc(Some(socket), here, is_websocket, no).await;
        let mut told = String::new();
        timeout(PATIENCE, client.read_to_string(&mut told)).await.expect("in time").unwrap();
        assert!(told.starts_with(beginning) && told.contains("from your address"), "{told}");
    }
    assert_eq!(house.hub.stats().turned_away_by_why()["address"], 2);
    assert!(house.hub.arrives([10, 0, 0, 1].into()).is_ok(), "others are let in");
    drop(arriving);
    assert!(house.hub.arrives(here).is_ok());
}
