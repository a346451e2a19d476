//! The REST API's place in a control node: who may ask it, and what it may ask of the registry.

use std::sync::Arc;

use freshet_proto::{
    admin::{AdminCommand, AdminReply},
    annex::{Mark, Visibility},
    api::{ApiReply, ApiRequest},
    id::ChannelName,
    message::{Denied, Request},
    quic::{QuicError, Responder, decode},
    registry::Refused,
    token::Claims,
    view::{Role, View},
};
use tokio::{
    sync::Mutex,
    time::{Duration, Instant},
};

use super::{Control, Inner};
use crate::{
    api::{Api, Asked, Counted, Counts, OPERATOR, Platform},
    key::{KeyHash, Pepper},
    machine::{Charter, Input, Registry, Timing},
    remote::Remote,
};

/// How long the leader is looked for on behalf of a request.
const LIMIT: Duration = Duration::from_secs(5);

/// How long an answer of the leader serves.
const FRESH: Duration = Duration::from_secs(1);

/// What the API sees of its control node.
pub struct Seat {
    control: Control,
    remote: Remote,
    counts: Mutex<Option<(Instant, Counts)>>,
}

impl Control {
    /// What an API over this node goes by.
    pub fn seat(&self) -> Seat {
        let inner = &self.0;
        let view = inner.group.feed().view();
        let remote = Remote::new(inner.pool.clone(), inner.seeds.clone(), Some(view), inner.random.clone());
        Seat { control: self.clone(), remote, counts: Mutex::default() }
    }

    /// Answers API requests with `api` from now on; without one, edges are sent to another control node. Only the first call
    /// counts.
    pub fn serve_api(&self, api: Api) {
        let _ = self.0.api.set(api);
    }

    /// The secret under which stream keys are kept.
    ///
    /// # Errors
    /// [`Refused::Unavailable`] while this node does not know the platform yet.
    pub fn pepper(&self) -> Result<Pepper, Denied> {
        Ok(self.0.secrets()?.pepper)
    }
}

impl Inner {
    /// Only an edge, which has verified who asks, and a control node's host may say who somebody is.
    pub(super) async fn answer_api(&self, mut reply: Responder) -> Result<(), QuicError> {
        let body = reply.take_body();
        let (answer, body) = match self.admitted(&reply.peer().name, &body) {
            Ok((api, request)) => {
                let (head, body) = api.answer(request).await;
                (Ok(head), body)
            }
            Err(denied) => (Err::<ApiReply, _>(denied), bytes::Bytes::new()),
        };
        reply.write_frame(&answer).await?;
        if !body.is_empty() {
            reply.write_payload(body).await?;
        }
        reply.finish().await
    }

    fn admitted(&self, peer: &str, body: &[u8]) -> Result<(&Api, ApiRequest), Denied> {
        let role = self.role_of(peer);
        if !matches!(role, None | Some(Role::Edge | Role::Control)) {
            return Err(Denied::Forbidden("only an edge or a control node's host may ask for clients".to_owned()));
        }
        // It may have joined a moment ago, and then another node may know it.
        role.ok_or(Denied::Refused(Refused::Unavailable))?;
        let api = self.api.get().ok_or(Denied::Elsewhere(None))?;
        let too_long = body.len() > ApiRequest::MAX + Request::MAX_FRAME;
        let request = if too_long { None } else { decode::<ApiRequest>(body).ok() };
        let request = request.ok_or_else(|| Denied::Forbidden(format!("{peer} sends a request that can't be read")))?;
        let claims_operator = request.headers.iter().any(|(name, value)| {
            name.eq_ignore_ascii_case("x-client-roles") && value.split(',').any(|role| role.trim() == OPERATOR)
        });
        if claims_operator && role != Some(Role::Control) {
            return Err(Denied::Forbidden("an edge has no operators".to_owned()));
        }
        Ok((api, request))
    }

    pub(super) async fn put_charter(
        &self,
        channel: ChannelName,
        seq: u64,
        charter: Option<freshet_proto::admin::Charter>,
    ) -> Result<AdminReply, Denied> {
        let charter = charter.map(|charter| Charter {
            keys: charter.keys.into_iter().map(KeyHash::from_bytes).collect(),
            policy: charter.policy,
            visibility: charter.visibility,
            go_live: charter.go_live,
        });
        self.done(Input::Charter { channel, seq, charter }).await
    }

    pub(super) async fn set_visibility(
        &self,
        channel: ChannelName,
        visibility: Visibility,
    ) -> Result<AdminReply, Denied> {
        let known = self.group.read(|registry| registry.annex().marks.of(&channel));
        self.done(Input::Mark { channel, mark: Mark { visibility, ..known } }).await
    }

    pub(super) async fn done(&self, input: Input) -> Result<AdminReply, Denied> {
        self.propose(input).await?.reply?;
        Ok(AdminReply::Done)
    }
}

impl Platform for Seat {
    fn view(&self) -> Arc<View> {
        self.control.0.group.feed().view().borrow().clone()
    }

    fn now_ms(&self) -> u64 {
        self.control.0.clock.now_ms()
    }

    fn draw(&self) -> String {
        self.control.0.random.token()
    }

    fn ask(&self, command: AdminCommand) -> Asked<'_> {
        Box::pin(async move {
            match self.control.0.do_operate(command.clone()).await {
                Err(Denied::Elsewhere(_)) => self.remote.ask(&Request::Admin(command), LIMIT).await,
                answer => answer,
            }
        })
    }

    /// Asks the leader once within [`FRESH`]; who comes meanwhile waits for that answer.
    fn viewers(&self) -> Counted<'_> {
        Box::pin(async move {
            let mut kept = self.counts.lock().await;
            let before = match &*kept {
                Some((at, counts)) if at.elapsed() < FRESH => return counts.clone(),
                Some((_, counts)) => counts.clone(),
                None => Counts::default(),
            };
            let counts = match self.ask(AdminCommand::Viewers).await {
                Ok(AdminReply::Viewers(counts)) => Arc::new(counts),
                _ => before,
            };
            *kept = Some((Instant::now(), counts.clone()));
            counts
        })
    }

    fn timing(&self, channel: &ChannelName) -> Timing {
        self.control.0.group.read(|registry| registry.timing(channel))
    }

    fn chartered(&self) -> usize {
        self.control.0.group.read(Registry::chartered)
    }

    fn sign(&self, claims: &Claims) -> Result<String, String> {
        let signer = self.control.signer().map_err(|error| error.to_string())?;
        signer.sign(claims).map_err(|error| error.to_string())
    }
}
