//! What is refused before a push is looked at: tokens, bodies, origins, rates.

mod support;

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use flate2::Compression;
use flate2::write::GzEncoder;
use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use support::client::Connection;
use support::ops::{client, push, put};
use support::{KEY, ORIGIN, start, start_with};

const YEAR_3000_S: u64 = 32_503_680_000;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

fn sign(head_and_claims: &str, key: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any length");
    mac.update(head_and_claims.as_bytes());
    URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())
}

fn token_of(head: &Value, claims: &Value, key: &[u8]) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let text = format!("{}.{}", part(head), part(claims));
    let signature = sign(&text, key);
    format!("{text}.{signature}")
}

/// Tokens that must not hold where the issuer is `us` and the audience `sync`.
fn forged() -> Vec<(&'static str, String)> {
    let head = json!({ "alg": "HS256", "typ": "JWT" });
    let claims = json!({ "sub": "alice", "exp": YEAR_3000_S, "iss": "us", "aud": "sync" });
    let with = |base: &Value, name: &str, value: Value| {
        let mut base = base.clone();
        base[name] = value;
        base
    };
    let without = |name: &str| {
        let mut claims = claims.clone();
        claims.as_object_mut().map(|claims| claims.remove(name));
        claims
    };
    let headed = |name: &str, value: Value| token_of(&with(&head, name, value), &claims, KEY);
    let claiming = |name: &str, value: Value| token_of(&head, &with(&claims, name, value), KEY);
    let good = token_of(&head, &claims, KEY);
    let parts: Vec<&str> = good.split('.').collect();
    let mallory = URL_SAFE_NO_PAD.encode(with(&claims, "sub", json!("mallory")).to_string());
    vec![
        ("empty", String::new()),
        ("one part", "abc".to_owned()),
        ("two parts", format!("{}.{}", parts[0], parts[1])),
        ("four parts", format!("{good}.x")),
        ("no signature", format!("{}.{}.", parts[0], parts[1])),
        ("short signature", good[..good.len() - 4].to_owned()),
        (
            "claims exchanged",
            format!("{}.{mallory}.{}", parts[0], parts[2]),
        ),
        (
            "another key",
            token_of(&head, &claims, b"another key of 32 bytes, or more"),
        ),
        ("empty key", token_of(&head, &claims, b"")),
        ("alg none", headed("alg", json!("none"))),
        ("alg None, unsigned", {
            let none = URL_SAFE_NO_PAD.encode(json!({ "alg": "None" }).to_string());
            format!("{none}.{}.", parts[1])
        }),
        ("alg HS384", headed("alg", json!("HS384"))),
        ("alg HS512", headed("alg", json!("HS512"))),
        ("alg RS256", headed("alg", json!("RS256"))),
        ("alg ES256", headed("alg", json!("ES256"))),
        ("alg EdDSA", headed("alg", json!("EdDSA"))),
        ("alg hs256", headed("alg", json!("hs256"))),
        (
            "alg missing",
            token_of(&json!({ "typ": "JWT" }), &claims, KEY),
        ),
        ("crit", headed("crit", json!(["b64"]))),
        ("b64", headed("b64", json!(false))),
        ("typ", headed("typ", json!("dpop+jwt"))),
        ("nested", headed("cty", json!("JWT"))),
        ("compressed", headed("zip", json!("DEF"))),
        ("its own key", {
            let key = URL_SAFE_NO_PAD.encode(b"the key that the forger brought.");
            let head = with(&head, "jwk", json!({ "kty": "oct", "k": key }));
            token_of(&head, &claims, b"the key that the forger brought.")
        }),
        ("expired", claiming("exp", json!(1_000_000_000))),
        ("exp missing", token_of(&head, &without("exp"), KEY)),
        (
            "exp as text",
            claiming("exp", json!(YEAR_3000_S.to_string())),
        ),
        ("exp null", claiming("exp", Value::Null)),
        ("exp negative", claiming("exp", json!(-1))),
        ("not yet", claiming("nbf", json!(YEAR_3000_S - 1))),
        ("nbf as text", claiming("nbf", json!("0"))),
        ("another issuer", claiming("iss", json!("them"))),
        ("issuer missing", token_of(&head, &without("iss"), KEY)),
        ("another audience", claiming("aud", json!(["mail", "chat"]))),
        ("audience missing", token_of(&head, &without("aud"), KEY)),
        ("subject missing", token_of(&head, &without("sub"), KEY)),
        ("subject empty", claiming("sub", json!(""))),
        ("subject a number", claiming("sub", json!(1))),
        ("subject long", claiming("sub", json!("x".repeat(257)))),
        ("too long", claiming("more", json!("x".repeat(8 * 1024)))),
        ("not JSON", {
            let text = format!("{}.{}", parts[0], URL_SAFE_NO_PAD.encode("alice"));
            format!("{text}.{}", sign(&text, KEY))
        }),
    ]
}

