//! What the faces say: JSON and addresses, from what the edge knows. No I/O.

use freshet_proto::{
    annex::Place,
    id::{ChannelName, NodeId},
    place::{VIEWERS, host_and_port, split_port},
};
use serde_json::{Value, json};

use super::{
    Made, Near,
    asked::Asked,
    drains,
    rank::{Client, Ranked, Wanted},
};

/// What a client is told about.
pub(crate) struct Answers<'a> {
    pub near: &'a Near,
    pub made: &'a Made,
    pub client: &'a Client,
    /// Whether this edge is about to stop.
    pub stopping: bool,
}

/// The pathway of whichever edge has served the multivariant playlist: the origin writes it, and it is the same everywhere.
const HERE: &str = "here";

/// For how many seconds a player keeps to a steering manifest. As long as a lease: whoever is lost is left within two of them.
const TTL_S: u64 = 10;

/// A player that plays is moved only for an edge that is nearer by more than this, in ms: loads change every 2 s, distances
/// don't.
const STAY_MS: u32 = 25;

/// What a viewer is told of.
const EDGES: Wanted = Wanted { most: 8, per_region: 3 };
/// One edge of each region, for whoever measures the way there.
const EVERYWHERE: Wanted = Wanted { most: 64, per_region: 1 };
/// Where every edge tells its time.
const TIME: &str = "/api/time";
/// What an encoder is told of.
const ORIGINS: Wanted = Wanted { most: 16, per_region: 4 };

