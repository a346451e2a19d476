//! Who is on the stage: the nodes with their disks, and those who publish and watch.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use turmoil::Sim;

use crate::{
    Run,
    bugs::Bug,
    crowd::{self, Orders, Viewer},
    disk::Disk,
    encoder::Clip,
    guests::guest,
    hosts::{self, Cast},
    nodes::QUIC,
    platform,
    schedule::{CONTROLS, ENCODERS, GHOSTS, Host, Layout, ORIGINS, REGISTRY, Schedule, VIEWERS},
    stage::Stage,
};

static CLIP: &[u8] = include_bytes!("../../../media/tests/data/x264-aac.flv");

/// The nodes.
pub(super) fn cast(sim: &mut Sim<'_>, schedule: &Schedule, run: Run, bug: Option<Bug>) -> Cast {
    let layout = schedule.layout;
    let addr = |host: Host| SocketAddr::new(sim.lookup(host), QUIC);
    let disks = layout.disks().iter().map(|host| {
        // The one disk of the layouts with one registry has had this name since before there were more.
        let name = if layout == Layout::Platform { format!("{host}-disk") } else { "disk".to_owned() };
        let random = run.random(&name, 0);
        let disk = match hosts::first_log(layout, bug, schedule.seed | 1, addr) {
            Ok(Some(log)) => Disk::with(random, log),
            _ => Disk::new(random),
        };
        (*host, if bug == Some(Bug::FsyncSkipped) { disk.lying() } else { disk })
    });
    let cast = Cast { disks: disks.collect(), run: run.clone(), layout, stage: Stage::default(), bug };
    for &host in layout.nodes() {
        let (cast, lives) = (cast.clone(), AtomicU64::new(0));
        sim.host(host, move || {
            let (cast, life) = (cast.clone(), lives.fetch_add(1, Ordering::SeqCst));
            async move {
                match host {
                    REGISTRY => hosts::registry(cast, life).await,
                    _ if CONTROLS.contains(&host) => platform::control(cast, host, life).await,
                    _ if ORIGINS.contains(&host) => hosts::origin(cast, host, life).await,
                    _ => hosts::edge(cast, host, life).await,
                }
            }
        });
    }
    if layout == Layout::Platform && bug == Some(Bug::LeaseNeverExpires) {
        for (ghost, origin) in GHOSTS.into_iter().zip(ORIGINS) {
            let cast = cast.clone();
            sim.host(ghost, move || platform::haunt(cast.clone(), origin));
        }
    }
    cast
}

/// The encoders, viewers and guests.
pub(super) fn people(sim: &mut Sim<'_>, cast: &Cast, orders: &Orders) {
    let clip = Arc::new(Clip::new(CLIP, 40));
    for encoder in ENCODERS {
        let (orders, clip, stage) = (orders.clone(), clip.clone(), cast.stage.clone());
        sim.host(encoder, move || {
            let (orders, clip, stage) = (orders.clone(), clip.clone(), stage.clone());
            async move {
                let clip = clip.as_ref().as_ref().map_err(|error| io::Error::other(error.to_string()))?.clone();
                crowd::encoder(encoder, orders, clip, stage).await
            }
        });
    }
    for (me, edge) in VIEWERS {
        let (stage, trace) = (cast.stage.clone(), cast.run.trace.clone());
        sim.client(me, Viewer { me, edge, stage, trace }.watch());
    }
    for (me, edge) in cast.layout.guests() {
        sim.client(*me, guest(cast.clone(), me, edge));
    }
}
