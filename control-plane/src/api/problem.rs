//! What goes wrong, as clients are told: problem details (RFC 9457). The one table from errors to HTTP statuses.

use axum::{
    Json,
    extract::rejection::{BytesRejection, JsonRejection, PathRejection, QueryRejection},
    response::{IntoResponse, Response},
};
use freshet_proto::{message::Denied, registry::Refused};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;

use crate::accounts::{
    AdminError, AvatarError, ChannelError, FollowError, Invalid, KeyError, LoginError, PasswordError, ProfileError,
    RefreshError, RegisterError, StoreError, TryLater,
};

/// Its media type (RFC 9457 §3).
pub const MEDIA_TYPE: &str = "application/problem+json";

/// Why a request was not done. Nothing of it was, then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Problem {
    /// `about:blank`: the status says what kind of problem it is.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The status in words.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// What happened, and what to do about it.
    detail: String,
    /// Which field of the request it concerns.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'static str>,
    #[serde(skip)]
    retry_after_s: Option<u64>,
}

impl Problem {
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        let title = status.canonical_reason().unwrap_or("Problem");
        let (detail, status) = (detail.into(), status.as_u16());
        Self { kind: "about:blank", title, status, detail, field: None, retry_after_s: None }
    }

    pub(super) fn bad(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// A control node of another version, perhaps.
    pub(super) fn strange_answer() -> Self {
        Self::unavailable("a control node answered what was not asked; try again")
    }

    pub(super) fn unprocessable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
    }

    pub(super) fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, detail)
    }

    pub(super) fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, detail)
    }

    pub(super) fn not_found(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("there is no such {what}"))
    }

    /// Nobody is signed in, or not any more.
    pub(super) fn unauthorized(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, detail)
    }

    /// Ours, for now.
    pub(super) fn unavailable(detail: impl Into<String>) -> Self {
        Self { retry_after_s: Some(1), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, detail) }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let retry_after_s = self.retry_after_s;
        let mut response = (status, Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(r#"Bearer realm="freshet""#));
        }
        if let Some(seconds) = retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// What axum says of a body that it can't read.
impl From<JsonRejection> for Problem {
    fn from(rejection: JsonRejection) -> Self {
        Self::new(rejection.status(), rejection.body_text())
    }
}

impl From<BytesRejection> for Problem {
    fn from(rejection: BytesRejection) -> Self {
        Self::new(rejection.status(), rejection.body_text())
    }
}

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Self {
        Self::new(rejection.status(), rejection.body_text())
    }
}

impl From<PathRejection> for Problem {
    fn from(rejection: PathRejection) -> Self {
        Self::new(rejection.status(), rejection.body_text())
    }
}

impl From<StoreError> for Problem {
    /// What the database said is the operator's to know.
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "the accounts' database failed");
        Self::unavailable("accounts can't be reached at present; try again")
    }
}

impl From<TryLater> for Problem {
    fn from(later: TryLater) -> Self {
        let retry_after_s = Some(later.seconds());
        Self { retry_after_s, ..Self::new(StatusCode::TOO_MANY_REQUESTS, later.to_string()) }
    }
}

impl From<Invalid> for Problem {
    fn from(invalid: Invalid) -> Self {
        Self { field: Some(invalid.field()), ..Self::unprocessable(invalid.to_string()) }
    }
}

impl From<RegisterError> for Problem {
    fn from(error: RegisterError) -> Self {
        match error {
            RegisterError::Invalid(invalid) => invalid.into(),
            // Which of the two it is would tell who has an account.
            RegisterError::NameTaken | RegisterError::EmailTaken => {
                Self::conflict("that username or e-mail address is taken; choose another one")
            }
            RegisterError::TryLater(later) => later.into(),
            RegisterError::Store(error) => error.into(),
            RegisterError::Busy(busy) => Self::unavailable(busy.to_string()),
            refused => Self::forbidden(refused.to_string()),
        }
    }
}

impl From<LoginError> for Problem {
    fn from(error: LoginError) -> Self {
        match error {
            LoginError::Disabled => Self::forbidden(error.to_string()),
            LoginError::TryLater(later) => later.into(),
            LoginError::Store(error) => error.into(),
            LoginError::Busy(busy) => Self::unavailable(busy.to_string()),
            refused => Self::unauthorized(refused.to_string()),
        }
    }
}

impl From<RefreshError> for Problem {
    fn from(error: RefreshError) -> Self {
        match error {
            RefreshError::Store(error) => error.into(),
            over => Self::unauthorized(over.to_string()),
        }
    }
}

impl From<PasswordError> for Problem {
    fn from(error: PasswordError) -> Self {
        match error {
            PasswordError::Invalid(invalid) => invalid.into(),
            PasswordError::TryLater(later) => later.into(),
            PasswordError::Store(error) => error.into(),
            PasswordError::Busy(busy) => Self::unavailable(busy.to_string()),
            wrong => Self::forbidden(wrong.to_string()),
        }
    }
}

impl From<ProfileError> for Problem {
    fn from(error: ProfileError) -> Self {
        match error {
            ProfileError::Invalid(invalid) => invalid.into(),
            ProfileError::EmailTaken => Self::conflict(error.to_string()),
            ProfileError::Store(error) => error.into(),
            gone => Self::unauthorized(gone.to_string()),
        }
    }
}

