//! How fast somebody may post through this hub, over all their connections and the API.

use std::collections::BTreeMap;

use freshet_proto::chat::{Code, Login, Refusal};

use crate::{
    home::pace::Bucket,
    session::{MODERATOR_POSTS, POSTS},
};

/// How many people are remembered. While there are more, those who are new wait.
const MAX: usize = 100_000;

/// See the module.
#[derive(Default)]
pub(super) struct Paces(BTreeMap<Login, Pace>);

struct Pace {
    posts: Bucket,
    as_moderator: Bucket,
    /// When it last posted, in ms.
    at_ms: u64,
}

impl Paces {
    /// Whether somebody may post now.
    pub(super) fn take(&mut self, login: &Login, moderates: bool, now_ms: u64) -> Result<(), Refusal> {
        if self.0.len() >= MAX && !self.0.contains_key(login) {
            return Err(Refusal::for_ms(Code::RateLimit, 1_000));
        }
        let bucket = |(size, period_ms)| Bucket::new(size, period_ms);
        let pace = self.0.entry(login.clone()).or_insert_with(|| Pace {
            posts: bucket(POSTS),
            as_moderator: bucket(MODERATOR_POSTS),
            at_ms: now_ms,
        });
        pace.at_ms = now_ms;
        let bucket = if moderates { &mut pace.as_moderator } else { &mut pace.posts };
        bucket.take(now_ms).map_err(|wait_ms| Refusal::for_ms(Code::RateLimit, wait_ms))
    }

    /// Forgets those whose buckets are full again.
    pub(super) fn forget(&mut self, now_ms: u64) {
        let longest = u64::from(POSTS.1.max(MODERATOR_POSTS.1));
        self.0.retain(|_, pace| pace.at_ms + longest > now_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn somebody_posts_so_much_however_many_connections_they_have() {
        let (mut paces, bob) = (Paces::default(), "bob".parse().unwrap());
        for _ in 0..20 {
            assert_eq!(paces.take(&bob, false, 0), Ok(()));
        }
        let refused = paces.take(&bob, false, 0).unwrap_err();
        assert_eq!((refused.code, refused.retry_ms), (Code::RateLimit, Some(1_500)));
        assert_eq!(paces.take(&"eve".parse().unwrap(), false, 0), Ok(()), "others are others");
        assert_eq!(paces.take(&bob, true, 0), Ok(()), "as a moderator one has more");
        assert_eq!(paces.take(&bob, false, 1_500), Ok(()));
        paces.forget(31_499);
        assert_eq!(paces.0.len(), 1);
        paces.forget(31_500);
        assert!(paces.0.is_empty());
    }
}
