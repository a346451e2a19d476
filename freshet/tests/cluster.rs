//! A platform as an operator builds it: processes, tokens, a real encoder, and nodes that are killed under it.

mod support;

use std::{fs, time::Duration};

use support::{
    Encoder, arg, get, newest_segment, own_address,
    platform::{Node, Platform, Version},
    publisher::Publisher,
    run, text_with, until,
    wait::Wait,
};

/// Waits until each edge lists so many more segments; fails at the first answer that is 5xx.
async fn grows(live: &[String], segments: u64) {
    for live in live {
        let newest = async || {
            let answer = get(&format!("{live}/v0.m3u8")).await.expect("the edge answers");
            assert!(answer.status < 500, "{}", answer.text());
            newest_segment(&answer.text()).filter(|_| answer.status == 200).map_or(0, |(msn, _)| msn)
        };
        let begun = until("a segment", async || Some(newest().await).filter(|msn| *msn > 0)).await;
        until("more segments", async || (newest().await >= begun + segments).then_some(())).await;
    }
}

#[tokio::test]
async fn viewers_and_the_publisher_notice_nothing_while_control_nodes_die_and_even_all_of_them() {
    let mut platform = Platform::found(3).await;
    let key = platform.operate(&["channel", "put", "ada"]).await;
    let (origin, edge) = (platform.join("origin", "origin-1").await, platform.join("edge", "edge-1").await);
    let live = format!("http://{}/live/ada", edge.field("http"));
    let rtmp = format!("rtmp://{}/live/{key}", origin.field("rtmp"));
    let mut encoder = Encoder::publish(&rtmp);
    text_with(&format!("{live}/v0.m3u8"), "#EXTINF").await;

    let leader = platform.leader().await;
    platform.control[leader].kill().await;
    grows(std::slice::from_ref(&live), 2).await;
    platform.control[leader].revive().await;
    text_with(&format!("http://{}/readyz", platform.control[leader].field("admin")), "leads").await;

    for node in &mut platform.control {
        node.kill().await;
    }
    grows(std::slice::from_ref(&live), 3).await;
    assert!(encoder.0.try_wait().unwrap().is_none(), "the publisher goes on");

    // It comes back at the origin that knows its key, in the same epoch, though nobody can be asked.
    encoder.0.start_kill().unwrap();
    encoder.ended().await;
    let before = get(&format!("{live}/v0.m3u8")).await.unwrap().text();
    let _encoder = Encoder::publish(&rtmp);
    let after = text_with(&format!("{live}/v0.m3u8"), "#EXT-X-DISCONTINUITY\n").await;
    let epoch = |text: &str| newest_segment(text).map(|(_, uri)| uri.split('/').next().map(str::to_owned));
    assert_eq!(epoch(&before), epoch(&after), "the same epoch");
    grows(std::slice::from_ref(&live), 2).await;

    for node in &mut platform.control {
        node.revive().await;
    }
    let listed = until("live, as the control nodes see it", async || {
        platform.control[0].try_operate(&["channel", "ls"]).await.ok().filter(|text| text.contains("live"))
    });
    listed.await;
    // It must stay so after segments enough for the farewell of the former connection to have come.
    grows(std::slice::from_ref(&live), 3).await;
    assert!(platform.operate(&["channel", "ls"]).await.contains("live"));
}

/// What a viewer has seen who turns to the next edge when one can't be reached.
#[derive(Default)]
struct Seen {
    newest: u64,
    segments: usize,
    epochs: std::collections::BTreeSet<String>,
    longest: Duration,
}

/// Watches until told to stop. Fails when an edge answers 5xx or a number goes back.
async fn watch(edges: Vec<String>, mut stop: tokio::sync::oneshot::Receiver<()>) -> Seen {
    let (mut seen, mut edge, mut since) = (Seen::default(), 0, Wait::begin());
    while stop.try_recv().is_err() {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let Ok(answer) = get(&format!("{}/v0.m3u8", edges[edge % edges.len()])).await else {
            edge += 1;
            continue;
        };
        assert!(answer.status < 500, "{} of {}: {}", answer.status, edges[edge % edges.len()], answer.text());
        let Some((msn, uri)) = newest_segment(&answer.text()).filter(|_| answer.status == 200) else { continue };
        assert!(msn >= seen.newest, "{msn} after {}", seen.newest);
        if msn > seen.newest {
            seen.epochs.extend(uri.split('/').next().map(str::to_owned));
            seen.longest = seen.longest.max(since.elapsed());
            (seen.newest, seen.segments, since) = (msn, seen.segments + 1, Wait::begin());
        }
    }
    seen
}