#[test]
fn forged_tokens_are_refused() {
    let server = start_with(|config| {
        config.tokens.issuer = Some("us".to_owned());
        config.tokens.audience = Some("sync".to_owned());
    });
    let body = push(&client('a'), "alice", "b", &[put("i.1", "n1", &json!(1))]);
    for (name, token) in forged() {
        let answer = server.post_with(&[("authorization", &format!("Bearer {token}"))], &body);
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (401, "unauthorized"),
            "{name}"
        );
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
    }
    let good = server.bearer("alice");
    for headers in [
        vec![],
        vec![("authorization", good.replace("Bearer", "Basic"))],
        vec![("authorization", good.replace("Bearer ", ""))],
        vec![
            ("authorization", good.clone()),
            ("authorization", good.clone()),
        ],
        vec![("cookie", good.replace("Bearer ", "token="))],
    ] {
        let headers: Vec<(&str, &str)> = headers
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        assert_eq!(server.post_with(&headers, &body).status, 401, "{headers:?}");
    }
    assert_eq!(
        server.post_with(&[("authorization", &good)], &body).status,
        200
    );
}

#[test]
fn guessing_the_key_is_limited_and_shuts_out_nobody_else() {
    let server = start_with(|config| config.limits.failed_auth_per_minute = 3);
    let with = |key: &[u8], ends_s: u64| {
        let head = json!({ "alg": "HS256", "typ": "JWT" });
        let token = token_of(&head, &json!({ "sub": "alice", "exp": ends_s }), key);
        let bearer = format!("Bearer {token}");
        server.post_with(&[("authorization", &bearer)], b"").status
    };
    let guess = || with(b"another key of thirty-two bytes!", YEAR_3000_S);
    let statuses: Vec<u16> = (0..5).map(|_| guess()).collect();
    assert_eq!(statuses, [401, 401, 401, 429, 429]);
    let answer = server.push("alice", 'a', &[]);
    assert_eq!(answer.status, 200);
    // All behind a proxy have one address: whose token has ended must hear of it.
    let ended: Vec<u16> = (0..9).map(|_| with(KEY, 1_000)).collect();
    assert_eq!(ended, [401; 9]);
    assert_eq!(server.post_with(&[], b"").status, 401, "none at all");
    assert_eq!(guess(), 429);
}

#[test]
fn a_user_has_a_rate_and_others_are_unaffected() {
    let server = start_with(|config| config.limits.user_requests_per_minute = 3);
    let answers: Vec<_> = (0..4).map(|_| server.push("alice", 'a', &[])).collect();
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [200, 200, 200, 429]);
    assert_eq!(answers[3].code(), "rate-limited");
    let wait: u64 = answers[3]
        .header("retry-after")
        .and_then(|text| text.parse().ok())
        .expect("s");
    assert!((1..=20).contains(&wait), "{wait}");
    assert_eq!(server.push("bob", 'b', &[]).status, 200);
}

#[test]
fn a_gzip_body_is_taken() {
    let server = start();
    let body = gzip(&push(
        &client('a'),
        "alice",
        "b",
        &[put("i.1", "n1", &json!({ "a": 1 }))],
    ));
    let bearer = server.bearer("alice");
    let headers = [
        ("authorization", bearer.as_str()),
        ("content-encoding", "gzip"),
    ];
    assert_eq!(server.post_with(&headers, &body).status, 200);
    assert_eq!(server.records().len(), 1);
}

#[test]
fn bodies_beyond_the_limits_are_refused_and_the_answer_arrives() {
    let server = start();
    let bearer = server.bearer("alice");
    let post = |encoding: &str, body: &[u8]| {
        let headers = [
            ("authorization", bearer.as_str()),
            ("content-encoding", encoding),
        ];
        let answer = server.post_with(&headers, body);
        (answer.status, answer.code())
    };
    let too_large = (413, "too-large".to_owned());
    let malformed = (400, "malformed".to_owned());
    let eight = 8 * 1024 * 1024;
    assert_eq!(post("identity", &vec![b' '; eight + 1]), too_large);
    assert_eq!(post("identity", &vec![b' '; eight]), malformed);
    assert_eq!(post("gzip", &gzip(&vec![b' '; eight + 1])), too_large);
    assert_eq!(post("gzip", &gzip(&vec![b' '; eight])), malformed);
    assert_eq!(post("gzip", &gzip(&vec![0; 64 * 1024 * 1024])), too_large);
    assert_eq!(post("gzip", &vec![0; 1024 * 1024 + 1]), too_large);
    assert_eq!(post("gzip", b"not gzip"), malformed);
    assert_eq!(post("gzip", &gzip(b"{}")[..10]), malformed);
    for encoding in ["gzip, gzip", "br", "deflate", "zstd", "x"] {
        assert_eq!(post(encoding, &gzip(b"{}")), malformed, "{encoding}");
    }
}

