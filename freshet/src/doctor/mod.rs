//! `freshet doctor`: looks at this machine with a node's configuration, and says what would go wrong and what to do about it.
//!
//! ```text
//! configuration ──▶ machine · ports · certificates · peers ──▶ Findings ──▶ table or JSON, exit code
//! ```
//! Nothing is changed: ports are had for a moment, a file in the data directory is written, synced and removed, and peers are
//! asked what every node may ask. It can be run before a node starts and while it runs.

mod certificates;
mod findings;
mod machine;
mod peers;
mod ports;

use std::process::ExitCode;

use freshet_control_plane::ca;
use freshet_proto::view::Role;

use self::findings::Findings;
use crate::{
    cli::{Output, Settings},
    config::Config,
    node::Papers,
    role,
};

/// Looks at this machine as a node would find it. The exit code is 1 where something would fail.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What this machine is to be; a node that has joined knows, and so does a configuration that fits one role.
    #[arg(long)]
    role: Option<Role>,
    /// How the answer is written.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
    /// The node's configuration.
    #[command(flatten)]
    at: Settings,
}

/// What the checks look at.
struct Patient {
    config: Config,
    papers: Option<Papers>,
    role: Option<Role>,
}

/// Checks and prints.
///
/// # Errors
/// A configuration that can't be read: what else is wrong is a finding.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let config = args.at.load()?.config;
    let mut findings = Findings::default();
    let papers = Papers::load(&config.node.data).unwrap_or_else(|error| {
        findings.fault(
            "papers",
            format!("{error:#}"),
            "restore them from a backup, or remove the node and join it anew",
        );
        None
    });
    let fits = role::check(&config);
    if let Err(error) = &fits {
        findings.fault("configuration", error.to_string(), "see `freshet config check`");
    }
    let known = papers.as_ref().map(|papers| papers.role).or_else(|| match fits.as_deref() {
        Ok([only]) => only.parse().ok(),
        _ => None,
    });
    let patient = Patient { config, papers, role: args.role.or(known) };
    patient.examine(&mut findings).await;
    print!("{}", if args.output == Output::Json { findings.json() } else { findings.table() });
    Ok(ExitCode::from(u8::from(findings.has_fault())))
}

impl Patient {
    async fn examine(&self, findings: &mut Findings) {
        match self.role {
            Some(role) => findings.good("role", role.to_string()),
            None => findings.advise(
                "role",
                "neither papers nor configuration say what this machine is to be".to_owned(),
                "say so with --role, so that its ports and limits are looked at",
            ),
        }
        machine::descriptors(self, findings);
        machine::udp_buffers(findings);
        machine::disk(self, findings);
        ports::look(self, findings).await;
        certificates::look(self, findings);
        peers::look(self, findings).await;
    }

    fn is(&self, role: Role) -> bool {
        self.role == Some(role)
    }

    /// The files of the node's certificate, its key and its authority.
    fn identity_files(&self) -> Option<[std::path::PathBuf; 3]> {
        let data = &self.config.node.data;
        if self.papers.is_some() {
            return Some([data.join("node.pem"), data.join("node.key"), data.join(ca::CERTIFICATE)]);
        }
        let quic = &self.config.quic;
        Some([quic.certificate.clone()?, quic.key.clone()?, quic.ca.clone()?])
    }
}
