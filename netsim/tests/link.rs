//! The impairment link between real sockets.

use std::{net::SocketAddr, process::Stdio, sync::Arc, time::Duration};

use freshet_netsim::link::{self, Counts, Link, Profile, Side};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::UdpSocket,
    process::Command,
    task::JoinSet,
    time::{Instant, timeout},
};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long nothing must come for it to count as nothing.
const SILENCE: Duration = Duration::from_millis(200);

fn any() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

/// An address of this process alone: no other test takes a port of it while nobody listens there.
fn own_address() -> SocketAddr {
    let [_, b, c, d] = std::process::id().to_be_bytes();
    ([127, 64 | (b % 64), c, d], 0).into()
}

/// Sends everything back; ends with the set.
async fn echo(tasks: &mut JoinSet<()>) -> SocketAddr {
    let socket = UdpSocket::bind(any()).await.unwrap();
    let addr = socket.local_addr().unwrap();
    tasks.spawn(async move {
        let mut buffer = [0; 2000];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            let _ = socket.send_to(&buffer[..length], from).await;
        }
    });
    addr
}

/// Sends `word` to `to`; the answer, if one comes within `limit`.
async fn ask(socket: &UdpSocket, to: SocketAddr, word: &str, limit: Duration) -> Option<String> {
    socket.send_to(word.as_bytes(), to).await.unwrap();
    let mut buffer = [0; 2000];
    let (length, from) = timeout(limit, socket.recv_from(&mut buffer)).await.ok()?.unwrap();
    assert_eq!(from, to, "answers come from where one asked");
    Some(String::from_utf8_lossy(&buffer[..length]).into_owned())
}

#[tokio::test]
async fn each_peer_gets_its_own_answers_no_sooner_than_both_ways_take() {
    let mut tasks = JoinSet::new();
    let link = Link::open(any(), echo(&mut tasks).await, 7).await.unwrap();
    link.set(&Side::BOTH, Profile { delay_ms: 30, jitter_ms: 5, ..Profile::default() });
    let (ada, bob) = (UdpSocket::bind(any()).await.unwrap(), UdpSocket::bind(any()).await.unwrap());
    let began = Instant::now();
    let (to_ada, to_bob) =
        tokio::join!(ask(&ada, link.addr(), "ada", PATIENCE), ask(&bob, link.addr(), "bob", PATIENCE));
    assert_eq!((to_ada.as_deref(), to_bob.as_deref()), (Some("ada"), Some("bob")));
    assert!(began.elapsed() >= Duration::from_millis(60), "{:?}", began.elapsed());
    assert_eq!(link.counts(Side::From), Counts { passed: 2, ..Counts::default() });
}

#[tokio::test]
async fn two_nodes_that_are_parted_hear_nothing_of_each_other_and_all_else_until_they_are_healed() {
    let mut tasks = JoinSet::new();
    let a = Link::open(any(), echo(&mut tasks).await, 1).await.unwrap();
    // The other node asks from its own address.
    let other = Arc::new(UdpSocket::bind(any()).await.unwrap());
    let b = Link::open(any(), other.local_addr().unwrap(), 2).await.unwrap();
    let stranger = UdpSocket::bind(any()).await.unwrap();
    link::part(&a, &b);
    assert_eq!(ask(&other, a.addr(), "1", SILENCE).await, None);
    assert_eq!(ask(&stranger, a.addr(), "2", PATIENCE).await.as_deref(), Some("2"));
    assert_eq!(a.counts(Side::Toward), Counts { passed: 1, cut: 1, ..Counts::default() });
    link::heal(&a, &b);
    assert_eq!(ask(&other, a.addr(), "3", PATIENCE).await.as_deref(), Some("3"));
}

#[tokio::test]
async fn a_node_that_comes_later_is_reached_by_those_who_asked_before() {
    let late = UdpSocket::bind(own_address()).await.unwrap().local_addr().unwrap();
    let link = Link::open(any(), late, 7).await.unwrap();
    let ada = UdpSocket::bind(any()).await.unwrap();
    assert_eq!(ask(&ada, link.addr(), "anybody?", SILENCE).await, None);
    let node = UdpSocket::bind(late).await.unwrap();
    ada.send_to(b"now?", link.addr()).await.unwrap();
    let mut buffer = [0; 2000];
    let (length, _) = timeout(PATIENCE, node.recv_from(&mut buffer)).await.unwrap().unwrap();
    assert_eq!(&buffer[..length], b"now?");
}

#[tokio::test]
async fn the_command_relays_and_does_what_its_lines_say() {
    let mut tasks = JoinSet::new();
    let node = echo(&mut tasks).await.to_string();
    let mut process = Command::new(env!("CARGO_BIN_EXE_netsim"))
        .args(["link", "127.0.0.1:0", &node, "--both", "delay_ms=5 loss_permille=0", "--seed", "7"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut orders = process.stdin.take().unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let mut line = async || timeout(PATIENCE, lines.next_line()).await.unwrap().unwrap().unwrap();
    let first = line().await;
    let addr: SocketAddr = first.split(' ').next().unwrap().parse().unwrap_or_else(|_| panic!("{first}"));
    let ada = UdpSocket::bind(any()).await.unwrap();
    assert_eq!(ask(&ada, addr, "1", PATIENCE).await.as_deref(), Some("1"));
    orders.write_all(b"cut toward\ncounts\n").await.unwrap();
    assert_eq!(line().await, "toward passed=1 lost=0 dropped=0 cut=0 overtook=0");
    assert_eq!(line().await, "from passed=1 lost=0 dropped=0 cut=0 overtook=0");
    assert_eq!(ask(&ada, addr, "2", SILENCE).await, None);
    orders.write_all(b"heal\ncounts\n").await.unwrap();
    assert_eq!(line().await, "toward passed=1 lost=0 dropped=0 cut=1 overtook=0");
    assert_eq!(ask(&ada, addr, "3", PATIENCE).await.as_deref(), Some("3"));
    drop(orders);
    let status = timeout(PATIENCE, process.wait()).await.unwrap().unwrap();
    assert!(status.success(), "it ends with its input");
}
