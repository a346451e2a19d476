//! Tables for operators, or JSON for their programs.

use freshet_proto::{
    admin::{Cluster, Levels},
    id::ChannelName,
    level::Level,
    view::{ChannelState, NodeView},
};

use crate::cli::Output;

/// The nodes of a platform.
pub fn cluster(cluster: &Cluster, levels: Option<&Levels>, output: Output) -> anyhow::Result<()> {
    let agreed = levels.map(|levels| levels.agreed);
    let speaks =
        |id| levels.and_then(|levels| levels.nodes.iter().find(|(node, _)| *node == id)).map(|(_, level)| level);
    if output == Output::Json {
        let mut json = serde_json::to_value(cluster)?;
        json["protocol"] = serde_json::to_value(agreed)?;
        for (node, status) in json["nodes"].as_array_mut().into_iter().flatten().zip(&cluster.nodes) {
            node["speaks"] = serde_json::to_value(speaks(status.id))?;
        }
        println!("{}", serde_json::to_string_pretty(&json)?);
        return Ok(());
    }
    let widest = cluster.nodes.iter().map(|node| node.id.to_string().len()).max().unwrap_or(0).max(6);
    println!(
        "{:>widest$}  {:20} {:8} {:9} {:6} {:>8} {:>6}  ADDRESS",
        "ID", "NAME", "ROLE", "STATE", "VOTE", "LEASE", "SPEAKS"
    );
    for node in &cluster.nodes {
        let vote = match (cluster.leader == Some(node.id), node.voter) {
            (true, _) => "leads",
            (_, true) => "votes",
            _ => "",
        };
        let lease = node.lease_ms.map_or(String::new(), |ms| format!("{:.1} s", ms as f64 / 1000.0));
        let NodeView { role, quic, server_name, state } = &node.view;
        let (role, state) = (role.to_string(), state.to_string());
        let speaks = speaks(node.id).map_or(String::new(), Level::to_string);
        println!("{:>widest$}  {server_name:20} {role:8} {state:9} {vote:6} {lease:>8} {speaks:>6}  {quic}", node.id.0);
    }
    let leader = cluster.leader.map_or("nobody leads".to_owned(), |leader| format!("node {leader} leads"));
    println!("{leader} term {}; revision {}, as node {} sees it", cluster.term, cluster.revision, cluster.answered_by);
    if let Some(agreed) = agreed {
        println!("the control nodes have agreed on version {agreed} of the node protocol");
    }
    Ok(())
}

/// The channels of a platform.
pub fn channels(channels: &[(ChannelName, ChannelState)], output: Output) -> anyhow::Result<()> {
    if output == Output::Json {
        println!("{}", serde_json::to_string_pretty(channels)?);
        return Ok(());
    }
    println!("{:32}  STATE", "NAME");
    for (name, state) in channels {
        println!("{:32}  {}", name.as_str(), format!("{state:?}").to_lowercase());
    }
    Ok(())
}
