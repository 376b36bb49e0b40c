//! Tokens issued, known again, and refused.

use super::*;
use crate::user::{CREDENTIAL_ID, NODE_NAME, POD_NAME, POD_UID};
use crate::{Authenticator as _, Credentials};
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use stdx::Timestamp;

#[derive(Default)]
struct Objects(Mutex<BTreeMap<String, Existing>>);

#[async_trait]
impl Lookup for Objects {
    async fn find(&self, resource: &str, ns: &str, name: &str) -> Result<Option<Existing>, String> {
        let key = format!("{resource}/{ns}/{name}");
        Ok(self.0.lock().unwrap().get(&key).cloned())
    }
}

impl Objects {
    fn put(&self, key: &str, uid: &str) {
        let existing = Existing {
            uid: uid.into(),
            deleted: None,
        };
        self.0.lock().unwrap().insert(key.into(), existing);
    }
}

struct Bench {
    clock: Clock,
    objects: Arc<Objects>,
    tokens: Arc<ServiceAccountTokens>,
    authenticator: ServiceAccountAuthenticator,
}

fn bench() -> Bench {
    let clock = Clock::simulated(Timestamp::from_second(1_800_000_000).unwrap());
    let key = rcgen::KeyPair::generate().unwrap().serialize_der();
    let config = Config {
        issuer: ISSUER.into(),
        audiences: vec![],
        server_url: "https://192.0.2.1:6443".into(),
    };
    let tokens = ServiceAccountTokens::new(config, &key, clock.clone(), Rng::seeded(1)).unwrap();
    let (tokens, objects) = (Arc::new(tokens), Arc::new(Objects::default()));
    objects.put("serviceaccounts/default/robot", "u1");
    objects.put("pods/default/p", "u2");
    let authenticator =
        ServiceAccountAuthenticator::new(tokens.clone(), objects.clone(), clock.clone());
    Bench {
        clock,
        objects,
        tokens,
        authenticator,
    }
}

fn claims() -> Claims {
    Claims {
        namespace: "default".into(),
        name: "robot".into(),
        uid: "u1".into(),
        lifetime: Duration::from_secs(600),
        ..Claims::default()
    }
}

fn of_pod() -> Claims {
    Claims {
        bound_to: Some(("Pod".into(), "p".into(), "u2".into())),
        node: Some(("one".into(), "u3".into())),
        lifetime: WARN_AFTER,
        ..claims()
    }
}

impl Bench {
    async fn ask(&self, token: &str, audiences: &[&str]) -> Result<Option<crate::User>, String> {
        let audiences: Vec<String> = audiences.iter().map(ToString::to_string).collect();
        let credentials = Credentials {
            bearer: Some(token),
            certificates: &[],
            audiences: &audiences,
        };
        let answer = self.authenticator.authenticate(&credentials).await;
        answer.map_err(|rejected| rejected.0)
    }
}