/// The grace for an encoder that comes back, and the segment that is then made.
const GRACE: Duration = Duration::from_secs(35);

/// A publisher and a viewer of the channel `ada`, at all origins and edges of these.
struct Watched {
    live: Vec<String>,
    publisher: Publisher,
    viewer: tokio::task::JoinHandle<Seen>,
    stop: tokio::sync::oneshot::Sender<()>,
}

impl Watched {
    async fn begin(key: &str, origins: &[Node], edges: &[Node]) -> Self {
        let rtmp = origins.iter().map(|origin| format!("rtmp://{}/live/{key}", origin.field("rtmp"))).collect();
        let live: Vec<String> = edges.iter().map(|edge| format!("http://{}/live/ada", edge.field("http"))).collect();
        let publisher = Publisher::start(rtmp);
        text_with(&format!("{}/v0.m3u8", live[0]), "#EXTINF").await;
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let viewer = tokio::spawn(watch(live.clone(), stopped));
        Self { live, publisher, viewer, stop }
    }

    /// The viewer saw no 5xx and no number go back, and never waited for longer than an encoder may be away.
    async fn leave(self) -> Publisher {
        self.stop.send(()).unwrap();
        let seen = self.viewer.await.expect("the viewer saw nothing that fails");
        assert!(seen.segments > 7 && seen.longest < GRACE, "{} segments, {:?} at most", seen.segments, seen.longest);
        assert!(seen.epochs.len() > 1, "the encoder had to move: {:?}", seen.epochs);
        self.publisher
    }
}

/// Ends a node as an operator does, starts it again, and waits until it is ready and each edge has gone on.
async fn restart(node: &mut Node, live: &[String]) {
    node.process.signal("TERM").await;
    node.process.ended().await;
    node.revive().await;
    node.ready().await;
    grows(live, 1).await;
}

/// The same, as this program.
async fn upgrade(node: &mut Node, live: &[String]) {
    node.version = Version::This;
    restart(node, live).await;
}

#[tokio::test]
async fn a_rolling_restart_of_every_node_is_survived_by_a_viewer_and_a_publisher() {
    let mut platform = Platform::found(3).await;
    let key = platform.operate(&["channel", "put", "ada"]).await;
    let mut others = platform.join_others().await;
    let watched = Watched::begin(&key, &others[..2], &others[2..]).await;
    for node in platform.control.iter_mut().chain(&mut others) {
        restart(node, &watched.live).await;
    }
    watched.leave().await;
}

/// With `FRESHET_PREVIOUS=/path/to/an/older/freshet` the platform really begins as that version.
#[tokio::test]
async fn a_platform_is_upgraded_under_a_viewer_and_a_publisher_and_the_last_control_node_decides_what_may_be_agreed_on()
{
    let mut platform = Platform::found_as(Version::Previous, 3).await;
    let key = platform.operate(&["channel", "put", "ada"]).await;
    platform.enrol("edge", "edge-0").await;
    let told = platform.operate(&["node", "remove", "edge-0"]).await;
    assert!(told.contains("its certificate stays valid until it expires"), "{told}");
    let mut others = platform.join_others().await;
    let watched = Watched::begin(&key, &others[..2], &others[2..]).await;

    // One node of each role stays behind.
    for node in [0, 1] {
        upgrade(&mut platform.control[node], &watched.live).await;
    }
    for node in [0, 2] {
        upgrade(&mut others[node], &watched.live).await;
    }
    for node in others.iter_mut().filter(|node| node.version == Version::Previous) {
        restart(node, &watched.live).await;
    }
    restart(&mut platform.control[2], &watched.live).await;
    assert_eq!(platform.protocol().await, 1, "one control node can't read more");
    upgrade(&mut platform.control[2], &watched.live).await;
    until("version 2", async || (platform.protocol().await == 2).then_some(())).await;
    upgrade(&mut others[1], &watched.live).await;
    let live = watched.live.clone();
    let publisher = watched.leave().await;

    // An edge that stayed behind is cut off like any other.
    grows(&live, 1).await;
    let told = platform.operate(&["node", "remove", "edge-2"]).await;
    assert!(told.contains("edge-2 is removed and cut off"), "{told}");
    let cut = |origin: &Node| {
        let log = origin.process.log();
        log.lines().any(|line| line.contains("edge-2") && line.contains("removed from the platform"))
    };
    until("the origin to cut it off", async || others[..2].iter().any(cut).then_some(())).await;
    others[3].process.logged(&["removed from the platform"]).await;
    others[3].process.signal("TERM").await;
    others[3].process.ended().await;
    others[3].revive().await;
    others[3].process.logged(&["removed from the platform"]).await;
    grows(&live[..1], 1).await;
    drop(publisher);
}

