//! The REST API as processes run it: a control node that keeps accounts answers it, an edge passes it on.

use std::{path::Path, sync::Arc};

use anyhow::Context;
use freshet_control_plane::{
    accounts::{self, Accounts, Database, User},
    api::Api,
    control::Control,
    remote::ApiRemote,
};
use freshet_edge::{
    gateway::{ApiUnavailable, ApiUpstream},
    upstream::BoxFuture,
};
use freshet_proto::api::{ApiReply, ApiRequest};
use tokio::time::{Duration, Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::World;

/// Where a control node keeps accounts.
#[derive(Debug, Clone, Default)]
pub struct AccountsPlan {
    /// The database; `None` for a file beside what the first control node keeps, and none for those that joined it.
    pub database: Option<Database>,
    /// How accounts behave.
    pub config: accounts::Config,
}

/// The file, under the data directory.
pub const FILE: &str = "accounts.db";

/// How long a node may take to learn what platform it is of.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long control nodes are looked for on behalf of one request.
const LIMIT: Duration = Duration::from_secs(9);

/// The API of a running control node.
pub struct ApiNode {
    accounts: Accounts,
    closing: CancellationToken,
    /// The first administrator and how to come in, where nobody has a password yet.
    pub first_admin: Option<(User, accounts::Secret)>,
}

impl ApiNode {
    /// Opens the accounts and answers the API from now on. `None` where this node keeps none: another one does.
    ///
    /// # Errors
    /// When the database can't be had, in words for the operator.
    pub async fn start(
        plan: AccountsPlan,
        control: &Control,
        data: &Path,
        first: bool,
        world: &World,
    ) -> anyhow::Result<Option<Self>> {
        let beside = || first.then(|| Database::Sqlite(data.join(FILE)));
        let Some(database) = plan.database.or_else(beside) else { return Ok(None) };
        let pepper = pepper(control).await?;
        let (clock, random) = (world.clock.clone(), world.random.clone());
        let accounts = Accounts::open(&database, plan.config, pepper, clock, random).await?;
        tracing::info!(%database, "this control node keeps accounts and answers the API");
        let first_admin = accounts.first_admin().await?;
        let api = Api::new(accounts.clone(), Arc::new(control.seat()));
        control.serve_api(api.clone());
        let closing = CancellationToken::new();
        let until = closing.clone();
        tokio::spawn(async move { api.carry(until).await });
        Ok(Some(Self { accounts, closing, first_admin }))
    }

    /// Stops carrying, and lets the database go.
    pub async fn close(&self) {
        self.closing.cancel();
        self.accounts.close().await;
    }
}

/// A node that has just joined learns it a moment later.
async fn pepper(control: &Control) -> anyhow::Result<freshet_control_plane::key::Pepper> {
    let until = Instant::now() + PATIENCE;
    loop {
        match control.pepper() {
            Ok(pepper) => return Ok(pepper),
            Err(_) if Instant::now() < until => sleep(Duration::from_millis(50)).await,
            Err(why) => return Err(why).context("learning what platform this node is of"),
        }
    }
}

/// The way from an edge to the control nodes.
pub struct Passed(pub ApiRemote);

impl ApiUpstream for Passed {
    fn ask(&self, request: ApiRequest) -> BoxFuture<'static, Result<(ApiReply, bytes::Bytes), ApiUnavailable>> {
        let remote = self.0.clone();
        Box::pin(async move { remote.ask(&request, LIMIT).await.map_err(|denied| ApiUnavailable(denied.to_string())) })
    }
}