#[test]
fn a_body_in_chunks_without_a_length_is_limited_too() {
    let server = start_with(|config| config.limits.body_bytes_max = 4_096);
    let mut connection = Connection::open(server.address).expect("a connection");
    let bearer = server.bearer("alice");
    let headers = [
        ("authorization", bearer.as_str()),
        ("transfer-encoding", "chunked"),
    ];
    let chunk = format!("400\r\n{}\r\n", "x".repeat(1_024)).repeat(5);
    let answer = connection.send("POST", "/api/sync/push", &headers, chunk.as_bytes());
    assert_eq!(answer.expect("an answer").status, 413);
}

#[test]
fn too_many_operations_are_refused_as_a_whole() {
    let server = start();
    let ops: Vec<Value> = (0..1_001)
        .map(|n| json!({ "op": format!("i.{n}") }))
        .collect();
    let answer = server.push("alice", 'a', &ops);
    assert_eq!((answer.status, answer.code().as_str()), (413, "too-large"));
    assert_eq!(server.push("alice", 'a', &ops[..1_000]).status, 200);
}

#[test]
fn a_refused_request_gets_its_answer_though_its_body_is_large() {
    let server = start();
    let body = vec![b'x'; 7 * 1024 * 1024];
    for _ in 0..10 {
        assert_eq!(server.post_with(&[], &body).status, 401);
        assert_eq!(
            server.request("POST", "/api/nothing", &[], &body).status,
            404
        );
    }
}

#[test]
fn the_token_comes_before_the_body() {
    let server = start();
    let mut connection = Connection::open(server.address).expect("a connection");
    let head = "POST /api/sync/push HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n";
    connection.write(head.as_bytes()).expect("sent");
    assert_eq!(
        connection
            .answer()
            .expect("an answer without a body")
            .status,
        401
    );
}

#[test]
fn bodies_share_a_budget() {
    let server = start_with(|config| config.limits.held_bytes_max = 64 * 1024);
    let answer = server.post("alice", &vec![b' '; 65 * 1024]);
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (503, "unavailable")
    );
    assert_eq!(answer.header("retry-after"), Some("2"));
    for _ in 0..3 {
        assert_eq!(
            server.post("alice", &vec![b' '; 60 * 1024]).status,
            400,
            "it is given back"
        );
    }
}

#[test]
fn a_body_that_stays_away_ends_in_time() {
    let server = start_with(|config| {
        config.limits.request_timeout = std::time::Duration::from_millis(50);
    });
    let mut connection = Connection::open(server.address).expect("a connection");
    let bearer = server.bearer("alice");
    let head = format!(
        "POST /api/sync/push HTTP/1.1\r\nhost: x\r\nauthorization: {bearer}\r\n\
         content-length: 10\r\n\r\n"
    );
    connection.write(head.as_bytes()).expect("sent");
    let answer = connection.answer().expect("an answer");
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (503, "unavailable")
    );
}

