//! Where a server has what: its metadata, found and held.

use connector::{Error, Result, transport::Request};

use super::{Clients, unexpected};
use crate::api::{Metadata, parse, refused};

/// Scheme, host and port of a URL.
pub(crate) fn origin(url: &str) -> &str {
    let after = url.find("://").map_or(0, |at| at + 3);
    let end = url[after..].find('/').map_or(url.len(), |at| after + at);
    &url[..end]
}

/// Where the metadata of an issuer may be. The well-known part stands between host and path
/// (RFC 8414 §3.1); OpenID's own discovery has it at the end.
fn places(issuer: &str) -> Vec<(String, &'static str)> {
    const OAUTH: &str = ".well-known/oauth-authorization-server";
    const OPENID: &str = ".well-known/openid-configuration";
    let issuer = issuer.trim_end_matches('/');
    let origin = origin(issuer);
    let path = &issuer[origin.len()..];
    let mut places = vec![(format!("{origin}/{OAUTH}{path}"), OAUTH)];
    if !path.is_empty() {
        places.push((format!("{issuer}/{OPENID}"), OPENID));
    }
    places.push((format!("{origin}/{OPENID}{path}"), OPENID));
    places
}

impl Clients {
    pub(super) async fn metadata(&self) -> Result<&Metadata> {
        self.metadata
            .get_or_try_init(|| async {
                let mut last = None;
                for (path, template) in places(&self.address) {
                    let request = Request { shared: true, ..Request::get(path, template) };
                    let what = request.what();
                    let answer = self.send(request).await?;
                    if answer.status != 200 {
                        last = Some(refused(&what, &answer, false));
                        continue;
                    }
                    let found: Metadata = match parse(&what, &answer.body) {
                        Ok(found) => found,
                        // A page for everything that the server does not know, perhaps.
                        Err(error) => {
                            last = Some(error);
                            continue;
                        }
                    };
                    // RFC 8414 §3.3: another issuer's metadata is not to be used.
                    if found.issuer.trim_end_matches('/') != self.address.trim_end_matches('/') {
                        return Err(Error::Tenant {
                            connection: self.connection.clone(),
                            expected: self.address.clone(),
                            found: found.issuer,
                        });
                    }
                    return Ok(found);
                }
                Err(last.unwrap_or_else(|| unexpected("metadata", "there is none")))
            })
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_looked_for_between_host_and_path() {
        let at = |issuer: &str| places(issuer).into_iter().map(|(at, _)| at).collect::<Vec<_>>();
        assert_eq!(
            at("https://login.acme.example/"),
            [
                "https://login.acme.example/.well-known/oauth-authorization-server",
                "https://login.acme.example/.well-known/openid-configuration",
            ]
        );
        assert_eq!(
            at("https://login.acme.example/realms/a/"),
            [
                "https://login.acme.example/.well-known/oauth-authorization-server/realms/a",
                "https://login.acme.example/realms/a/.well-known/openid-configuration",
                "https://login.acme.example/.well-known/openid-configuration/realms/a",
            ]
        );
    }
}
