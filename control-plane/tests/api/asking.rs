//! How the API is asked, and what it says of itself.

use serde_json::{Value, json};

use crate::{
    bench::{As, Bench, nobody},
    databases::Place,
};

/// Who asks what of what, with which header fields and which body, and the status of the answer.
type Asking<'a> = (&'a As, &'a str, &'a str, &'a [(&'a str, &'a str)], &'static str, u16);

pub async fn what_is_wrong_is_said_as_problem_details_everywhere(place: Place) {
    let bench = Bench::new(place).await;
    let ada = bench.join("ada").await;
    let cases: &[Asking] = &[
        (&ada, "GET", "/api/nothing", &[], "", 404),
        (&ada, "PATCH", "/api/auth/login", &[], "", 405),
        (&ada, "POST", "/api/auth/login", &[], "{}", 415),
        (&ada, "POST", "/api/auth/login", &[("content-type", "application/json")], "{", 400),
        (&ada, "POST", "/api/auth/login", &[("content-type", "application/json")], "{\"x\":1}", 422),
        (&ada, "PATCH", "/api/streams/ada", &[("content-type", "application/json")], "[]", 422),
        (&ada, "PATCH", "/api/streams/ada", &[("content-type", "application/json")], "[\"a title\"]", 422),
        (&ada, "GET", "/api/streams/live?limit=many", &[], "", 400),
        (&ada, "GET", "/api/streams/live?limit=0", &[], "", 400),
        (&ada, "GET", "/api/me/following?limit=101", &[], "", 400),
        (&ada, "GET", "/api/users/%ff", &[], "", 400),
        (&ada, "GET", "/api/users/eve", &[], "", 404),
        (&ada, "GET", "/api/admin/users", &[], "", 403),
        (&nobody(), "GET", "/api/me", &[], "", 401),
    ];
    for (who, method, target, fields, body, status) in cases {
        let told = bench.raw(who, method, target, fields, *body).await;
        assert_eq!(told.status, *status, "{method} {target}: {:?}", told.json());
        assert_eq!(told.header("content-type"), "application/problem+json", "{method} {target}");
        assert_eq!(told.json()["status"].as_u64(), Some((*status).into()));
        assert!(told.json()["detail"].as_str().is_some_and(|detail| !detail.is_empty()));
        assert_eq!(told.header("www-authenticate").is_empty(), *status != 401);
    }
}

pub async fn a_change_that_is_asked_twice_under_one_key_happens_once(place: Place) {
    let bench = Bench::new(place).await;
    let ada = bench.join("ada").await;
    let fields = [("content-type", "application/json"), ("idempotency-key", "k1")];
    let ask =
        |label: &str| bench.raw(&ada, "POST", "/api/me/stream-keys", &fields, json!({ "label": label }).to_string());
    let (one, two) = tokio::join!(ask("laptop"), ask("laptop"));
    assert_eq!((one.status, &one.body), (201, &two.body));
    assert_eq!(ask("phone").await.status, 422, "the same key for something else");
    let keys = bench.ask(&ada, "GET", "/api/me/stream-keys", Value::Null).await.json();
    assert_eq!(keys.as_array().map(Vec::len), Some(2), "the first, and the laptop's");
}

pub async fn the_document_describes_every_operation_and_its_problems(place: Place) {
    let bench = Bench::new(place).await;
    let document = bench.ask(&nobody(), "GET", "/api/openapi.json", Value::Null).await.json();
    let paths = document["paths"].as_object().expect("paths");
    for path in ["/api/auth/login", "/api/me", "/api/streams/live", "/api/streams/{id}/end", "/api/admin/keys"] {
        assert!(paths.contains_key(path), "{path}");
    }
    for (path, item) in paths {
        for (method, operation) in item.as_object().expect("operations") {
            let problem = &operation["responses"]["default"]["content"]["application/problem+json"];
            assert!(problem.is_object(), "{method} {path}");
        }
    }
    assert_eq!(document["components"]["securitySchemes"]["bearer"]["scheme"], "bearer");
}
