//! What is told without an answer.

use super::*;
use crate::{
    id::NodeId,
    level::Level,
    message::{Datagram, Request},
};

const SAYS: Datagram = Datagram::Mesh { node: NodeId(7) };

/// Keeps what it is told, and answers fetches with nothing.
#[derive(Default)]
struct Hears(Mutex<Vec<(String, Datagram, Bytes)>>);

impl Handler for Hears {
    async fn handle(&self, _: Request, mut reply: Responder) -> Result<(), QuicError> {
        reply.write_frame(&0u8).await?;
        reply.finish().await
    }

    fn datagram(&self, peer: &Peer, header: Datagram, content: Bytes) {
        self.0.lock().unwrap().push((peer.name.clone(), header, content));
    }
}

/// Somebody who hears, and who tells, in this version.
fn hears(level: Level) -> (Arc<Hears>, SocketAddr, Endpoint) {
    let authority = authority();
    let server = endpoint(&identity(&authority, "hearer"), Tuning::default());
    let (addr, hears) = (server.local_addr().unwrap(), Arc::new(Hears::default()));
    let handler = hears.clone();
    tokio::spawn(async move { serve(&server, handler, std::future::pending()).await });
    (hears, addr, endpoint(&identity(&authority, "teller").at_most(level), Tuning::default()))
}

async fn connect(pool: &Pool, addr: SocketAddr) {
    pool.call::<u8>(addr, "hearer", &WATCH, Duration::from_secs(20)).await.unwrap();
}

#[tokio::test]
async fn what_is_told_is_heard_with_the_name_of_who_told_it() {
    let (hears, addr, teller) = hears(Level::NEWEST);
    let pool = Pool::new(&teller);
    assert!(!pool.tell(addr, "hearer", &SAYS, "early"), "there is no connection, and none is made");
    connect(&pool, addr).await;
    assert!(!pool.tell(addr, "hearer", &SAYS, &"x".repeat(Datagram::MAX)), "it is too long");
    let heard = async {
        // Any one may be lost.
        while hears.0.lock().unwrap().is_empty() {
            assert!(pool.tell(addr, "hearer", &SAYS, "now"));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), heard).await.expect("to be heard");
    let (name, header, content) = hears.0.lock().unwrap()[0].clone();
    assert_eq!((name.as_str(), header, content.as_ref()), ("teller", SAYS, &b"\x03now"[..]));
}

#[tokio::test]
async fn an_older_peer_is_told_nothing() {
    let (hears, addr, teller) = hears(Level::FIRST);
    let pool = Pool::new(&teller);
    connect(&pool, addr).await;
    assert!(!pool.tell(addr, "hearer", &SAYS, "now"));
    assert!(hears.0.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_datagram_that_cannot_be_read_harms_nobody() {
    let (hears, addr, teller) = hears(Level::NEWEST);
    let connection = teller.quic.connect_with(teller.client(), addr, "hearer").unwrap().await.unwrap();
    for nonsense in [&[][..], &[99, 1], &[0]] {
        connection.send_datagram(Bytes::copy_from_slice(nonsense)).unwrap();
    }
    let (mut send, receive) = connection.open_bi().await.unwrap();
    send.write_chunk(frame(&WATCH).unwrap()).await.unwrap();
    send.finish().unwrap();
    assert_eq!(Reader::new(receive, connection.clone()).read_frame::<u8>(64).await.unwrap(), 0);
    assert!(connection.close_reason().is_none());
    assert!(hears.0.lock().unwrap().is_empty());
}
