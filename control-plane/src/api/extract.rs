//! What a request says, read strictly, with problems as answers.

use std::{fmt, marker::PhantomData};

use axum::{
    Json,
    extract::{FromRequest, FromRequestParts, Path, Query, Request},
    http::request::Parts,
};
use freshet_proto::id::ChannelName;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, MapAccess, Visitor, value::MapAccessDeserializer},
};

use super::problem::Problem;

/// A body that is a JSON object.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let Json(Object(read)) = Json::from_request(request, state).await?;
        Ok(Self(read))
    }
}

/// Read from an object alone: what serde derives takes an array for one too, its fields in the order in which they are declared.
#[derive(Debug, PartialEq, Eq)]
struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Fields(PhantomData))
    }
}

struct Fields<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Fields<T> {
    type Value = Object<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<Object<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(fields)).map(Object)
    }
}

/// The query.
pub(super) struct Params<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        Ok(Self(Query::from_request_parts(parts, state).await?.0))
    }
}

/// The name of a user or a channel in a path, in any case, as whoever registers may write it. What is no name names nothing.
pub(super) struct Name(pub(super) ChannelName);

impl<S: Send + Sync> FromRequestParts<S> for Name {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(text): Path<String> = Path::from_request_parts(parts, state).await?;
        text.trim().to_ascii_lowercase().parse().map(Self).map_err(|_| Problem::not_found("name"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, PartialEq, Eq, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Settings {
        title: Option<String>,
        tags: Vec<String>,
    }

    #[test]
    fn a_body_is_an_object_with_each_field_at_most_once_and_no_other() {
        let read = |text: &str| serde_json::from_str::<Object<Settings>>(text).map(|Object(read)| read).ok();
        let title = Some("x".to_owned());
        assert_eq!(read("{}"), Some(Settings::default()));
        assert_eq!(read(r#" {"title":"x"}"#), Some(Settings { title, tags: vec![] }));
        assert_eq!(read(r#"{"title":null,"tags":["a"]}"#), Some(Settings { title: None, tags: vec!["a".to_owned()] }));
        for bad in
            ["", "null", "[]", r#"["x",[]]"#, "\"x\"", "1", "{", r#"{"a":1}"#, r#"{"title":"x","title":"y"}"#, "{}{}"]
        {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
