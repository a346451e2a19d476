//! `freshet node join`: a token becomes a node's papers.

use anyhow::{Context, bail};
use freshet_control_plane::join::JoinToken;

use super::desk::explain_any;
use crate::{
    config::Config,
    node::{Papers, World},
};

/// The longest token that is read from a file or from standard input, in bytes.
const MAX_TOKEN: u64 = 4096;

fn read_token(text: &str) -> anyhow::Result<JoinToken> {
    use std::io::Read;
    let mut read = String::new();
    let text = match text.strip_prefix('@') {
        Some(path) => {
            let file = std::fs::File::open(path).with_context(|| format!("opening {path}"))?;
            file.take(MAX_TOKEN).read_to_string(&mut read)?;
            &read
        }
        None if text == "-" => {
            std::io::stdin().take(MAX_TOKEN).read_to_string(&mut read)?;
            &read
        }
        None => text,
    };
    Ok(JoinToken::decode(text)?)
}

/// Joins with a token, `@FILE` or `-`; the papers go into the directory that the configuration names.
pub async fn join(token: &str, name: &str, config: &Config) -> anyhow::Result<()> {
    let data = &config.node.data;
    if let Some(papers) = Papers::load(data)? {
        bail!("{} holds the papers of node {} already; choose another --data", data.display(), papers.name);
    }
    let papers = Papers::obtain(read_token(token)?, name, data, &World::system()).await.map_err(explain_any)?;
    let (node, role) = (papers.id, papers.role);
    println!("{name} is node {node}, {role}; its papers are in {}", data.display());
    let data = data.display();
    println!("next: freshet {role} --data {data} --set quic.advertise=ADDRESS:4430   (where other nodes reach it)");
    Ok(())
}