impl From<AvatarError> for Problem {
    fn from(error: AvatarError) -> Self {
        match error {
            AvatarError::TooLarge => Self::new(StatusCode::PAYLOAD_TOO_LARGE, error.to_string()),
            AvatarError::NoPicture(_) => Self::unprocessable(error.to_string()),
            AvatarError::Store(error) => error.into(),
            AvatarError::Busy => Self::unavailable(error.to_string()),
            gone => Self::unauthorized(gone.to_string()),
        }
    }
}

impl From<KeyError> for Problem {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::Invalid(invalid) => invalid.into(),
            KeyError::Store(error) => error.into(),
            KeyError::LabelTaken | KeyError::TooMany => Self::conflict(error.to_string()),
            gone => Self::new(StatusCode::NOT_FOUND, gone.to_string()),
        }
    }
}

impl From<ChannelError> for Problem {
    fn from(error: ChannelError) -> Self {
        match error {
            ChannelError::Invalid(invalid) => invalid.into(),
            ChannelError::Store(error) => error.into(),
            ChannelError::IsOwner | ChannelError::TooManyRoles => Self::conflict(error.to_string()),
            gone => Self::new(StatusCode::NOT_FOUND, gone.to_string()),
        }
    }
}

impl From<FollowError> for Problem {
    fn from(error: FollowError) -> Self {
        match error {
            FollowError::Store(error) => error.into(),
            FollowError::Own | FollowError::TooMany => Self::conflict(error.to_string()),
            FollowError::NoSuchUser => Self::unauthorized(error.to_string()),
            gone => Self::new(StatusCode::NOT_FOUND, gone.to_string()),
        }
    }
}

impl From<AdminError> for Problem {
    fn from(error: AdminError) -> Self {
        match error {
            AdminError::Invalid(invalid) => invalid.into(),
            AdminError::Store(error) => error.into(),
            AdminError::Busy(busy) => Self::unavailable(busy.to_string()),
            AdminError::NoSuchUser => Self::new(StatusCode::NOT_FOUND, error.to_string()),
            taken => Self::conflict(taken.to_string()),
        }
    }
}

impl From<Denied> for Problem {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::Refused(Refused::NoSuch(what)) => Self::not_found(&what.to_string()),
            Denied::Refused(Refused::Unavailable) | Denied::Elsewhere(_) => {
                Self::unavailable("the registry does not answer at present; try again")
            }
            Denied::Refused(refused) => Self::conflict(refused.to_string()),
            other => Self::forbidden(other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use freshet_proto::registry::NoSuch;
    use http_body_util::BodyExt;
    use serde_json::{Value, json};

    use super::*;

    async fn told(problem: impl Into<Problem>) -> (u16, http::HeaderMap, Value) {
        let (head, body) = problem.into().into_response().into_parts();
        let body = body.collect().await.expect("a body").to_bytes();
        (head.status.as_u16(), head.headers, serde_json::from_slice(&body).expect("JSON"))
    }

    #[tokio::test]
    async fn a_problem_is_told_as_rfc_9457_has_it() {
        let (status, headers, body) = told(Invalid::Title).await;
        let detail = "a title has at most 140 characters on one line";
        let title = "Unprocessable Entity";
        let expected =
            json!({ "type": "about:blank", "title": title, "status": 422, "detail": detail, "field": "title" });
        assert_eq!((status, &headers["content-type"], body), (422, &HeaderValue::from_static(MEDIA_TYPE), expected));
    }

    #[tokio::test]
    async fn what_may_go_better_later_says_when_and_who_is_nobody_is_told_how_to_be_somebody() {
        let (status, headers, _) = told(TryLater { wait_ms: 29_001 }).await;
        assert_eq!((status, &headers["retry-after"]), (429, &HeaderValue::from_static("30")));
        let (status, headers, _) = told(Denied::Refused(Refused::Unavailable)).await;
        assert_eq!((status, &headers["retry-after"]), (503, &HeaderValue::from_static("1")));
        let (status, headers, body) = told(RefreshError::Expired).await;
        assert_eq!(
            (status, &headers["www-authenticate"]),
            (401, &HeaderValue::from_static(r#"Bearer realm="freshet""#))
        );
        assert!(body.get("field").is_none() && !headers.contains_key("retry-after"));
    }

    #[test]
    fn every_error_has_its_status() {
        let cases: [(Problem, u16); 15] = [
            (RegisterError::NameTaken.into(), 409),
            (RegisterError::EmailTaken.into(), 409),
            (RegisterError::NeedsInvite.into(), 403),
            (RegisterError::Closed.into(), 403),
            (LoginError::Refused.into(), 401),
            (LoginError::Disabled.into(), 403),
            (RefreshError::Unknown.into(), 401),
            (PasswordError::Wrong.into(), 403),
            (KeyError::LabelTaken.into(), 409),
            (KeyError::TooMany.into(), 409),
            (ChannelError::IsOwner.into(), 409),
            (FollowError::Own.into(), 409),
            (AvatarError::TooLarge.into(), 413),
            (AdminError::NoSuchUser.into(), 404),
            (Denied::Refused(Refused::NoSuch(NoSuch::Channel)).into(), 404),
        ];
        for (problem, status) in cases {
            assert_eq!(problem.status, status, "{problem:?}");
        }
        let (name, address) = (Problem::from(RegisterError::NameTaken), Problem::from(RegisterError::EmailTaken));
        assert_eq!(name, address, "nobody is told which of the two there is");
    }
}
