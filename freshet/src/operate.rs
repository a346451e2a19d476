//! `freshet node`, `freshet channel`, `freshet control backup|restore`: what operators do, over the node protocol.
//!
//! ```text
//! arguments ──▶ Desk (this host's papers and certificate) ──ADMIN──▶ the control node that leads ──▶ text or JSON
//! node join ──JOIN, without a certificate──▶ papers
//! ```

mod backup;
mod desk;
mod join;
mod show;

use anyhow::bail;
use freshet_proto::admin::{AdminCommand, AdminReply};

pub use desk::{Desk, UNEXPECTED};

use crate::{
    cli::{ChannelCommand, ControlCommand, NodeCommand},
    people,
};

/// Does what `freshet node` says.
///
/// # Errors
/// In words for the operator.
pub async fn node(command: NodeCommand) -> anyhow::Result<()> {
    match command {
        NodeCommand::Token { role, valid, uses, at } => {
            let reply = Desk::open(&at)?.ask(AdminCommand::MakeToken { role, seconds: valid, uses }).await?;
            let AdminReply::Token(token) = reply else { bail!(UNEXPECTED) };
            println!("{token}");
            eprintln!("On the new {role}'s machine: freshet node join --name NAME --token TOKEN --data DIR");
        }
        NodeCommand::Join { token, name, at } => join::join(&token, &name, &at.load()?.config).await?,
        NodeCommand::Ls { output, at } => {
            let (cluster, levels) = Desk::open(&at)?.cluster().await?;
            show::cluster(&cluster, levels.as_ref(), output)?;
        }
        NodeCommand::Drain { name, undo, at } => {
            Desk::open(&at)?.ask(AdminCommand::Drain { name: name.clone(), draining: !undo }).await?;
            println!("{name} {}", if undo { "works again" } else { "takes nothing new" });
        }
        NodeCommand::Remove { name, at } => {
            match Desk::open(&at)?.ask(AdminCommand::RemoveNode { name: name.clone() }).await? {
                AdminReply::CutOff { unaware } => {
                    println!("{name} is removed and cut off: other nodes talk to it no more");
                    print_unaware(&unaware);
                }
                AdminReply::Barred { unaware } => {
                    println!("no node {name} is there; whoever was certified under that name before is cut off");
                    print_unaware(&unaware);
                }
                _ => println!("{name} is removed; {STILL_CERTIFIED}"),
            }
        }
    }
    Ok(())
}

/// Does what `freshet channel` says.
///
/// # Errors
/// In words for the operator.
pub async fn channel(command: ChannelCommand) -> anyhow::Result<()> {
    match command {
        ChannelCommand::Put { name, policy, at } => {
            let reply = Desk::open(&at)?.ask(AdminCommand::PutChannel { channel: name, policy }).await?;
            let AdminReply::Key(key) = reply else { bail!(UNEXPECTED) };
            println!("{key}");
            eprintln!("This is the stream key. It can't be shown again; a new one replaces it.");
        }
        ChannelCommand::Ls { output, at } => {
            let AdminReply::Channels(channels) = Desk::open(&at)?.ask(AdminCommand::Channels).await? else {
                bail!(UNEXPECTED)
            };
            show::channels(&channels, output)?;
        }
        ChannelCommand::Set { name, visibility, title, category, go_live, at } => {
            let said = [("visibility", visibility), ("title", title), ("category", category), ("go_live", go_live)];
            let change = said.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?.into()))).collect();
            people::set(&Desk::open(&at)?, &name, serde_json::Value::Object(change)).await?;
        }
        ChannelCommand::Purge { name, at } => people::purge(&Desk::open(&at)?, &name).await?,
        ChannelCommand::Rm { name, at } => {
            Desk::open(&at)?.ask(AdminCommand::RemoveChannel { channel: name.clone() }).await?;
            println!("{name} is removed");
        }
    }
    Ok(())
}

/// Does what `freshet control backup` or `restore` says.
///
/// # Errors
/// In words for the operator.
pub async fn control(command: ControlCommand) -> anyhow::Result<()> {
    match command {
        ControlCommand::Backup { file, from: Some(data), .. } => backup::salvage_to(&file, &data)?,
        ControlCommand::Backup { file, from: None, at } => {
            backup::keep(&file, &Desk::open(&at)?.backup().await?)?;
        }
        ControlCommand::Restore { file, at } => backup::restore_from(&file, &at.load()?.config)?,
    }
    Ok(())
}

/// What a node that was removed the old way can still do.
const STILL_CERTIFIED: &str = "but its certificate stays valid until it expires, within 30 days, and other nodes talk to it. \
     Remove it once more when all control nodes are upgraded, and it is cut off";

fn print_unaware(unaware: &[String]) {
    if !unaware.is_empty() {
        eprintln!("Except these, which speak version 1 of the node protocol; upgrade them: {}", unaware.join(", "));
    }
}
