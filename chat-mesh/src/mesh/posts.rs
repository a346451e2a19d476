//! Posts that came in here and wait for their home's answer. They are sent again until it comes: a home knows those that
//! it has had.

use std::collections::BTreeMap;

use freshet_proto::{
    chat::{Code, Refusal, Submit},
    id::NodeId,
};

use super::{Mesh, Message, Now, Output};

/// How many posts may wait.
const MAX_POSTS: usize = 16_384;
/// After how many ms a post is sent again that no home wanted.
const RETRY_MS: u64 = 250;
/// After how many ms a post is sent again that was not answered.
const AGAIN_MS: u64 = 2_000;
/// After how many ms its sender is told that nobody can write at present.
pub(super) const PATIENCE_MS: u64 = 8_000;

#[derive(Debug)]
struct Post {
    submit: Box<Submit>,
    to: Option<NodeId>,
    since_ms: u64,
    /// When it is to be sent again.
    again_ms: u64,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Posts(BTreeMap<u64, Post>);

impl Posts {
    /// Whether the answer to it is the first.
    pub fn answered(&mut self, ticket: u64) -> bool {
        self.0.remove(&ticket).is_some()
    }

    /// Its home did not want it.
    pub fn not_home(&mut self, ticket: u64, now_ms: u64) {
        if let Some(post) = self.0.get_mut(&ticket) {
            (post.to, post.again_ms) = (None, now_ms + RETRY_MS);
        }
    }
}

impl Mesh {
    pub(super) fn post(&mut self, now: Now, ticket: u64, submit: Box<Submit>, out: &mut Vec<Output>) {
        if self.posts.0.len() >= MAX_POSTS {
            let refusal = Refusal::for_ms(Code::RateLimit, 1_000);
            return out.push(Output::Answer { ticket, answer: Err(refusal) });
        }
        let post = Post { submit, to: None, since_ms: now.mono_ms, again_ms: now.mono_ms };
        self.posts.0.insert(ticket, post);
        self.send_post(now, ticket, out);
    }

    /// Sends those again whose home is another now, or which `wants` to have gone there.
    pub(super) fn resend(&mut self, now: Now, wants: impl Fn(Option<NodeId>) -> bool, out: &mut Vec<Output>) {
        let is_due = |post: &Post| wants(post.to);
        let due: Vec<u64> = self.posts.0.iter().filter(|(_, post)| is_due(post)).map(|(ticket, _)| *ticket).collect();
        due.into_iter().for_each(|ticket| self.send_post(now, ticket, out));
    }

    pub(super) fn sweep_posts(&mut self, now: Now, out: &mut Vec<Output>) {
        let over: Vec<u64> = self
            .posts
            .0
            .extract_if(.., |_, post| post.since_ms + PATIENCE_MS <= now.mono_ms)
            .map(|(ticket, _)| ticket)
            .collect();
        out.extend(over.into_iter().map(|ticket| Output::Answer { ticket, answer: Err(Code::Paused.into()) }));
        let due: Vec<u64> =
            self.posts.0.iter().filter(|(_, post)| post.again_ms <= now.mono_ms).map(|(ticket, _)| *ticket).collect();
        due.into_iter().for_each(|ticket| self.send_post(now, ticket, out));
    }

    fn send_post(&mut self, now: Now, ticket: u64, out: &mut Vec<Output>) {
        let Some(post) = self.posts.0.get_mut(&ticket) else { return };
        // A hub that stood still may have had it for so long that homes have forgotten it, and said elsewhere meanwhile.
        if post.since_ms + PATIENCE_MS <= now.mono_ms {
            return;
        }
        let to = self.standing.home_of(&post.submit.channel);
        (post.to, post.again_ms) = (to, now.mono_ms + if to.is_some() { AGAIN_MS } else { RETRY_MS });
        if let Some(to) = to {
            let submit = post.submit.clone();
            self.send(to, Message::Submit { ticket, submit }, out);
        }
    }
}
