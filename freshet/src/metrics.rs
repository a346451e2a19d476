//! Installs the recorder of metrics and says what each of them means.

use std::time::Duration;

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

/// How often the recorder folds what it has gathered.
const UPKEEP: Duration = Duration::from_secs(5);

/// The buckets of times that players tell, in seconds: close around what is wanted, two seconds of startup and of latency.
const SECONDS: [f64; 12] = [0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 6.0, 10.0, 30.0];

/// Installs the recorder, once per process, before any service starts. Must be called in a tokio runtime.
///
/// # Errors
/// When there is a recorder already.
pub fn install() -> anyhow::Result<PrometheusHandle> {
    let of_players = Matcher::Prefix("freshet_player_".to_owned());
    let handle = PrometheusBuilder::new().set_buckets_for_metric(of_players, &SECONDS)?.install_recorder()?;
    describe();
    let upkeep = handle.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(UPKEEP).await;
            upkeep.run_upkeep();
        }
    });
    Ok(handle)
}

/// The sum of all series of a metric, from its text.
pub fn total(text: &str, name: &str) -> f64 {
    let of_metric = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']));
    text.lines()
        .filter(of_metric)
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .fold(0.0, |sum, n| sum + n)
}

fn describe() {
    describe_ingest();
    describe_offer();
    describe_edge();
    describe_players();
    describe_chat();
    describe_quic();
    describe_control();
}

fn describe_chat() {
    describe_gauge!("freshet_chat_connections", "Chat connections");
    describe_gauge!("freshet_chat_channels", "Channels whose chat is read here");
    describe_counter!("freshet_chat_joins_total", "Times that somebody came into a channel");
    describe_counter!("freshet_chat_events_total", "Messages and other events that were shown, each once");
    describe_counter!("freshet_chat_deliveries_total", "Frames of channels that were delivered, each reader counted");
    describe_counter!("freshet_chat_delivered_bytes_total", Unit::Bytes, "Bytes of these frames");
    describe_counter!("freshet_chat_writes_total", "Writes to sockets that these took");
    describe_counter!("freshet_chat_gaps_total", "Gaps that were told: a reader too slow, or the hub itself cut off");
    describe_counter!("freshet_chat_posts_total", "Posts and commands, accepted or by the code of their refusal");
    describe_counter!("freshet_chat_turned_away_total", "Chat connections that were not taken, by reason");
    describe_counter!("freshet_chat_ended_total", "Chat connections that ended, by reason");
}

fn describe_ingest() {
    describe_gauge!("freshet_origin_rtmp_connections", "RTMP and RTMPS connections, publishing or not");
    describe_gauge!("freshet_origin_publishers", "Encoders that publish");
    describe_gauge!("freshet_origin_sessions", "Broadcasts that are kept, ended ones among them");
    describe_counter!("freshet_origin_ingest_bytes_total", Unit::Bytes, "Bytes read from encoders");
    describe_counter!("freshet_origin_messages_total", "RTMP messages of media, by kind");
    describe_counter!("freshet_origin_dropped_messages_total", "Messages that could not be used, by reason");
    describe_counter!("freshet_origin_connections_closed_total", "Encoder connections that ended, by reason");
    describe_counter!("freshet_registry_alerts_total", "Fights of two encoders over one channel");
}

fn describe_offer() {
    describe_counter!("freshet_origin_parts_total", "Parts made, all tracks");
    describe_counter!("freshet_origin_part_bytes_total", Unit::Bytes, "Bytes of parts made");
    describe_gauge!("freshet_origin_window_bytes", Unit::Bytes, "Bytes of media kept for viewers");
    describe_counter!("freshet_origin_transfers_total", "Objects sent to other nodes, by verb");
    describe_counter!("freshet_origin_sent_bytes_total", Unit::Bytes, "Bytes sent to other nodes");
    describe_counter!("freshet_origin_fetches_total", "Fetches answered, by status");
    describe_gauge!("freshet_origin_held_fetches", "Fetches that wait for what is announced");
    describe_counter!("freshet_origin_follows_total", "Follows begun by other nodes");
    describe_gauge!("freshet_origin_following", "Follows under way");
}

