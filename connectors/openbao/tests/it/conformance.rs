//! The suite that every connector passes, on a server of its own.

use std::{path::Path, sync::Arc};

use async_trait::async_trait;
use connector::{
    Connector, ObjectRef, Platform,
    conformance::{self, Fixture, Token, Wrap},
    transport::{HttpOptions, HttpTransport, Transport},
};
use domain::{Scope, Secret, Settings, settings::Setting};
use serde_json::{Value, json};

use crate::{
    server::Server,
    wire::{Vaultish, shared},
    world::{KIND, call, setup},
};

/// The server, and whether it shows itself as Vault would.
struct Bao(Server, bool);

impl Bao {
    async fn start(vaultish: bool) -> Bao {
        let bao = Bao(Server::start(), vaultish);
        bao.by_hand("POST", "sys/auth/approle", json!({"type": "approle"})).await;
        bao
    }

    fn http(&self) -> HttpTransport {
        let address = self.0.address.clone();
        HttpTransport::new(HttpOptions { address, ca_file: None }).unwrap()
    }

    async fn by_hand(&self, method: &'static str, path: &str, body: Value) -> Value {
        let (status, answer) = call(&self.http(), &self.0.root, method, path, Some(body)).await;
        assert!((200..300).contains(&status), "{method} {path}: {status} {answer}");
        answer
    }
}

struct Held {
    http: HttpTransport,
    token: String,
}

#[async_trait]
impl Token for Held {
    async fn works(&self) -> bool {
        // Allowed to every token by the `default` policy and without it, if there is one at all.
        let body = Some(json!({"paths": ["a"]}));
        let (status, _) =
            call(&self.http, &self.token, "POST", "sys/capabilities-self", body).await;
        let (kv, _) = call(&self.http, &self.token, "GET", "secret/data/conformance/x", None).await;
        status == 200 || kv == 404 || kv == 200
    }
}

#[async_trait]
impl Fixture for Bao {
    fn platform(&self) -> &'static dyn Platform {
        &openbao::PLATFORM
    }

    fn kind(&self) -> &'static str {
        KIND
    }

    async fn connect(&self, wrap: Wrap<'_>) -> Arc<dyn Connector> {
        let http: Arc<dyn Transport> = Arc::new(self.http());
        let http: Arc<dyn Transport> = if self.1 { Arc::new(Vaultish(http)) } else { http };
        let setup = setup(shared(wrap(http)), Settings::default(), Some(&self.0.root), None);
        openbao::PLATFORM.connect(setup).unwrap().connector.unwrap()
    }

    fn settings(&self) -> Settings {
        Settings::default()
            .with("mount", Setting::Text("approle".into()))
            .with("token_ttl", Setting::Text("1h".into()))
            .with("no_default_policy", Setting::Flag(true))
    }

    fn other_settings(&self) -> Option<Settings> {
        let cidrs = ["10.0.0.0/8", "127.0.0.1/32"].map(str::to_owned).into();
        Some(
            self.settings()
                .with("token_ttl", Setting::Text("20m".into()))
                .with("token_max_ttl", Setting::Text("2d".into()))
                .with("token_num_uses", Setting::Count(7))
                .with("token_type", Setting::Text("service".into()))
                .with("token_bound_cidrs", Setting::Texts(cidrs))
                .with("token_explicit_max_ttl", Setting::Text("3d".into()))
                .with("secret_id_ttl", Setting::Text("90d".into()))
                .with("secret_id_num_uses", Setting::Count(70))
                .with("secret_id_bound_cidrs", Setting::Texts(["10.0.0.0/8".to_owned()].into())),
        )
    }

    fn scopes(&self) -> Vec<Scope> {
        ["secret/data/conformance/*:read", "kv/+/b:update", "sys/mounts:read"]
            .map(Scope::canonical)
            .to_vec()
    }

    async fn grant_by_hand(&self, object: &ObjectRef, scope: &Scope) -> bool {
        let path = format!("sys/policies/acl/nhi/{}", object.key);
        let (_, policy) = call(&self.http(), &self.0.root, "GET", &path, None).await;
        let text = policy["data"]["policy"].as_str().unwrap();
        let (at, capability) = scope.as_str().rsplit_once(':').unwrap();
        let text = format!("{text}\npath \"{at}\" {{ capabilities = [\"{capability}\"] }}\n");
        self.by_hand("POST", &path, json!({"policy": text})).await;
        true
    }

    async fn issue_by_hand(&self, object: &ObjectRef) -> Option<String> {
        let path = format!("auth/approle/role/{}/secret-id", object.key);
        let issued = self.by_hand("POST", &path, json!({})).await;
        issued["data"]["secret_id_accessor"].as_str().map(str::to_owned)
    }

    async fn connect_with(
        &self,
        object: &ObjectRef,
        secret: &Secret,
    ) -> Option<Arc<dyn Connector>> {
        let http: Arc<dyn Transport> = Arc::new(self.http());
        let role_id = object.vendor_id.as_deref();
        let setup = setup(shared(http), Settings::default(), Some(secret.expose()), role_id);
        openbao::PLATFORM.connect(setup).unwrap().connector
    }

    async fn create_by_hand(&self, name: &str) -> Option<String> {
        self.by_hand("POST", &format!("auth/approle/role/{name}"), json!({})).await;
        Some(name.to_owned())
    }

    async fn lets_in(&self, _: &ObjectRef, token: &Secret) -> Option<bool> {
        Some(Held { http: self.http(), token: token.expose().to_owned() }.works().await)
    }

    async fn sign_in(&self, object: &ObjectRef, secret: &Secret) -> Option<Arc<dyn Token>> {
        let login = json!({"role_id": object.vendor_id, "secret_id": secret.expose()});
        let answer = self.by_hand("POST", "auth/approle/login", login).await;
        let token = answer["auth"]["client_token"].as_str()?.to_owned();
        Some(Arc::new(Held { http: self.http(), token }))
    }
}

async fn hold(vaultish: bool, table: &str) {
    let bao = Bao::start(vaultish).await;
    conformance::run(&bao).await.hold(&Path::new(env!("CARGO_MANIFEST_DIR")).join(table));
}

#[tokio::test]
async fn it_does_as_every_connector_must() {
    hold(false, "conformance.txt").await;
}

#[tokio::test]
async fn it_does_so_without_listings_and_compare_and_set() {
    hold(true, "conformance-vault.txt").await;
}
