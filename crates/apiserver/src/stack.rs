//! One request from top to bottom: trace, authenticate, parse, impersonate,
//! authorise, dispatch. Each layer is a line of [`Server::handle`].

use crate::answer::Answer;
use crate::request::{Query, RequestInfo};
use crate::server::Server;
use crate::{
    compress, discovery, health, impersonate, negotiate, openapi, present, subresources, verbs,
    version, websocket,
};
use auth::{Attributes, Credentials, Decision, Target, User};
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, header};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use meta::{GroupResource, Status};
use std::sync::Arc;

/// A request as it came in, whole.
#[derive(Debug, Default)]
pub struct Inbound {
    /// The method.
    pub method: Method,
    /// The path, still encoded.
    pub path: String,
    /// The query, still encoded.
    pub query: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// The body as it comes, when it is for another server.
    pub incoming: Option<Incoming>,
    /// Who asks, when the caller has proved it already (a loop of this process).
    pub user: Option<User>,
    /// The certificates that the client showed, leaf first.
    pub certificates: Arc<Vec<Vec<u8>>>,
    /// The connection, should it become a stream.
    pub upgrade: Option<OnUpgrade>,
}

/// A request that may be served.
#[derive(Debug)]
pub struct Request {
    /// What it asks.
    pub info: RequestInfo,
    /// The method.
    pub method: Method,
    /// The query.
    pub query: Query,
    /// The query, still encoded.
    pub raw_query: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// The body as it comes, when it is for another server.
    pub incoming: Option<Incoming>,
    /// Who asks.
    pub user: User,
    /// The connection, should it become a stream.
    pub upgrade: Option<OnUpgrade>,
}

impl Request {
    /// The name of the client's program.
    pub fn user_agent(&self) -> &str {
        self.headers
            .get(header::USER_AGENT)
            .and_then(|v| v.to_str().ok())
            .unwrap_or_default()
    }

    /// A header's text, empty when there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|v| v.to_str().ok())
            .unwrap_or_default()
    }
}

impl Server {
    /// Serves one request.
    pub async fn handle(self: &Arc<Self>, mut inbound: Inbound) -> Answer {
        let started = self.registry.clock().now();
        let query = Query::parse(&inbound.query);
        let info = RequestInfo::parse(&inbound.method, &inbound.path, &query);
        let measured = self.metrics.begin(&info);
        let plain = negotiate::plain(&inbound.headers);
        let takes_gzip = compress::is_accepted(&inbound.headers);
        let outcome = async {
            let user = self.authenticate(&mut inbound).await?;
            let user = impersonate::apply(self, user, &inbound.headers)?;
            self.authorize(&user, &info)?;
            let request = Request {
                info,
                method: inbound.method,
                query,
                raw_query: inbound.query,
                headers: inbound.headers,
                body: inbound.body,
                incoming: inbound.incoming,
                user,
                upgrade: inbound.upgrade,
            };
            self.dispatch(request).await
        };
        let outcome = outcome.await;
        let answer = outcome.unwrap_or_else(|status| present::status(plain, status));
        let answer = compress::answer(takes_gzip, answer).await;
        self.metrics.end(
            measured,
            answer.status.as_u16(),
            self.registry.clock().since(started),
        );
        answer
    }

    async fn authenticate(&self, inbound: &mut Inbound) -> Result<User, Status> {
        if let Some(user) = inbound.user.take() {
            return Ok(user);
        }
        let hidden = websocket::take_token(&mut inbound.headers)?;
        let bearer = bearer(&inbound.headers).or(hidden.as_deref());
        let credentials = Credentials {
            bearer,
            certificates: &inbound.certificates,
            audiences: &[],
        };
        match self.authenticator.authenticate(&credentials).await {
            Ok(Some(user)) => Ok(user),
            Ok(None) if bearer.is_none() => Ok(User::anonymous()),
            Ok(None) => Err(Status::unauthorized()),
            Err(rejected) => {
                tracing::debug!(%rejected, "a credential was refused");
                Err(Status::unauthorized())
            }
        }
    }

    pub(crate) fn authorize(&self, user: &User, info: &RequestInfo) -> Result<(), Status> {
        let attributes = Attributes {
            user,
            verb: info.verb,
            target: info.target(),
        };
        match self.authorizer.authorize(&attributes) {
            Decision::Allow(_) => Ok(()),
            Decision::Deny(why) | Decision::NoOpinion(why) => Err(forbidden(&attributes, &why)),
        }
    }

