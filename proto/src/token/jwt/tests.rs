//! Tokens that are good, and a table of those that want to be.

use std::sync::LazyLock;

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der},
    hmac,
    rsa::KeySize,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RsaKeyPair},
};
use serde_json::{Value, json};

use super::*;
use crate::{
    annex::{KeyState, Revoked, SigningKey},
    token::{playback_session, signing_key},
    view::Bar,
};

const NOW: u64 = 1_800_000_000_250;

/// A key pair of each algorithm: making an RSA pair takes a moment.
static PAIRS: LazyLock<[(Algorithm, Vec<u8>); 3]> = LazyLock::new(|| {
    let ed = Ed25519KeyPair::generate().unwrap().to_pkcs8v1().unwrap().as_ref().to_vec();
    let ec = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap().to_pkcs8v1().unwrap();
    let rsa: Pkcs8V1Der<'static> = RsaKeyPair::generate(KeySize::Rsa2048).unwrap().as_der().unwrap();
    [(Algorithm::EdDsa, ed), (Algorithm::Es256, ec.as_ref().to_vec()), (Algorithm::Rs256, rsa.as_ref().to_vec())]
});

struct Issuer {
    signer: Signer,
    public: SigningKey,
}

fn issuer(n: usize) -> Issuer {
    let (algorithm, pkcs8) = &PAIRS[n];
    let public = signing_key(*algorithm, pkcs8, KeyState::Active).unwrap();
    Issuer { signer: Signer::new(*algorithm, public.kid.clone(), pkcs8).unwrap(), public }
}

fn keyring(issuers: &[&Issuer]) -> Keyring {
    Keyring { signing: issuers.iter().map(|issuer| issuer.public.clone()).collect(), ..Keyring::default() }
}

fn ada() -> ChannelName {
    "ada".parse().unwrap()
}

fn api() -> Claims {
    Claims {
        sub: "u1".into(),
        aud: Audience::Api,
        exp_ms: NOW + 600_000,
        nbf_ms: NOW,
        iat_ms: NOW,
        jti: "j1".into(),
        sid: Some("l1".into()),
        username: "ada".into(),
        roles: vec!["admin".into()],
        color: Some(0x1e_90_ff),
        channel: None,
    }
}

fn playback() -> Claims {
    Claims { aud: Audience::Playback, channel: Some(ada()), sid: None, ..api() }
}

fn verify(keyring: &Keyring, token: &str) -> Result<Claims, TokenRefused> {
    Verifier::new(keyring).verify(token, Audience::Api, NOW, &Revocations::default())
}

#[test]
fn what_was_signed_with_any_algorithm_is_read_back_to_the_millisecond() {
    for n in 0..3 {
        let issuer = issuer(n);
        let token = issuer.signer.sign(&api()).unwrap();
        assert_eq!(verify(&keyring(&[&issuer]), &token), Ok(api()), "{}", issuer.public.algorithm);
    }
}

#[test]
fn keys_of_every_state_verify() {
    for state in [KeyState::Pending, KeyState::Active, KeyState::Retiring] {
        let mut issuer = issuer(0);
        issuer.public.state = state;
        let token = issuer.signer.sign(&api()).unwrap();
        assert_eq!(verify(&keyring(&[&issuer]), &token), Ok(api()), "{state}");
    }
}