impl Answers<'_> {
    /// Where encoders may go, in the JSON of Twitch's `GET /ingests`, the best first.
    pub(crate) fn ingests(&self) -> Value {
        let ranked = self.made.origins.rank(self.client, None, ORIGINS);
        let ingests = ranked.iter().enumerate().filter_map(|(at, ranked)| self.ingest(at, ranked));
        json!({ "ingests": ingests.collect::<Vec<_>>() })
    }

    fn ingest(&self, at: usize, ranked: &Ranked) -> Option<Value> {
        let place = self.place(ranked.node)?;
        let template = |url: &str| format!("{url}/live/{{stream_key}}");
        let name = &self.made.view.nodes.get(&ranked.node)?.server_name;
        let load = self.made.loads.nodes.get(&ranked.node).map_or(0, |load| load.permille.min(1000));
        let plain = if place.rtmp.is_empty() { &place.rtmps } else { &place.rtmp };
        let mut ingest = json!({
            "_id": ranked.node.0,
            "name": if place.region.is_empty() { name.clone() } else { format!("{}: {name}", place.region) },
            "availability": f64::from(1000 - load) / 1000.0,
            "default": at == 0,
            "priority": at + 1,
            "url_template": template(plain),
            "est_ms": ranked.est_ms,
            "region": place.region,
            "ping_url": self.ping(&place.region),
        });
        if !place.rtmps.is_empty() {
            ingest["url_template_secure"] = template(&place.rtmps).into();
        }
        Some(ingest)
    }

    /// Something tiny in `region` by which a page measures its round trip, for no page speaks RTMP: an edge's clock. By a path
    /// where that is this edge; `null` where there is none.
    fn ping(&self, region: &str) -> Option<String> {
        let here = self.near.me.and_then(|me| self.place(me)).unwrap_or(&self.near.place);
        if here.region == region {
            return Some(TIME.to_owned());
        }
        let there = |node: NodeId| self.place(node).filter(|place| place.region == region && !place.https.is_empty());
        let nodes = self.made.edges.rank(self.client, None, EVERYWHERE);
        let edge = nodes.iter().find_map(|ranked| there(ranked.node))?;
        Some(format!("{}{TIME}", edge.https))
    }

    /// Where `channel` may be watched, the best first; here, if need be by a path, where no edge has told its address.
    pub(crate) fn watch(&self, channel: &ChannelName) -> Value {
        let ranked = self.made.edges.rank(self.client, Some(channel), EDGES);
        let edge = |ranked: &Ranked| {
            let place = self.place(ranked.node)?;
            let url = format!("{}{}", place.https, index(channel));
            Some(json!({ "id": ranked.node.0, "region": place.region, "url": url, "est_ms": ranked.est_ms }))
        };
        let mut edges: Vec<Value> = ranked.iter().filter_map(edge).collect();
        if edges.is_empty() {
            let (id, own) = (self.near.me.map(|node| node.0), &self.near.place);
            let url = format!("{}{}", own.https, index(channel));
            edges.push(json!({ "id": id, "region": own.region, "url": url, "est_ms": 0 }));
        }
        json!({ "channel": channel, "edges": edges })
    }

    /// The best edge's playlist of `channel`; by a path where that is this one.
    pub(crate) fn best(&self, channel: &ChannelName) -> String {
        let ranked = self.made.edges.rank(self.client, Some(channel), EDGES);
        let best = ranked.first().filter(|best| Some(best.node) != self.near.me);
        let host = best.and_then(|best| self.place(best.node)).map_or("", |place| place.https.as_str());
        format!("{host}{}", index(channel))
    }

    /// The best edge's playlist of `channel`, but for this one and for those that are full.
    pub(crate) fn elsewhere(&self, channel: &ChannelName) -> Option<String> {
        let ranked = self.made.edges.rank(self.client, Some(channel), EDGES);
        let other = ranked.iter().find(|ranked| !ranked.full && Some(ranked.node) != self.near.me)?;
        Some(format!("{}{}", self.place(other.node)?.https, index(channel)))
    }

    /// The steering manifest (draft-pantos-hls-rfc8216bis §7.2) for a player that asks at `authority`.
    ///
    /// The other edges are clones that replace the host and keep the path, with a token in it, and the port: hls.js replaces
    /// no more than the name. So edges with another port than the player came by are left out.
    ///
    /// A player stays where it is unless another edge is much nearer or its own is going: moving viewers to where there is room
    /// is left to what new ones are told, for clones pass by `max_viewers`.
    pub(crate) fn steer(&self, channel: &ChannelName, asked: &Asked, authority: Option<&str>) -> Value {
        let base = asked.here.or(self.near.me);
        let port = self.port(asked, authority);
        let host = |node: NodeId| host(self.place(node)?).filter(|(_, its)| Some(*its) == port).map(|(host, _)| host);
        let (mut priority, mut clones) = (Vec::new(), Vec::new());
        let order = self.order(channel, asked, base);
        for node in &order {
            if Some(*node) == base {
                priority.push(HERE.to_owned());
            } else if let Some(host) = host(*node) {
                let id = self.pathway(*node);
                clones.push(json!({ "BASE-ID": HERE, "ID": id, "URI-REPLACEMENT": { "HOST": host } }));
                priority.push(id);
            }
        }
        self.place_base(&mut priority, asked, base);
        let mut manifest = json!({ "VERSION": 1, "TTL": TTL_S, "PATHWAY-PRIORITY": priority });
        if !clones.is_empty() {
            manifest["PATHWAY-CLONES"] = clones.into();
        }
        // Somebody else knows more when this edge has stopped. The player goes on calling its first edge "here".
        let next = order.iter().find(|node| Some(**node) != self.near.me).and_then(|node| self.place(*node));
        if let (true, Some(base), Some(next)) = (self.is_going(), base, next) {
            manifest["RELOAD-URI"] = format!("{}/live/{channel}/steer.json?here={base}", next.https).into();
        }
        manifest
    }

    /// The best edges, what the player plays by first if it may stay. Nobody is sent to an edge that is going or full.
    fn order(&self, channel: &ChannelName, asked: &Asked, base: Option<NodeId>) -> Vec<NodeId> {
        let mut ranked = self.made.edges.rank(self.client, Some(channel), EDGES);
        let current = asked.pathway.as_deref().map_or(base, |pathway| self.node_of(pathway, base));
        let is_going = |node: NodeId| self.is_going() && Some(node) == self.near.me;
        ranked.retain(|ranked| !is_going(ranked.node) && (!ranked.full || Some(ranked.node) == current));
        let nearest = ranked.iter().map(|ranked| ranked.est_ms).min();
        let mut order: Vec<NodeId> = ranked.iter().map(|ranked| ranked.node).collect();
        let far = current.and_then(|node| self.made.edges.estimate(self.client, node));
        if let (Some(current), Some(far)) = (current.filter(|node| !is_going(*node)), far) {
            order.retain(|node| *node != current);
            let may_stay = nearest.is_none_or(|nearest| far <= nearest + STAY_MS);
            let at = if may_stay { 0 } else { order.len() };
            order.insert(at, current);
        }
        order
    }

    /// Where the player began, if it is not among the best: last while it is going, absent once it is lost. This edge, which
    /// answers, is there; if it has told nobody its address it is the only one that the player can be sure of.
    fn place_base(&self, priority: &mut Vec<String>, asked: &Asked, base: Option<NodeId>) {
        if priority.iter().any(|id| id == HERE) {
            return;
        }
        let is_me = asked.here.is_none() || asked.here == self.near.me;
        let drains = base.is_some_and(|base| drains(&self.made.view, base));
        match (is_me, self.is_going()) {
            (true, false) => priority.insert(0, HERE.to_owned()),
            (true, true) => priority.push(HERE.to_owned()),
            (false, _) if drains || priority.is_empty() => priority.push(HERE.to_owned()),
            (false, _) => {}
        }
    }

    /// Whether this edge takes nobody new: it stops, or an operator drains it.
    fn is_going(&self) -> bool {
        self.stopping || self.near.me.is_some_and(|me| drains(&self.made.view, me))
    }

    /// The port of the playlists that the player began with.
    fn port(&self, asked: &Asked, authority: Option<&str>) -> Option<Option<u16>> {
        let elsewhere = asked.here.filter(|here| Some(*here) != self.near.me);
        match elsewhere {
            Some(began) => host(self.place(began)?).map(|(_, port)| port),
            None => split_port(authority?).map(|(_, port)| port),
        }
    }

    fn place(&self, node: NodeId) -> Option<&Place> {
        self.made.view.annex.places.nodes.get(&node)
    }

    /// A pathway's id has letters, digits, `.`, `-` and `_` alone, as regions have.
    fn pathway(&self, node: NodeId) -> String {
        match self.place(node).map(|place| place.region.as_str()) {
            Some(region) if !region.is_empty() => format!("{region}-{node}"),
            _ => format!("edge-{node}"),
        }
    }

    fn node_of(&self, pathway: &str, base: Option<NodeId>) -> Option<NodeId> {
        match pathway {
            HERE => base,
            other => other.rsplit('-').next()?.parse().ok().map(NodeId),
        }
    }
}

fn index(channel: &ChannelName) -> String {
    format!("/live/{channel}/index.m3u8")
}

fn host(place: &Place) -> Option<(&str, Option<u16>)> {
    host_and_port(&place.https, VIEWERS)
}

#[cfg(test)]
mod tests;
