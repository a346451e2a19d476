//! Nodes of different versions, and nodes that were removed.

use std::collections::BTreeMap;

use super::*;
use crate::{
    admin::AdminCommand,
    level::Level,
    view::{Bar, Removed},
};

/// Serves the origin's handler at an endpoint whose newest version is `level`.
fn serving(authority: &Authority, level: u8) -> (Endpoint, SocketAddr, Arc<Origin>) {
    let endpoint = endpoint(&identity(authority, "origin").at_most(Level(level)), Tuning::default());
    let (addr, handler, served) = (endpoint.local_addr().unwrap(), Origin::new(Script::Whole), endpoint.clone());
    let origin = handler.clone();
    tokio::spawn(async move { serve(&served, handler, std::future::pending()).await });
    (endpoint, addr, origin)
}

fn asking(authority: &Authority, level: u8) -> Pool {
    Pool::new(&endpoint(&identity(authority, "edge-1").at_most(Level(level)), Tuning::default()))
}

#[tokio::test]
async fn nodes_one_version_apart_speak_the_older_one_and_both_know_it() {
    let authority = authority();
    for (asker, answerer, spoken) in [(1, 1, 1), (1, 2, 1), (2, 1, 1), (2, 2, 2)] {
        let (_endpoint, addr, origin) = serving(&authority, answerer);
        let pool = asking(&authority, asker);
        assert_eq!(fetched(&pool, addr, 5).await.unwrap().len(), 5);
        assert_eq!(origin.peers.lock().unwrap()[0].level, Level(spoken), "{asker} asks {answerer}");
        let newer = pool.request(addr, "origin", &Request::Admin(AdminCommand::Levels)).await;
        match newer {
            Err(QuicError::Older { spoken, needed }) => assert_eq!((spoken, needed), (Level(1), Level(2))),
            other => assert!(other.is_ok() && spoken == 2, "{asker} asks {answerer}"),
        }
    }
}

#[tokio::test]
async fn nodes_that_share_no_version_are_told_both_and_the_remedy() {
    let authority = authority();
    let mut identity = identity(&authority, "edge-1");
    identity.newest = Level(4);
    let (_endpoint, addr, origin) = serving(&authority, 2);
    let error = fetched(&Pool::new(&endpoint(&identity, Tuning::default())), addr, 5).await.unwrap_err().to_string();
    let told = "you speak node protocol 3 and 4, this node 1 and 2: upgrade the older of the two";
    assert!(error.contains(told), "{error}");
    assert_eq!(origin.peers.lock().unwrap().len(), 0);
}

#[tokio::test]
async fn a_node_from_before_there_were_two_versions_refuses_without_words_and_ours_finds_them() {
    let authority = authority();
    let mut identity = identity(&authority, "edge-1");
    // So far ahead that the answering side has not heard of it.
    identity.newest = Level(200);
    let (_endpoint, addr, _origin) = serving(&authority, 1);
    let error = fetched(&Pool::new(&endpoint(&identity, Tuning::default())), addr, 5).await.unwrap_err().to_string();
    assert!(error.contains("it does not speak node protocol 199 and 200: upgrade the older of the two"), "{error}");
}

fn barring(name: &str, since_ms: u64) -> Arc<Removed> {
    let bar = Bar { since_ms, until_ms: u64::MAX };
    Arc::new(Removed { revision: 1, nodes: BTreeMap::from([(name.to_owned(), bar)]) })
}

/// What one hears in the end who asks again and again, once the answer is that somebody was removed.
async fn told(pool: &Pool, addr: SocketAddr) -> String {
    let refused = async {
        loop {
            match fetched(pool, addr, 1).await {
                Err(error) if error.to_string().contains("was removed") => break error.to_string(),
                _ => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), refused).await.expect("to be refused")
}

#[tokio::test]
async fn a_removed_node_is_cut_off_at_once_and_refused_when_it_comes_again() {
    let authority = authority();
    let (server, addr, origin) = serving(&authority, 2);
    let pool = asking(&authority, 2);
    let mut open = pool.request(addr, "origin", &WATCH).await.unwrap();
    while origin.held.load(Ordering::SeqCst) == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    server.shut_out(barring("edge-1", u64::MAX));
    let cut = within(Duration::from_secs(20), open.read_frame::<WatchEvent>(64)).await.unwrap_err().to_string();
    assert!(cut.contains("removed from the platform"), "{cut}");
    let refused = told(&pool, addr).await;
    assert!(refused.contains("removed from the platform") && refused.contains("freshet node join"), "{refused}");
    server.shut_out(Arc::default());
    let again = Pool::new(&endpoint(&identity(&authority, "edge-1"), Tuning::default()));
    assert_eq!(fetched(&again, addr, 5).await.unwrap().len(), 5);
}

#[tokio::test]
async fn nobody_asks_a_removed_node_and_its_namesake_that_came_later_is_asked() {
    let authority = authority();
    let (_server, addr, origin) = serving(&authority, 2);
    let asker = endpoint(&identity(&authority, "edge-1"), Tuning::default());
    let pool = Pool::new(&asker);
    assert_eq!(fetched(&pool, addr, 5).await.unwrap().len(), 5);
    // Certificates of these tests are valid since 1975.
    asker.shut_out(barring("origin", 0));
    assert_eq!(fetched(&pool, addr, 5).await.unwrap().len(), 5);
    asker.shut_out(barring("origin", u64::MAX));
    told(&pool, addr).await;
    let asked = origin.peers.lock().unwrap().len();
    assert!(fetched(&pool, addr, 5).await.is_err());
    assert_eq!(origin.peers.lock().unwrap().len(), asked);
}

#[tokio::test]
async fn every_node_tells_its_own_time() {
    let authority = authority();
    let doors = Doors { clock: WallClock::anchored(Duration::from_secs(1_000_000_000)), random: Random::system() };
    let identity = identity(&authority, "origin");
    let server = Endpoint::bind("127.0.0.1:0".parse().unwrap(), &identity, doors, Tuning::default()).unwrap();
    let (addr, serving) = (server.local_addr().unwrap(), server.clone());
    tokio::spawn(async move { serve(&serving, Origin::new(Script::Whole), std::future::pending()).await });
    let pool = asking(&authority, 2);
    let told: u64 = pool.call(addr, "origin", &Request::Clock, Duration::from_secs(20)).await.unwrap();
    assert!((1_000_000_000_000..1_000_000_060_000).contains(&told), "{told}");
}