#[test]
fn a_kid_is_the_thumbprint_that_the_standard_gives_for_its_own_example() {
    // RFC 8037, Appendix A: its key and its thumbprint.
    let seed = URL_SAFE_NO_PAD.decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").unwrap();
    let pair = Ed25519KeyPair::from_seed_unchecked(&seed).unwrap().to_pkcs8v1().unwrap();
    let key = signing_key(Algorithm::EdDsa, pair.as_ref(), KeyState::Active).unwrap();
    assert_eq!(key.kid, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    let jwk: Value = serde_json::from_str(&key.jwk).unwrap();
    assert_eq!(jwk["x"], "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
}

#[test]
fn the_kids_of_all_algorithms_are_those_that_another_library_computes() {
    let _ = aws_lc::DEFAULT_PROVIDER.install_default();
    for n in 0..3 {
        let public = issuer(n).public;
        let jwk: Jwk = serde_json::from_str(&public.jwk).unwrap();
        assert_eq!(jwk.thumbprint(jsonwebtoken::jwk::ThumbprintHash::SHA256).unwrap(), public.kid);
    }
}

#[test]
fn a_private_key_for_another_algorithm_is_none() {
    for (n, (algorithm, _)) in PAIRS.iter().enumerate() {
        let (_, other) = &PAIRS[(n + 1) % 3];
        assert_eq!(Signer::new(*algorithm, "k".into(), other).unwrap_err(), BadKey(*algorithm));
    }
}

#[test]
fn no_private_key_is_printed() {
    let issuer = issuer(0);
    assert_eq!(format!("{:?}", issuer.signer), format!("Signer(EdDSA {})", issuer.public.kid));
}

/// A token of any header and body, signed as `sign` says.
fn forge(header: &Value, body: &Value, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let text = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
    let message = format!("{}.{}", text(header), text(body));
    let signature = URL_SAFE_NO_PAD.encode(sign(message.as_bytes()));
    format!("{message}.{signature}")
}

fn body() -> Value {
    let mut body = serde_json::to_value(api()).unwrap();
    body["iss"] = "freshet".into();
    body
}

fn header(issuer: &Issuer) -> Value {
    json!({ "alg": issuer.public.algorithm.to_string(), "kid": issuer.public.kid, "typ": "at+jwt" })
}

fn with(mut object: Value, key: &str, value: Value) -> Value {
    object[key] = value;
    object
}

fn without(mut object: Value, key: &str) -> Value {
    object.as_object_mut().unwrap().remove(key).unwrap();
    object
}

fn signed(issuer: &Issuer, header: &Value, body: &Value) -> String {
    forge(header, body, |message| issuer.signer.pair.sign(message).unwrap())
}

#[test]
fn the_forger_of_these_tests_can_make_a_good_token() {
    let issuer = issuer(0);
    assert_eq!(verify(&keyring(&[&issuer]), &signed(&issuer, &header(&issuer), &body())), Ok(api()));
}

#[test]
fn a_token_without_a_signature_that_says_so_is_refused() {
    let issuer = issuer(0);
    for alg in ["none", "None", "nOnE", ""] {
        let token = forge(&with(header(&issuer), "alg", alg.into()), &body(), |_| Vec::new());
        assert_eq!(verify(&keyring(&[&issuer]), &token), Err(TokenRefused::Malformed), "{alg:?}");
    }
}

#[test]
fn a_token_signed_with_the_public_key_as_a_secret_is_refused() {
    for n in 0..3 {
        let issuer = issuer(n);
        let jwk: Value = serde_json::from_str(&issuer.public.jwk).unwrap();
        let raw = URL_SAFE_NO_PAD.decode(jwk[if n == 2 { "n" } else { "x" }].as_str().unwrap()).unwrap();
        for secret in [issuer.public.jwk.as_bytes(), &raw] {
            let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
            let forged = with(header(&issuer), "alg", "HS256".into());
            let token = forge(&forged, &body(), |message| hmac::sign(&key, message).as_ref().to_vec());
            assert_eq!(verify(&keyring(&[&issuer]), &token), Err(TokenRefused::WrongAlgorithm));
        }
    }
}

#[test]
fn a_token_of_another_algorithm_than_the_kid_it_names_is_refused() {
    for n in 0..3 {
        let (victim, attacker) = (issuer(n), issuer((n + 1) % 3));
        let ring = keyring(&[&victim, &attacker]);
        let honest_alg = with(header(&attacker), "kid", victim.public.kid.clone().into());
        assert_eq!(verify(&ring, &signed(&attacker, &honest_alg, &body())), Err(TokenRefused::WrongAlgorithm));
        let victims_alg = header(&victim);
        assert_eq!(verify(&ring, &signed(&attacker, &victims_alg, &body())), Err(TokenRefused::BadSignature));
    }
}

#[test]
fn a_secret_among_the_public_keys_verifies_nothing() {
    let mut issuer = issuer(0);
    issuer.public.jwk = json!({ "kty": "oct", "k": "c2VjcmV0" }).to_string();
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"secret");
    let forged = with(header(&issuer), "alg", "HS256".into());
    let token = forge(&forged, &body(), |message| hmac::sign(&key, message).as_ref().to_vec());
    assert_eq!(verify(&keyring(&[&issuer]), &token), Err(TokenRefused::UnknownKey));
}

#[test]
fn a_kid_that_is_unknown_or_missing_is_refused() {
    let issuer = issuer(0);
    let ring = keyring(&[&issuer]);
    let token = issuer.signer.sign(&api()).unwrap();
    assert_eq!(verify(&Keyring::default(), &token), Err(TokenRefused::UnknownKey));
    let other = with(header(&issuer), "kid", "../../etc/passwd".into());
    assert_eq!(verify(&ring, &signed(&issuer, &other, &body())), Err(TokenRefused::UnknownKey));
    let none = without(header(&issuer), "kid");
    assert_eq!(verify(&ring, &signed(&issuer, &none, &body())), Err(TokenRefused::UnknownKey));
}

#[test]
fn a_token_is_good_from_its_beginning_to_its_expiry_and_the_leeway_around() {
    let issuer = issuer(0);
    let token = issuer.signer.sign(&api()).unwrap();
    let verifier = Verifier::new(&keyring(&[&issuer]));
    let at = |now_ms| verifier.verify(&token, Audience::Api, now_ms, &Revocations::default());
    assert_eq!(at(NOW - LEEWAY_MS - 1), Err(TokenRefused::NotYet));
    assert_eq!(at(NOW - LEEWAY_MS), Ok(api()));
    assert_eq!(at(api().exp_ms + LEEWAY_MS - 1), Ok(api()));
    assert_eq!(at(api().exp_ms + LEEWAY_MS), Err(TokenRefused::Expired));
}

#[test]
fn a_token_that_was_made_in_the_future_is_refused_for_no_revocation_would_reach_it() {
    let issuer = issuer(0);
    let token = issuer.signer.sign(&Claims { iat_ms: NOW + LEEWAY_MS + 1, ..api() }).unwrap();
    assert_eq!(verify(&keyring(&[&issuer]), &token), Err(TokenRefused::NotYet));
}

#[test]
fn a_token_for_another_purpose_is_refused() {
    let issuer = issuer(0);
    let verifier = Verifier::new(&keyring(&[&issuer]));
    let none = Revocations::default();
    let watch = issuer.signer.sign(&playback()).unwrap();
    assert_eq!(verifier.verify(&watch, Audience::Api, NOW, &none), Err(TokenRefused::WrongAudience));
    let call = issuer.signer.sign(&Claims { channel: Some(ada()), ..api() }).unwrap();
    assert_eq!(verifier.verify_playback(&call, &ada(), NOW, &none), Err(TokenRefused::WrongAudience));
    let header = with(header(&issuer), "typ", "JWT".into());
    let untyped = signed(&issuer, &header, &body());
    assert_eq!(verifier.verify(&untyped, Audience::Api, NOW, &none), Err(TokenRefused::WrongAudience));
    let both = with(body(), "aud", json!(["freshet-api", "freshet-playback"]));
    assert!(verifier.verify(&signed(&issuer, &self::header(&issuer), &both), Audience::Api, NOW, &none).is_err());
}

#[test]
fn a_token_of_another_issuer_is_refused() {
    let issuer = issuer(0);
    let foreign = signed(&issuer, &header(&issuer), &with(body(), "iss", "elsewhere".into()));
    assert_eq!(verify(&keyring(&[&issuer]), &foreign), Err(TokenRefused::WrongIssuer));
}

#[test]
fn a_token_that_lacks_any_mandatory_claim_or_has_it_of_another_kind_is_refused() {
    let issuer = issuer(0);
    let ring = keyring(&[&issuer]);
    for claim in ["iss", "sub", "aud", "exp", "nbf", "iat", "jti"] {
        let lacking = signed(&issuer, &header(&issuer), &without(body(), claim));
        assert_eq!(verify(&ring, &lacking), Err(TokenRefused::Malformed), "{claim}");
        for value in [Value::Null, json!({}), json!(true)] {
            let odd = signed(&issuer, &header(&issuer), &with(body(), claim, value.clone()));
            assert!(verify(&ring, &odd).is_err(), "{claim} = {value}");
        }
    }
    for (claim, value) in [("exp", json!("2100")), ("exp", json!(-1)), ("exp", json!(1e300)), ("sub", json!(""))] {
        let odd = signed(&issuer, &header(&issuer), &with(body(), claim, value.clone()));
        assert_eq!(verify(&ring, &odd), Err(TokenRefused::Malformed), "{claim} = {value}");
    }
}

#[test]
fn a_claim_that_is_said_twice_is_refused() {
    let issuer = issuer(0);
    for claim in [r#""exp":9000000000"#, r#""iss":"freshet""#, r#""sub":"u2""#] {
        let text = format!("{},{claim}}}", body().to_string().trim_end_matches('}'));
        let message =
            format!("{}.{}", URL_SAFE_NO_PAD.encode(header(&issuer).to_string()), URL_SAFE_NO_PAD.encode(text));
        let signature = URL_SAFE_NO_PAD.encode(issuer.signer.pair.sign(message.as_bytes()).unwrap());
        let token = format!("{message}.{signature}");
        assert_eq!(verify(&keyring(&[&issuer]), &token), Err(TokenRefused::Malformed), "{claim}");
    }
}

#[test]
fn a_playback_token_opens_its_own_channel_alone() {
    let issuer = issuer(0);
    let verifier = Verifier::new(&keyring(&[&issuer]));
    let none = Revocations::default();
    let token = issuer.signer.sign(&playback()).unwrap();
    assert_eq!(verifier.verify_playback(&token, &ada(), NOW, &none), Ok(playback()));
    let bob = "bob".parse().unwrap();
    assert_eq!(verifier.verify_playback(&token, &bob, NOW, &none), Err(TokenRefused::WrongChannel));
    let any = issuer.signer.sign(&Claims { channel: None, ..playback() }).unwrap();
    assert_eq!(verifier.verify_playback(&any, &ada(), NOW, &none), Err(TokenRefused::Malformed));
}

#[test]
fn a_token_is_refused_once_its_user_login_channel_or_session_is_revoked_and_one_made_later_is_not() {
    let issuer = issuer(0);
    let verifier = Verifier::new(&keyring(&[&issuer]));
    let cases = [
        (api(), Revoked::User("u1".into())),
        (api(), Revoked::Login("l1".into())),
        (playback(), Revoked::Channel(ada())),
        (playback(), Revoked::User("u1".into())),
        (playback(), Revoked::Playback(playback_session("j1"))),
    ];
    for (claims, what) in cases {
        let token = issuer.signer.sign(&claims).unwrap();
        let with_bar = |since_ms| {
            let bars = [(what.clone(), Bar { since_ms, until_ms: u64::MAX })].into();
            verifier.verify(&token, claims.aud, NOW, &Revocations { revision: 1, bars })
        };
        assert_eq!(with_bar(NOW), Err(TokenRefused::Revoked), "{what:?}");
        assert_eq!(with_bar(NOW - 1).as_ref(), Ok(&claims), "{what:?}");
    }
}

#[test]
fn a_token_that_is_cut_short_or_has_too_many_parts_is_refused() {
    let issuer = issuer(0);
    let ring = keyring(&[&issuer]);
    let token = issuer.signer.sign(&api()).unwrap();
    let parts: Vec<&str> = token.split('.').collect();
    let odd = [
        String::new(),
        "..".into(),
        parts[0].into(),
        parts[..2].join("."),
        format!("{}.{}.", parts[0], parts[1]),
        format!("{token}."),
        format!(".{token}"),
        format!("{token}.{}", parts[2]),
        format!("{}..{}", parts[0], parts[2]),
        token[..token.len() - 1].to_owned(),
    ];
    for text in odd {
        assert!(verify(&ring, &text).is_err(), "{text:?}");
    }
}

#[test]
fn a_token_has_one_spelling() {
    let issuer = issuer(0);
    let ring = keyring(&[&issuer]);
    let token = issuer.signer.sign(&api()).unwrap();
    // 64 bytes of signature leave four bits over, which must be zero.
    let (stem, last) = token.split_at(token.len() - 1);
    let twin = char::from(last.as_bytes()[0] + 1);
    for text in [format!("{stem}{twin}"), format!("{token}="), format!("{token}=="), format!("{token}\n")] {
        assert!(verify(&ring, &text).is_err(), "{text:?}");
    }
    assert_eq!(verify(&ring, &token.replacen('.', "=.", 1)), Err(TokenRefused::Malformed));
}

#[test]
fn a_token_that_is_too_long_is_refused_unread() {
    let issuer = issuer(0);
    let ring = keyring(&[&issuer]);
    let roles = |n: usize| Claims { roles: vec!["r".repeat(n)], ..api() };
    let (short, long) = (roles(2500), roles(3000));
    let token = issuer.signer.sign(&long).unwrap();
    assert!(token.len() > MAX_TOKEN);
    assert_eq!(verify(&ring, &token), Err(TokenRefused::TooLong));
    assert_eq!(verify(&ring, &issuer.signer.sign(&short).unwrap()), Ok(short));
}

#[test]
fn a_header_that_must_be_understood_or_brings_its_own_key_is_refused() {
    let issuer = issuer(0);
    let jwk: Value = serde_json::from_str(&issuer.public.jwk).unwrap();
    let odd = [
        ("crit", json!(["exp"])),
        ("crit", json!(["b64"])),
        ("crit", json!([])),
        ("b64", json!(false)),
        ("jwk", jwk),
        ("jku", json!("https://evil.example/keys")),
        ("x5u", json!("https://evil.example/cert")),
        ("x5c", json!(["AAAA"])),
        ("zip", json!("DEF")),
        ("enc", json!("A128GCM")),
    ];
    for (field, value) in odd {
        let token = signed(&issuer, &with(header(&issuer), field, value), &body());
        assert_eq!(verify(&keyring(&[&issuer]), &token), Err(TokenRefused::Malformed), "{field}");
    }
}