fn describe_edge() {
    describe_counter!("freshet_edge_requests_total", "Requests of viewers, by kind and status");
    describe_counter!("freshet_edge_bytes_total", Unit::Bytes, "Bytes of bodies sent to viewers, by kind");
    describe_counter!(
        "freshet_edge_cache_total",
        "How requests met the cache: hit, miss, coalesced, negative, assembled"
    );
    describe_counter!("freshet_edge_drops_total", "Connections that the edge ended, by reason");
    describe_gauge!("freshet_edge_connections", "Connections of viewers, by kind");
    describe_counter!("freshet_edge_upstream_transfers_total", "Fetches sent to origins");
    describe_counter!("freshet_edge_edges_asked_total", "Fetches sent to other edges, because an origin was gone");
    describe_counter!("freshet_edge_edges_had_total", "Objects of an origin that was gone which another edge had");
    describe_counter!("freshet_edge_upstream_failures_total", "Fetches that failed");
    describe_counter!("freshet_edge_upstream_bytes_total", Unit::Bytes, "Bytes that came from upstream");
    describe_gauge!("freshet_edge_fills", "Fetches under way");
    describe_counter!("freshet_edge_follows_total", "Follows begun");
    describe_gauge!("freshet_edge_follows", "Tracks followed");
    describe_gauge!("freshet_edge_held", "Playlist requests held until something comes");
    describe_counter!("freshet_edge_held_total", "Playlist requests that were held");
    describe_counter!("freshet_edge_released_total", "Held requests that got what they waited for");
    describe_counter!("freshet_edge_stalled_total", "Held requests that nothing came for in time");
    describe_counter!("freshet_edge_shed_total", "Requests refused because the budget of held ones was spent");
}

fn describe_players() {
    describe_gauge!("freshet_player_sessions", "Players that report here now");
    describe_counter!("freshet_player_reports_total", "Reports of players, by result");
    describe_histogram!("freshet_player_startup_seconds", Unit::Seconds, "From the wish to play to the first picture");
    describe_histogram!("freshet_player_latency_seconds", Unit::Seconds, "How far players are behind, at each report");
    describe_counter!("freshet_player_played_seconds_total", Unit::Seconds, "Time that pictures moved, all players");
    describe_counter!("freshet_player_stalled_seconds_total", Unit::Seconds, "Time that they stood for lack of data");
    describe_counter!("freshet_player_stalls_total", "Times that they stood for lack of data");
    describe_counter!("freshet_player_errors_total", "Errors that players told");
    describe_counter!("freshet_player_dropped_frames_total", "Frames that players did not show");
}

fn describe_quic() {
    describe_gauge!("freshet_quic_connections", "Connections between nodes, by side");
    describe_gauge!("freshet_quic_round_trip_seconds", Unit::Seconds, "Smoothed round trip to a node");
    describe_gauge!("freshet_quic_mtu_bytes", Unit::Bytes, "Datagram size in use towards a node");
    describe_counter!("freshet_quic_packets_sent_total", "Packets sent to a node");
    describe_counter!("freshet_quic_packets_lost_total", "Packets to a node that were lost");
    describe_counter!("freshet_quic_requests_total", "Requests between nodes, by side, verb and outcome");
    describe_counter!("freshet_quic_refused_total", "Connections between nodes that did not come about, by side");
}

fn describe_control() {
    describe_gauge!("freshet_keys_can_sign", "1 where this control node can sign tokens, else 0");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_total_adds_the_series_of_one_metric() {
        let text = "# TYPE a_total counter\na_total{k=\"x\"} 2\na_total{k=\"y\"} 3\na_total_other 9\nb 1\n";
        assert_eq!([total(text, "a_total"), total(text, "b"), total(text, "c")], [5.0, 1.0, 0.0]);
    }
}
