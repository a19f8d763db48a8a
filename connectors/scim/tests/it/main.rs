//! The directory against a real SCIM server.

mod server;

use std::sync::Arc;

use connector::{
    Directory, Error, Platform, Refusal, Setup, SystemClock,
    transport::{Answer, HttpOptions, HttpTransport, Request, Transport, TransportError},
};
use domain::{Secret, Settings};
use serde_json::{Value, json};
use server::Server;

fn http(address: &str) -> Arc<HttpTransport> {
    let options = HttpOptions { address: address.to_owned(), ca_file: None };
    Arc::new(HttpTransport::new(options).unwrap())
}

fn directory(transport: Arc<dyn Transport>, token: Option<&str>) -> Arc<dyn Directory> {
    let setup = Setup {
        name: "people".into(),
        settings: Settings::default(),
        credential: token.map(Secret::new),
        credential_id: None,
        transport,
        clock: Arc::new(SystemClock),
        keyring: None,
    };
    scim::PLATFORM.connect(setup).unwrap().directory.unwrap()
}

/// The personnel office: calls past the connector.
async fn office(server: &Server, method: &'static str, path: &str, body: Value) -> Value {
    let request = Request { method, ..Request::get(path, "office") }
        .json(&body)
        .header("Authorization", Secret::new("Bearer token"));
    let answer = http(&server.address).send(request).await.unwrap();
    assert!((200..300).contains(&answer.status), "{method} {path}: {}", answer.status);
    serde_json::from_slice(&answer.body).unwrap_or(Value::Null)
}

async fn hire(server: &Server) -> String {
    let enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
    let user = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User", enterprise],
        "userName": "alice",
        "displayName": "Alice",
        "active": true,
        "emails": [{"value": "alice@acme.example", "primary": true}],
        enterprise: {"department": "payments"},
    });
    office(server, "POST", "Users", user).await["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn somebody_is_there_then_inactive_then_gone() {
    let server = Server::start();
    let people = directory(http(&server.address), Some("token\n"));
    assert_eq!(people.check().await.unwrap(), 0);
    let hidden = people.member("nobody").await.unwrap_err();
    assert!(hidden.to_string().contains("shows nobody at all"), "{hidden}");

    let alice = hire(&server).await;
    office(
        &server,
        "POST",
        "Users",
        json!({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "bob"}),
    )
    .await;
    assert_eq!(people.check().await.unwrap(), 2);
    let found = people.member(&alice).await.unwrap().unwrap();
    assert!(found.active && found.changed_at.is_some());
    assert_eq!(found.kind.as_deref(), Some("person"));
    assert_eq!(found.department.as_deref(), Some("payments"));
    assert_eq!(found.email.as_deref(), Some("alice@acme.example"));

    let leave = json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [{"op": "replace", "path": "active", "value": false}],
    });
    office(&server, "PATCH", &format!("Users/{alice}"), leave).await;
    assert!(!people.member(&alice).await.unwrap().unwrap().active);

    office(&server, "DELETE", &format!("Users/{alice}"), Value::Null).await;
    assert_eq!(people.member(&alice).await.unwrap(), None);
}

#[tokio::test]
async fn a_team_is_a_member_too() {
    let server = Server::start();
    let people = directory(http(&server.address), Some("token"));
    let group = json!({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "displayName": "payments"});
    let id = office(&server, "POST", "Groups", group).await["id"].as_str().unwrap().to_owned();
    let found = people.member(&id).await.unwrap().unwrap();
    assert_eq!(
        (found.kind.as_deref(), found.display_name.as_deref()),
        (Some("team"), Some("payments"))
    );
}

#[tokio::test]
async fn a_wrong_credential_or_address_is_never_absence() {
    let server = Server::start();
    hire(&server).await;
    let wrong = directory(http(&server.address), Some("wrong")).member("x").await.unwrap_err();
    assert_eq!(wrong.refusal(), Some(Refusal::Unauthorized), "{wrong}");
    let root = server.address.trim_end_matches("/v2").to_owned() + "/elsewhere";
    let elsewhere = directory(http(&root), Some("token")).member("x").await;
    assert!(elsewhere.is_err(), "{elsewhere:?}");
    let none = directory(http(&server.address), None).check().await.unwrap_err();
    assert!(matches!(none, Error::Configuration(_)), "{none}");
}

/// Answers everything alike.
#[derive(Debug)]
struct Page(u16, &'static str);

#[async_trait::async_trait]
impl Transport for Page {
    async fn send(&self, _: Request) -> Result<Answer, TransportError> {
        Ok(Answer::new(self.0, Vec::new(), self.1.as_bytes().to_vec()))
    }
}

#[tokio::test]
async fn a_page_that_is_not_the_directorys_own_is_an_error() {
    for (status, body) in [
        (404, "<html>not found</html>"),
        (404, "{}"),
        (200, "<html>sign in</html>"),
        (200, "{}"),
        (302, ""),
        (403, "{}"),
        (429, "{}"),
        (500, "{}"),
    ] {
        let people = directory(Arc::new(Page(status, body)), Some("token"));
        assert!(people.member("x").await.is_err(), "{status} {body}");
        assert!(people.check().await.is_err(), "{status} {body}");
    }
}
