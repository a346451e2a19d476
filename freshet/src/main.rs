//! The binary: every role, its configuration and its command line.
//!
//! ```text
//! arguments ─▶ cli ─▶ config (defaults < file < environment < flags) ─▶ a role: dev · control · origin · edge ─▶ exit code
//! ```
//! Exit codes: 0 done, 1 failed while running, 2 wrong usage, 78 wrong configuration (`EX_CONFIG` of sysexits).

mod admin;
mod ca;
mod cli;
mod config;
mod dev;
mod doctor;
mod files;
mod front;
mod keys;
mod life;
mod lint;
mod logging;
mod metrics;
mod node;
mod operate;
mod people;
mod ports;
mod redirect;
mod role;
mod site;
mod tls;

use std::process::ExitCode;

use clap::Parser;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::{
    cli::{CaCommand, Cli, Command, ConfigCommand},
    config::ConfigError,
};

/// Failed while running.
const EXIT_FAILURE: u8 = 1;
/// The configuration is wrong: nothing was bound, restarting will not help (`EX_CONFIG`).
const EXIT_CONFIG: u8 = 78;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("freshet: {error:#}");
            let wrong_config = error.chain().any(|cause| cause.is::<ConfigError>());
            ExitCode::from(if wrong_config { EXIT_CONFIG } else { EXIT_FAILURE })
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    match cli.command {
        Command::Dev(dev) => block_on(dev.run())?,
        Command::Control(args) => match args.command {
            Some(command) => block_on(operate::control(command))?,
            None => block_on(role::control(args.settings.load()?.config, args.bootstrap))?,
        },
        Command::Node { command } => block_on(operate::node(*command))?,
        Command::Channel { command } => block_on(operate::channel(*command))?,
        Command::Key { command } => block_on(keys::key(*command))?,
        Command::User { command } => block_on(people::user(*command))?,
        Command::Stream { command } => block_on(people::stream(*command))?,
        Command::Origin(settings) => block_on(role::origin(settings.load()?.config))?,
        Command::Edge(settings) => block_on(role::edge(settings.load()?.config))?,
        Command::Ca { command } => match command {
            CaCommand::Init(args) => ca::init(&args)?,
            CaCommand::Issue(args) => ca::issue(&args)?,
        },
        Command::Config { command } => match *command {
            ConfigCommand::Check(settings) => {
                let loaded = settings.load()?;
                let roles = role::check(&loaded.config)?;
                let fit = if roles.is_empty() { "no role".to_owned() } else { roles.join(" and ") };
                println!("the configuration is good for {fit}: {}", loaded.summary());
            }
            ConfigCommand::Print(settings) => print!("{}", config::print(&settings.load()?)),
        },
        Command::Lint(args) => return block_on(lint::run(args)),
        Command::Doctor(args) => return block_on(doctor::run(*args)),
        Command::Completions { shell } => cli::completions(shell),
        Command::Version => println!("{}", cli::version()),
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs on a runtime with one thread for each core.
fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    raise_open_files();
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(work)
}

/// Takes as many open files as the system gives: the usual soft limit of 1,024 is less than an edge's viewers.
fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    // Where it is refused the limit stays, and accepting waits for a free one.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}
