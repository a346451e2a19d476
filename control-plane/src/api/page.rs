//! Lists in pieces.

use serde::{Deserialize, Deserializer, Serialize, de::Error};
use utoipa::{IntoParams, ToSchema};

use crate::accounts;

/// A piece of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Page<T> {
    /// What is in it.
    items: Vec<T>,
    /// To be given as `cursor` for what follows; null at the end.
    next: Option<String>,
}

impl<T> Page<T> {
    pub(super) fn new(items: Vec<T>, next: Option<String>) -> Self {
        Self { items, next }
    }

    pub(super) fn of<U>(page: accounts::Page<U>, show: impl FnMut(U) -> T) -> Self {
        Self { items: page.items.into_iter().map(show).collect(), next: page.next }
    }
}

/// Which piece.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct Paging {
    /// The `next` of the piece before.
    cursor: Option<String>,
    /// How many at most, 1 to 100.
    #[param(minimum = 1, maximum = 100)]
    #[serde(deserialize_with = "limit")]
    limit: Option<u32>,
}

impl Paging {
    pub(super) fn after(&self) -> Option<&str> {
        self.cursor.as_deref()
    }

    pub(super) fn limit(&self) -> usize {
        self.limit.map_or(accounts::PAGE, |limit| limit as usize)
    }
}

/// How many at most: 1 to [`accounts::PAGE`].
pub(super) fn limit<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    let limit = Option::<u32>::deserialize(deserializer)?;
    match limit {
        Some(limit) if !(1..=accounts::PAGE as u32).contains(&limit) => Err(D::Error::custom("limit is 1 to 100")),
        _ => Ok(limit),
    }
}

#[cfg(test)]
mod tests {
    use axum::extract::Query;

    use super::*;

    fn paging(query: &str) -> Option<(usize, Option<String>)> {
        let uri = format!("/api/me/following{query}").parse().expect("an address");
        let Query(paging) = Query::<Paging>::try_from_uri(&uri).ok()?;
        Some((paging.limit(), paging.after().map(str::to_owned)))
    }

    #[test]
    fn a_piece_is_asked_for_by_its_cursor_and_has_1_to_100_entries() {
        assert_eq!(paging(""), Some((100, None)));
        assert_eq!(paging("?limit=1&cursor=a%20b&other=x"), Some((1, Some("a b".to_owned()))));
        assert_eq!(paging("?limit=100"), Some((100, None)));
        for bad in ["0", "101", "-1", "", "1.5", "many", "4294967297", "1&limit=2"] {
            assert_eq!(paging(&format!("?limit={bad}")), None, "{bad}");
        }
    }
}