fn payload(token: &str) -> Value {
    let part = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_pods_token_says_what_upstream_says() {
    let bench = bench();
    let (token, ends) = bench.tokens.issue(&of_pod()).unwrap();
    assert_eq!(ends, 1_800_003_607);
    let mut said = payload(&token);
    let id = said.as_object_mut().unwrap().remove("jti").unwrap();
    let wanted = json!({
        "aud": [ISSUER], "exp": 1_800_000_000 + 365 * 86_400, "iat": 1_800_000_000, "iss": ISSUER,
        "kubernetes.io": {
            "namespace": "default", "node": {"name": "one", "uid": "u3"},
            "pod": {"name": "p", "uid": "u2"}, "serviceaccount": {"name": "robot", "uid": "u1"},
            "warnafter": 1_800_003_607
        },
        "nbf": 1_800_000_000, "sub": "system:serviceaccount:default:robot"
    });
    assert_eq!(said, wanted);
    let user = bench.ask(&token, &[]).await.unwrap().unwrap();
    assert_eq!(user.name, "system:serviceaccount:default:robot");
    assert_eq!(user.uid, "u1");
    assert_eq!(
        user.groups,
        [
            "system:serviceaccounts",
            "system:serviceaccounts:default",
            "system:authenticated"
        ]
    );
    let extra = |key: &str| user.extra[key].join(",");
    assert_eq!((extra(POD_NAME), extra(POD_UID)), ("p".into(), "u2".into()));
    assert_eq!(extra(NODE_NAME), "one");
    assert_eq!(
        extra(CREDENTIAL_ID),
        format!("JTI={}", id.as_str().unwrap())
    );
}

#[tokio::test(start_paused = true)]
async fn a_token_ends_and_does_not_begin_early() {
    let bench = bench();
    let (token, ends) = bench.tokens.issue(&claims()).unwrap();
    assert_eq!(ends, 1_800_000_600);
    tokio::time::advance(Duration::from_secs(655)).await;
    assert!(bench.ask(&token, &[]).await.is_ok(), "within the leeway");
    tokio::time::advance(Duration::from_secs(6)).await;
    assert_eq!(
        bench.ask(&token, &[]).await.unwrap_err(),
        "service account token has expired"
    );
    tokio::time::advance(TEN_SECONDS).await;
    bench
        .clock
        .step_wall(stdx::SignedDuration::from_secs(-2000));
    assert_eq!(
        bench.ask(&token, &[]).await.unwrap_err(),
        "service account token is not valid yet"
    );
}

#[tokio::test(start_paused = true)]
async fn a_token_dies_with_what_it_is_bound_to() {
    type Spoil<'a> = (&'a str, &'a dyn Fn(&Objects));
    let spoils: [Spoil<'_>; 4] = [
        ("gone", &|o| {
            o.0.lock().unwrap().remove("pods/default/p");
        }),
        ("another", &|o| o.put("pods/default/p", "u9")),
        ("another account", &|o| {
            o.put("serviceaccounts/default/robot", "u9")
        }),
        ("long deleted", &|o| {
            let mut objects = o.0.lock().unwrap();
            objects.get_mut("pods/default/p").unwrap().deleted = Some(1_799_999_939);
        }),
    ];
    for (what, spoil) in spoils {
        let bench = bench();
        let (token, _) = bench.tokens.issue(&of_pod()).unwrap();
        assert!(bench.ask(&token, &[]).await.is_ok());
        spoil(&bench.objects);
        assert!(
            bench.ask(&token, &[]).await.is_ok(),
            "still trusted: {what}"
        );
        tokio::time::advance(TEN_SECONDS).await;
        assert!(bench.ask(&token, &[]).await.is_err(), "{what}");
    }
}

const TEN_SECONDS: Duration = Duration::from_secs(10);

#[tokio::test(start_paused = true)]
async fn a_token_is_for_its_audience() {
    let bench = bench();
    let mut asked = claims();
    asked.audiences = vec!["vault".into(), "other".into()];
    let (token, _) = bench.tokens.issue(&asked).unwrap();
    assert!(
        bench
            .ask(&token, &[])
            .await
            .unwrap_err()
            .contains("is invalid for the target")
    );
    assert!(bench.ask(&token, &["vault"]).await.unwrap().is_some());
    assert!(bench.ask(&token, &["mine"]).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn what_is_forged_or_foreign_is_not_taken() {
    let bench = bench();
    let (token, _) = bench.tokens.issue(&claims()).unwrap();
    let parts: Vec<&str> = token.split('.').collect();
    let mut changed = payload(&token);
    changed["kubernetes.io"]["serviceaccount"]["name"] = json!("admin");
    let forged = URL_SAFE_NO_PAD.encode(changed.to_string());
    let unsigned = URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#);
    for bad in [
        format!("{}.{forged}.{}", parts[0], parts[2]),
        format!("{unsigned}.{}.", parts[1]),
        format!("{}.{}.{}", parts[0], parts[1], "AAAA"),
        other_key().issue(&claims()).unwrap().0,
    ] {
        assert_eq!(
            bench.ask(&bad, &[]).await.unwrap_err(),
            "invalid signature",
            "{bad}"
        );
    }
    for foreign in [
        "",
        "abc",
        "a.b.c",
        "e30.e30.e30",
        "secret-token",
        "..",
        &"x.".repeat(20_000),
    ] {
        assert_eq!(bench.ask(foreign, &[]).await, Ok(None), "{foreign}");
    }
}

fn other_key() -> Arc<ServiceAccountTokens> {
    bench().tokens
}

#[tokio::test(start_paused = true)]
async fn the_published_key_verifies_tokens() {
    let bench = bench();
    let (token, _) = bench.tokens.issue(&claims()).unwrap();
    let keys: Value = serde_json::from_str(&bench.tokens.jwks()).unwrap();
    let key = &keys["keys"][0];
    let header: Value = {
        let part = token.split('.').next().unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    };
    assert_eq!(header["kid"], key["kid"]);
    let coordinate = |name: &str| URL_SAFE_NO_PAD.decode(key[name].as_str().unwrap()).unwrap();
    let point = [vec![4], coordinate("x"), coordinate("y")].concat();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let algorithm = &aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED;
    let public = aws_lc_rs::signature::UnparsedPublicKey::new(algorithm, &point);
    public.verify(signed.as_bytes(), &signature).unwrap();
    let document: Value = serde_json::from_str(&bench.tokens.discovery_document()).unwrap();
    assert_eq!(
        document["jwks_uri"],
        "https://192.0.2.1:6443/openid/v1/jwks"
    );
}