#[tokio::test]
async fn a_wrong_key_is_refused_through_the_platform_and_a_drained_origin_sends_encoders_away() {
    let platform = Platform::found(1).await;
    let key = platform.operate(&["channel", "put", "ada"]).await;
    let origin = platform.join("origin", "origin-1").await;
    let rtmp = format!("rtmp://{}/live", origin.field("rtmp"));
    assert!(!Encoder::publish(&format!("{rtmp}/sk_00000000_wrong")).ended().await.success());
    platform.operate(&["node", "drain", "origin-1"]).await;
    let readyz = format!("http://{}/readyz", origin.field("admin"));
    let drains =
        async || get(&readyz).await.ok().filter(|answer| answer.status == 503 && answer.text().contains("drain"));
    until("readyz to say that it drains", drains).await;
    assert!(!Encoder::publish(&format!("{rtmp}/{key}")).ended().await.success());
    platform.operate(&["node", "drain", "origin-1", "--undo"]).await;
    text_with(&readyz, "heard by the control plane").await;
    let _encoder = Encoder::publish(&format!("{rtmp}/{key}"));
    text_with(&readyz, "1 publishing").await;
}

#[tokio::test]
async fn an_operator_waits_for_a_leader_is_told_so_and_then_what_to_look_at() {
    let mut platform = Platform::found(1).await;
    platform.enrol("edge", "edge-1").await;
    platform.control[0].kill().await;
    let config = platform.control[0].config().to_owned();
    let drain = ["node", "drain", "edge-1", "--config", &config];
    let (code, _, error) = run(&drain, &[]).await;
    let told = "no answer yet, as while no control node leads; waiting up to 10 s\n";
    assert!(code == 1 && error.starts_with(told), "{error}");
    assert!(error.ends_with("see that most of them are up (`freshet node ls`)\n"), "{error}");
    // It comes back while it is waited for.
    let revive = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        platform.control[0].revive().await;
    };
    let ((code, out, error), ()) = tokio::join!(run(&drain, &[]), revive);
    assert_eq!((code, out.as_str()), (0, "edge-1 takes nothing new\n"), "{error}");
}

#[tokio::test]
async fn a_platform_is_restored_from_a_backup_by_one_new_control_node() {
    let mut platform = Platform::found(1).await;
    let key = platform.operate(&["channel", "put", "ada"]).await;
    let (origin, edge) = (platform.join("origin", "origin-1").await, platform.join("edge", "edge-1").await);
    let live = format!("http://{}/live/ada", edge.field("http"));
    let encoder = Encoder::publish(&format!("rtmp://{}/live/{key}", origin.field("rtmp")));
    let playlist = text_with(&format!("{live}/v0.m3u8"), "#EXTINF").await;
    let backup = arg(&platform.dir.path().join("backup"));
    platform.operate(&["control", "backup", &backup]).await;
    platform.control[0].kill().await;
    drop(encoder);

    // A new machine with the name and the address of the lost one.
    let at = platform.control[0].field("quic");
    let config = platform.dir.path().join("restored.toml");
    let data = arg(&platform.dir.path().join("restored"));
    let listen = format!("[listen]\nquic = {at:?}\nadmin = {:?}\n", own_address());
    let text = format!("[node]\nname = \"control-1\"\ndata = {data:?}\n{listen}");
    fs::write(&config, text).unwrap();
    let restore = ["control", "restore", &backup, "--config", &arg(&config)];
    let (code, out, error) = run(&restore, &[]).await;
    assert_eq!(code, 0, "{out}{error}");
    let (code, _, error) = run(&restore, &[]).await;
    assert!(code != 0 && error.contains("empty directory"), "{error}");
    let restored = Node::run("control", arg(&config), &[]).await;
    let nodes = restored.operate(&["node", "ls"]).await;
    assert_eq!(nodes.matches("control-1").count(), 1, "{nodes}");
    text_with(&format!("http://{}/readyz", origin.field("admin")), "heard by the control plane").await;

    // The origin may be refused until the new control node has heard of it.
    let _publisher = Publisher::start(vec![format!("rtmp://{}/live/{key}", origin.field("rtmp"))]);
    let (before, _) = newest_segment(&playlist).unwrap();
    let after = until("a publish after it", async || {
        let text = get(&format!("{live}/v0.m3u8")).await.ok()?.text();
        let (msn, uri) = newest_segment(&text)?;
        let epoch = uri.split('/').next()?.parse::<u64>().ok()?;
        (epoch > 1_000_000).then_some(msn)
    });
    assert!(after.await > before, "numbers never go back");
}