#[test]
fn malformed_pushes_are_refused_as_a_whole() {
    let server = start();
    let good: Value = serde_json::from_slice(&push(&client('a'), "alice", "b", &[])).expect("JSON");
    let with = |name: &str, value: Value| {
        let mut body = good.clone();
        body[name] = value;
        body.to_string()
    };
    let cases = [
        (String::new(), 400),
        ("[]".to_owned(), 400),
        ("{".to_owned(), 400),
        ("\u{feff}{}".to_owned(), 400),
        (with("extra", json!(1)), 400),
        (with("ops", json!({})), 400),
        (with("client", json!("short")), 400),
        (with("client", json!("../../../etc/passwd!!!")), 400),
        (with("batch", json!("")), 400),
        (with("batch", json!("x".repeat(257))), 400),
        (with("protocol", json!("1")), 400),
        (with("protocol", json!(2)), 400),
        (with("protocol", json!(0)), 426),
        (r#"{"protocol":0,"anything":[]}"#.to_owned(), 426),
        (with("subject", json!("bob")), 403),
    ];
    for (body, status) in cases {
        let answer = server.post("alice", body.as_bytes());
        assert_eq!(answer.status, status, "{body}");
        assert!(!answer.code().is_empty());
    }
}

#[test]
fn only_the_exact_origin_may_read() {
    let server = start();
    let hostile = [
        "null",
        "*",
        "http://localhost",
        "http://localhost:3001",
        "https://localhost:3000",
        "http://localhost:3000.evil.example",
        "http://evil.example#http://localhost:3000",
        "http://localhost:30000",
        "http://evil-localhost:3000",
        "http://sub.localhost:3000",
        "http://localhost:3000/",
        "HTTP://LOCALHOST:3000",
        "http://127.0.0.1:3000",
        "http://user@localhost:3000",
        "file://",
        "",
    ];
    for origin in hostile {
        let answer = server.request("GET", "/api/health", &[("origin", origin)], b"");
        assert_eq!(
            answer.header("access-control-allow-origin"),
            None,
            "{origin}"
        );
        assert_eq!(answer.header("vary"), Some("origin"));
    }
    let headers = [("origin", ORIGIN)];
    for answer in [
        server.request("GET", "/api/health", &headers, b""),
        server.post_with(&headers, b""),
        server.request("GET", "/nowhere", &headers, b""),
    ] {
        assert_eq!(answer.header("access-control-allow-origin"), Some(ORIGIN));
        assert_eq!(
            answer.header("access-control-expose-headers"),
            Some("retry-after,tidesync-blob-size")
        );
        assert_eq!(answer.header("access-control-allow-credentials"), None);
    }
}

#[test]
fn a_preflight_allows_what_a_push_sends() {
    let server = start();
    let headers = [
        ("origin", ORIGIN),
        ("access-control-request-method", "POST"),
        (
            "access-control-request-headers",
            "authorization,content-encoding,content-type",
        ),
    ];
    let answer = server.request("OPTIONS", "/api/sync/push", &headers, b"");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("access-control-allow-origin"), Some(ORIGIN));
    assert_eq!(
        answer.header("access-control-allow-headers"),
        Some("authorization,content-type,content-encoding")
    );
    assert_eq!(
        answer.header("access-control-allow-methods"),
        Some("GET,POST")
    );
}

#[test]
fn health_says_its_status_and_nothing_else() {
    let server = start();
    let answer = server.request("GET", "/api/health", &[], b"");
    assert_eq!(
        (answer.status, answer.text().as_str()),
        (200, r#"{"status":"ok"}"#)
    );
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("server"), None);
}

#[test]
fn there_are_no_other_routes() {
    let server = start();
    for (method, path, status) in [
        ("POST", "/api/dev/token", 404),
        ("GET", "/", 404),
        ("GET", "/api/sync/push", 405),
        ("GET", "/metrics", 404),
        ("POST", "/api/health", 405),
        ("GET", "/api/sync/push/../../x", 404),
    ] {
        let answer = server.request(method, path, &[], b"");
        assert_eq!(answer.status, status, "{method} {path}");
        assert!(!answer.code().is_empty());
    }
}

#[test]
fn development_tokens_are_given_to_this_machine_only() {
    let server = start_with(|config| config.dev = true);
    let ask = |headers: &[(&str, &str)], body: &str| {
        server.request("POST", "/api/dev/token", headers, body.as_bytes())
    };
    let answer = ask(&[], r#"{"userId":"alice"}"#);
    assert_eq!(answer.status, 200);
    let bearer = format!(
        "Bearer {}",
        answer.json()["token"].as_str().expect("a token")
    );
    assert!(answer.json()["expiresAt"].as_u64().is_some());
    let body = push(&client('a'), "alice", "b", &[]);
    assert_eq!(
        server
            .post_with(&[("authorization", &bearer)], &body)
            .status,
        200
    );
    for body in [
        "",
        "{}",
        r#"{"userId":""}"#,
        r#"{"userId":1}"#,
        r#"{"userId":"a","x":1}"#,
    ] {
        assert_eq!(ask(&[], body).status, 400, "{body}");
    }
    let mut connection = Connection::open(server.address).expect("a connection");
    let head = "POST /api/dev/token HTTP/1.1\r\nhost: evil.example:5000\r\n\
                content-length: 18\r\n\r\n{\"userId\":\"alice\"}";
    connection.write(head.as_bytes()).expect("sent");
    assert_eq!(connection.answer().expect("an answer").status, 403);
}

#[test]
fn millions_of_tiny_operations_are_counted_and_not_kept() {
    let server = start();
    let text = String::from_utf8(push(&client('a'), "alice", "b", &[])).expect("text");
    let ones = vec!["1"; 3_000_000].join(",");
    let body = text.replace("\"ops\":[]", &format!("\"ops\":[{ones}]"));
    let answer = server.post("alice", body.as_bytes());
    assert_eq!((answer.status, answer.code().as_str()), (413, "too-large"));
}
