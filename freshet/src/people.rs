//! `freshet user`, `freshet stream`, `freshet channel set|purge`: what operators do with accounts and broadcasts.
//!
//! arguments ──▶ Desk (this host's papers) ──API, as the operator──▶ the control node that keeps accounts ──▶ text or JSON

mod health;

use std::io::Read;

use anyhow::{Context, bail};
use clap::{Subcommand, ValueEnum};
use freshet_proto::id::ChannelName;
use serde_json::{Value, json};

use crate::{
    cli::{Output, Settings},
    operate::Desk,
};

/// What somebody may do to the platform.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Rank {
    /// Use it.
    User,
    /// Run it.
    Admin,
}

/// What can be done with accounts, on a control node's host.
#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Make an account and its channel. Prints the secret of a one-time login link, unless there is a password.
    Add {
        /// Its name: where its channel is watched.
        name: ChannelName,
        /// Its e-mail address, to sign in with.
        #[arg(long)]
        email: Option<String>,
        /// What it may do.
        #[arg(long, value_enum, default_value = "user")]
        role: Rank,
        /// Read its password from standard input, one line.
        #[arg(long)]
        password_stdin: bool,
        /// How the answer is written.
        #[arg(long, value_enum, default_value_t)]
        output: Output,
        /// The control node whose host this is.
        #[command(flatten)]
        at: Settings,
    },
    /// Set a password, read from standard input, one line. All sessions of the account end.
    Passwd {
        /// Whose.
        name: ChannelName,
        /// Make a one-time login link instead.
        #[arg(long)]
        link: bool,
        /// The control node whose host this is.
        #[command(flatten)]
        at: Settings,
    },
    /// List accounts.
    Ls {
        /// Those that have this in their name or address.
        #[arg(long)]
        search: Option<String>,
        /// How the answer is written.
        #[arg(long, value_enum, default_value_t)]
        output: Output,
        /// The control node whose host this is.
        #[command(flatten)]
        at: Settings,
    },
    /// Say what an account may do.
    Role {
        /// Whose.
        name: ChannelName,
        /// What.
        #[arg(value_enum)]
        role: Rank,
        /// The control node whose host this is.
        #[command(flatten)]
        at: Settings,
    },
}

/// What can be done with broadcasts, on a control node's host.
#[derive(Debug, Subcommand)]
pub enum StreamCommand {
    /// List public channels that are live, the most watched first.
    Ls {
        /// How the answer is written.
        #[arg(long, value_enum, default_value_t)]
        output: Output,
        /// The control node whose host this is.
        #[command(flatten)]
        at: Settings,
    },
    /// Tell how a channel's stream does, and what its streamer should mend.
    Health {
        /// The channel.
        name: ChannelName,
        /// How the answer is written.
        #[arg(long, value_enum, default_value_t)]
        output: Output,
        /// The control node whose host this is.
        #[command(flatten)]
        at: Settings,
    },
    /// End a channel's session. The encoder is told why.
    End {
        /// The channel.
        name: ChannelName,
        /// The control node whose host this is.
        #[command(flatten)]
        at: Settings,
    },
}

/// Does what `freshet user` says.
///
/// # Errors
/// In words for the operator.
pub async fn user(command: UserCommand) -> anyhow::Result<()> {
    match command {
        UserCommand::Add { name, email, role, password_stdin, output, at } => {
            let password = if password_stdin { Some(read_line()?) } else { None };
            let new = json!({ "username": name, "email": email, "role": word(role), "password": password });
            let made = Desk::open(&at)?.api("POST", "/api/admin/users", Some(new)).await?;
            if output == Output::Json {
                return print_json(&made);
            }
            println!("{name} has an account and the channel /c/{name}");
            if let Some(link) = made["link"].as_str() {
                println!("{link}");
                eprintln!("This is a one-time login link's secret, good for a day: https://SITE/login#link={link}");
            }
        }
        UserCommand::Passwd { name, link: true, at } => {
            let told = Desk::open(&at)?.api("POST", &format!("/api/admin/users/{name}/login-link"), None).await?;
            println!("{}", told["link"].as_str().unwrap_or_default());
        }
        UserCommand::Passwd { name, link: false, at } => {
            let change = json!({ "password": read_line()? });
            Desk::open(&at)?.api("PATCH", &format!("/api/admin/users/{name}"), Some(change)).await?;
            println!("{name} has a new password; all its sessions have ended");
        }
        UserCommand::Ls { search, output, at } => {
            let query = search.map(|search| format!("&search={}", encoded(&search))).unwrap_or_default();
            let users = all(&Desk::open(&at)?, "/api/admin/users?limit=100", &query).await?;
            if output == Output::Json {
                return print_json(&users.into());
            }
            println!("{:32}  {:6}  {:8}  EMAIL", "NAME", "ROLE", "STATE");
            for user in users {
                let text = |key: &str| user[key].as_str().unwrap_or_default().to_owned();
                let state = if user["disabled_ms"].is_null() { "active" } else { "disabled" };
                println!("{:32}  {:6}  {state:8}  {}", text("username"), text("role"), text("email"));
            }
        }
        UserCommand::Role { name, role, at } => {
            let change = json!({ "role": word(role) });
            Desk::open(&at)?.api("PATCH", &format!("/api/admin/users/{name}"), Some(change)).await?;
            println!("{name} is {}", word(role));
        }
    }
    Ok(())
}