    async fn dispatch(self: &Arc<Self>, mut request: Request) -> Result<Answer, Status> {
        if !request.info.is_resource {
            return self.dispatch_path(request).await;
        }
        let info = &request.info;
        let Some(resource) = self
            .registry
            .resource(&info.group, &info.version, &info.resource)
        else {
            return self.no_such_resource(info);
        };
        let is_misplaced = !resource.card().namespaced
            && !info.namespace.is_empty()
            && info.resource != "namespaces";
        let leads_on = !info.rest.is_empty() && info.subresource != "proxy";
        if is_misplaced || leads_on {
            return Err(Status::no_such_path());
        }
        if request.method == Method::HEAD && info.subresource != "proxy" {
            return Ok(verbs::not_allowed(&request));
        }
        // Authorisers see a namespace's own name as its namespace; the store does not.
        if !resource.card().namespaced {
            request.info.namespace.clear();
        }
        if resource.card().is_custom() {
            negotiate::without_protobuf(&mut request.headers)?;
        }
        let plain = negotiate::plain(&request.headers);
        let outcome = match request.info.subresource.is_empty() {
            true => verbs::serve(self, &resource, request).await,
            false => subresources::serve(self, &resource, request).await,
        };
        match resource.kind.deprecated() {
            None => outcome,
            Some(why) => {
                let answer = outcome.unwrap_or_else(|status| present::status(plain, status));
                Ok(verbs::with_warning(answer, why))
            }
        }
    }

    /// Within a group and version that is served upstream's router answers a
    /// Status; outside of them nobody is there to.
    fn no_such_resource(&self, info: &RequestInfo) -> Result<Answer, Status> {
        let is_known = self.registry.resources().iter().any(|resource| {
            let card = resource.card();
            card.group == info.group && card.version == info.version
        });
        match is_known {
            true => Err(Status::no_such_path()),
            false => Ok(no_such_path()),
        }
    }

    async fn dispatch_path(self: &Arc<Self>, request: Request) -> Result<Answer, Status> {
        let path = request.info.path.trim_end_matches('/');
        match path {
            "/version" => Ok(version::answer()),
            "/healthz" | "/livez" | "/readyz" => health::answer(self, path, &request).await,
            "/metrics" => Ok(self.metrics.answer(self)),
            "" | "/api" | "/apis" => discovery::answer(self, &request),
            _ if health::owns(path) => health::answer(self, path, &request).await,
            _ if path.starts_with("/api/") || path.starts_with("/apis/") => {
                discovery::answer(self, &request)
            }
            _ if path.starts_with("/openapi/") => openapi::answer(self, &request).await,
            "/.well-known/openid-configuration" | "/openid/v1/jwks" => self.issuer_documents(path),
            _ => Ok(no_such_path()),
        }
    }
}

/// What upstream's router says of a path that leads nowhere.
pub(crate) fn no_such_path() -> Answer {
    Answer::text(StatusCode::NOT_FOUND, "404 page not found\n")
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let text = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = text.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// `pods "a" is forbidden: User "u" cannot get resource "pods" in API group "" in the namespace "b"`
pub(crate) fn forbidden(attributes: &Attributes<'_>, why: &str) -> Status {
    let user = meta::field::quote(&attributes.user.name);
    let verb = attributes.verb;
    let why = if why.is_empty() {
        String::new()
    } else {
        format!(": {why}")
    };
    match attributes.target {
        Target::Path(path) => Status::forbidden(
            &GroupResource::default(),
            "",
            format!("User {user} cannot {verb} path \"{path}\"{why}"),
        ),
        Target::Resource {
            group,
            resource,
            subresource,
            namespace,
            name,
            ..
        } => {
            let full = if subresource.is_empty() {
                resource.to_string()
            } else {
                format!("{resource}/{subresource}")
            };
            let place = match namespace {
                "" => " at the cluster scope".to_string(),
                namespace => format!(" in the namespace \"{namespace}\""),
            };
            let message = format!(
                "User {user} cannot {verb} resource \"{full}\" in API group \"{group}\"{place}{why}"
            );
            Status::forbidden(&GroupResource::new(group, resource), name, message)
        }
    }
}
