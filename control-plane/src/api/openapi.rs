//! All routes, and the document that describes them (OpenAPI 3.1).

use std::sync::Arc;

use utoipa::{
    OpenApi, PartialSchema, ToSchema,
    openapi::{
        Content, ContentBuilder, Info, OpenApi as Document, Ref, RefOr, ResponseBuilder,
        path::{Operation, PathItem},
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};
use utoipa_axum::router::OpenApiRouter;

use super::{
    Shared, admin, auth, health, history, keys, me, members, moderation,
    problem::{MEDIA_TYPE, Problem},
    streams, users,
};

#[derive(OpenApi)]
struct Base;

/// Every route.
pub(super) fn router() -> OpenApiRouter<Arc<Shared>> {
    let parts = [
        auth::router(),
        me::router(),
        keys::router(),
        users::router(),
        streams::router(),
        health::router(),
        history::router(),
        members::router(),
        moderation::router(),
        admin::router(),
    ];
    parts.into_iter().fold(OpenApiRouter::with_openapi(Base::openapi()), OpenApiRouter::merge)
}

/// Says what is true of every operation: what a problem looks like, and how one signs in.
pub(super) fn complete(mut document: Document) -> Document {
    document.info = Info::new("Freshet", env!("CARGO_PKG_VERSION"));
    let components = document.components.get_or_insert_default();
    components.schemas.insert(Problem::name().into_owned(), Problem::schema());
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
    components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
    for item in document.paths.paths.values_mut() {
        operations(item).for_each(|operation| {
            let content: Content = ContentBuilder::new().schema(Some(Ref::from_schema_name(Problem::name()))).build();
            let problem =
                ResponseBuilder::new().description("Why it was not done").content(MEDIA_TYPE, content).build();
            operation.responses.responses.insert("default".to_owned(), RefOr::T(problem));
        });
    }
    document
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem { get, put, post, delete, patch, .. } = item;
    [get, put, post, delete, patch].into_iter().filter_map(Option::as_mut)
}