/// Does what `freshet stream` says.
///
/// # Errors
/// In words for the operator.
pub async fn stream(command: StreamCommand) -> anyhow::Result<()> {
    match command {
        StreamCommand::Ls { output, at } => {
            let streams = all(&Desk::open(&at)?, "/api/streams/live?limit=100", "").await?;
            if output == Output::Json {
                return print_json(&streams.into());
            }
            println!("{:32}  {:12}  {:>8}  TITLE", "NAME", "STATE", "VIEWERS");
            for stream in streams {
                let text = |key: &str| stream[key].as_str().unwrap_or_default().to_owned();
                println!("{:32}  {:12}  {:>8}  {}", text("id"), text("state"), stream["viewers"], text("title"));
            }
        }
        StreamCommand::Health { name, output, at } => {
            let told = Desk::open(&at)?.api("GET", &format!("/api/streams/{name}/health"), None).await?;
            if output == Output::Json {
                return print_json(&told);
            }
            health::lines(&told).iter().for_each(|line| println!("{line}"));
        }
        StreamCommand::End { name, at } => {
            Desk::open(&at)?.api("POST", &format!("/api/streams/{name}/end"), None).await?;
            println!("{name} is off the air");
        }
    }
    Ok(())
}

/// Says what a channel is like.
///
/// # Errors
/// In words for the operator.
pub async fn set(desk: &Desk, name: &ChannelName, change: Value) -> anyhow::Result<()> {
    let told = desk.api("PATCH", &format!("/api/streams/{name}"), Some(change)).await?;
    println!(
        "{name}: {}, {:?}",
        told["visibility"].as_str().unwrap_or_default(),
        told["title"].as_str().unwrap_or_default()
    );
    Ok(())
}

/// Drops what a channel has published so far.
///
/// # Errors
/// In words for the operator.
pub async fn purge(desk: &Desk, name: &ChannelName) -> anyhow::Result<()> {
    desk.api("POST", &format!("/api/admin/streams/{name}/purge"), None).await?;
    println!("{name}: what it has published so far is refused everywhere");
    Ok(())
}

/// All pieces of a list.
async fn all(desk: &Desk, target: &str, query: &str) -> anyhow::Result<Vec<Value>> {
    let (mut items, mut cursor) = (Vec::new(), String::new());
    loop {
        let mut page = desk.api("GET", &format!("{target}{query}{cursor}"), None).await?;
        let Value::Array(more) = page["items"].take() else { bail!(crate::operate::UNEXPECTED) };
        items.extend(more);
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={}", encoded(next)),
            None => return Ok(items),
        }
    }
}

fn word(rank: Rank) -> &'static str {
    match rank {
        Rank::User => "user",
        Rank::Admin => "admin",
    }
}

/// A value of a query (RFC 3986 §2.1).
fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// The longest password that is read, in bytes.
const MAX_LINE: u64 = 4096;

fn read_line() -> anyhow::Result<String> {
    let mut text = String::new();
    std::io::stdin().take(MAX_LINE).read_to_string(&mut text).context("reading the password from standard input")?;
    let line = text.lines().next().unwrap_or_default().to_owned();
    if line.is_empty() { bail!("standard input holds no password") } else { Ok(line) }
}

fn print_json(value: &Value) -> anyhow::Result<()> {
    println!("{}", serde_json::to_string_pretty(value)?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_searched_for_does_not_break_the_query() {
        assert_eq!(encoded("a&b=ü"), "a%26b%3D%C3%BC");
    }
}
