//! Ways to the server for tests: one that counts, and one that makes it look like Vault.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use connector::{
    SystemClock,
    transport::{
        Answer, Coalesce, HttpOptions, HttpTransport, Request, Retry, Transport, TransportError,
    },
};
use serde_json::{Value, json};
use zeroize::Zeroizing;

/// Real HTTP, every request noted by method and template.
#[derive(Debug)]
pub(crate) struct Counted {
    inner: HttpTransport,
    sent: Mutex<Vec<String>>,
}

impl Counted {
    pub(crate) fn to(address: &str) -> Arc<Counted> {
        let options = HttpOptions { address: address.to_owned(), ca_file: None };
        Arc::new(Counted { inner: HttpTransport::new(options).unwrap(), sent: Mutex::default() })
    }

    /// What was sent since this was last asked.
    pub(crate) fn sent(&self) -> Vec<String> {
        std::mem::take(&mut self.sent.lock().unwrap())
    }
}

#[async_trait]
impl Transport for Counted {
    async fn send(&self, request: Request) -> Result<Answer, TransportError> {
        self.sent.lock().unwrap().push(request.what());
        self.inner.send(request).await
    }
}

/// Readers share what they may share, and a look that fails is repeated, as in a real connection.
pub(crate) fn shared(inner: Arc<dyn Transport>) -> Arc<dyn Transport> {
    Arc::new(Coalesce::new(Arc::new(Retry::new(inner, Arc::new(SystemClock)))))
}

/// Changes a request, or answers it in the server's place.
type Meddle = dyn Fn(&mut Request) -> Option<Answer> + Send + Sync;

/// Somebody in between.
pub(crate) struct Meddled(pub(crate) Arc<dyn Transport>, pub(crate) Box<Meddle>);

impl std::fmt::Debug for Meddled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Meddled({:?})", self.0)
    }
}

#[async_trait]
impl Transport for Meddled {
    async fn send(&self, mut request: Request) -> Result<Answer, TransportError> {
        match (self.1)(&mut request) {
            Some(answer) => Ok(answer),
            None => self.0.send(request).await,
        }
    }
}

/// The server as HashiCorp Vault would show itself: no listings with content, no versions of
/// policies, and a `cas` that nobody looks at.
#[derive(Debug)]
pub(crate) struct Vaultish(pub(crate) Arc<dyn Transport>);

#[async_trait]
impl Transport for Vaultish {
    async fn send(&self, mut request: Request) -> Result<Answer, TransportError> {
        let policy = request.path.starts_with("v1/sys/policies/acl/");
        if request.method == "LIST"
            && (request.path.contains("sys/policies/detailed/")
                || request.path.contains("/detailed-metadata/"))
        {
            let body = json!({"errors": ["1 error occurred:\n\t* unsupported path\n\n"]});
            return Ok(Answer::new(404, Vec::new(), body.to_string().into_bytes()));
        }
        if policy && let Some(body) = &mut request.body {
            let mut value: Value = serde_json::from_slice(&body.bytes).unwrap();
            if value["policy"].as_str().unwrap().contains("expiration") {
                let body =
                    json!({"errors": ["failed to parse policy: invalid key \"expiration\""]});
                return Ok(Answer::new(400, Vec::new(), body.to_string().into_bytes()));
            }
            value.as_object_mut().unwrap().remove("cas");
            body.bytes = bytes(&value);
        }
        let mut answer = self.0.send(request).await?;
        if policy && answer.status == 200 {
            let mut value: Value = serde_json::from_slice(&answer.body).unwrap();
            let data = value["data"].as_object_mut().unwrap();
            data.retain(|key, _| key == "name" || key == "policy");
            answer.body = Arc::new(bytes(&value));
        }
        Ok(answer)
    }
}

fn bytes(value: &Value) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(value.to_string().into_bytes())
}
