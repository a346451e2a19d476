//! The platform of `freshet dev`: one control node that decides alone, and papers for the other two roles.
//!
//! The roles join as they would on machines of their own, by token, the first time; later their papers are there.

use std::path::PathBuf;

use freshet_control_plane::{local::ChannelConfig, raft};
use freshet_proto::view::{NodeView, Role};

use super::{home::Home, port};
use crate::{
    config::Config,
    node::{ControlNode, ControlPlan, Papers, World},
    role,
};

/// The control node, running.
pub struct Platform {
    /// It.
    pub control: ControlNode,
    dir: PathBuf,
}

/// Nobody else votes, so there is nobody to be patient with: a start waits for no election longer than this.
fn alone(configured: &raft::Config) -> raft::Config {
    raft::Config { heartbeat_ms: 50, election_min_ms: 150, election_max_ms: 300, ..configured.clone() }
}

impl Platform {
    /// Starts the control node; the first time it founds the platform.
    ///
    /// # Errors
    /// Files or a port that can't be had.
    pub async fn open(home: &Home, config: &Config, channel: ChannelConfig, world: &World) -> anyhow::Result<Self> {
        let mut quic = config.listen.quic;
        quic.set_port(0);
        let data = home.dir().join("control");
        let plan = ControlPlan {
            keys: role::key_plan(config, &data)?,
            data,
            quic: port("control (QUIC)", quic, "--quic-port"),
            advertise: None,
            raft: alone(&config.control.raft),
            times: config.registry,
            found: Some("control".to_owned()),
            certified_for: config.control.certified_for()?,
            accounts: config.accounts.plan()?,
        };
        let control = ControlNode::start(plan, world).await?;
        control.control.set_channels(&[channel]).await?;
        Ok(Self { control, dir: home.dir().to_owned() })
    }

    /// Where a role keeps its papers.
    pub fn data(&self, role: Role) -> PathBuf {
        self.dir.join(role.to_string())
    }

    /// A role's papers; it joins where it has none. Whom to ask is told anew each time, for ports change.
    ///
    /// # Errors
    /// Files that can't be had.
    pub async fn papers(&self, role: Role, world: &World) -> anyhow::Result<Papers> {
        let data = self.data(role);
        let papers = match Papers::load(&data)? {
            Some(papers) => papers,
            None => {
                let token = self.control.control.token(role).await?;
                Papers::obtain(token, &role.to_string(), &data, world).await?
            }
        };
        Ok(Papers { control: self.seeds(), ..papers })
    }

    fn seeds(&self) -> Vec<NodeView> {
        vec![NodeView::new(Role::Control, self.control.quic, "control")]
    }
}
