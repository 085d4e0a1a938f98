//! The one HTTP client for every URL that a manifest, a tool's result or a message brings in.
//!
//! It judges each URL by the [`Policy`] before it connects, and each hop of a redirect again; it resolves names itself and
//! connects only to addresses that were judged; it bounds the time of a call and the bytes of its answer, counted after
//! decompression. It takes no proxy from the environment: a proxy would resolve the name again, out of the Policy's sight.

use std::{
    error::Error as _,
    fmt::{self, Write as _},
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt, TryStreamExt, stream};
use reqwest::{
    Method, StatusCode,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION},
    redirect,
};
use serde::Serialize;
use url::Url;

use crate::{
    policy::{Policy, Refusal},
    resolve::{Lookup, Resolver, Scheme, system_lookup},
};

/// How long connecting may take, its name looked up and TLS agreed.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a call may take that says nothing of it.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);
/// How many redirects are followed.
const MAX_REDIRECTS: usize = 5;
/// How many idle connections are kept for each host, and how long.
const IDLE_PER_HOST: usize = 64;
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// A request that did not get its answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RequestError {
    /// The URL, a redirect of it, or every address of its host is not allowed. Nothing was sent there.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The request cannot be made as it is: a header with a line break, a body that is no JSON. Nothing was sent.
    #[error("the request cannot be made: {0}")]
    Invalid(String),
    /// There was no connection: the name is unknown, nobody listens, TLS failed, or it took too long. Nothing was sent.
    #[error("{host} cannot be reached: {reason}")]
    Connect {
        /// The host.
        host: String,
        /// What the network said.
        reason: String,
    },
    /// The time was over. The request may have been acted on.
    #[error("{host} did not answer in time")]
    TimedOut {
        /// The host.
        host: String,
    },
    /// The connection broke before the answer was whole. The request may have been acted on.
    #[error("{host} broke off: {reason}")]
    BrokenOff {
        /// The host.
        host: String,
        /// What the network said.
        reason: String,
    },
    /// The answer is longer than was asked for. The request was acted on.
    #[error("{host} answered with more than {limit} bytes")]
    TooLarge {
        /// The host.
        host: String,
        /// The most that would have been read, in bytes.
        limit: usize,
    },
    /// One redirect led to another too many times.
    #[error("{host} redirects without end")]
    Redirects {
        /// The last host.
        host: String,
    },
}

impl RequestError {
    /// Whether the request certainly did not reach anybody, so that sending it again cannot do it twice.
    #[must_use]
    pub fn never_sent(&self) -> bool {
        matches!(
            self,
            Self::Refused(_) | Self::Invalid(_) | Self::Connect { .. }
        )
    }
}

/// The guarded client. Cheap to clone; clones share their connections.
#[derive(Clone)]
pub struct GuardedClient {
    shared: Arc<Shared>,
}

impl fmt::Debug for GuardedClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuardedClient")
            .field("policy", &self.shared.policy)
            .finish_non_exhaustive()
    }
}

struct Shared {
    policy: Arc<Policy>,
    lookup: Lookup,
    http: OnceLock<Result<reqwest::Client, String>>,
    // Made at the first use, and apart from the other: which addresses a name may have depends on the scheme, which a
    // resolver is not told. It also spares those that use no https from reading the system's certificates.
    https: OnceLock<Result<reqwest::Client, String>>,
}

impl GuardedClient {
    /// A client that goes where `policy` allows.
    #[must_use]
    pub fn new(policy: Arc<Policy>) -> Self {
        Self::with_lookup(policy, system_lookup())
    }

    /// A client that goes where `policy` allows and looks names up by `lookup`, as where a machine's own resolver is not
    /// the one to ask. What it finds is judged like any other address.
    #[must_use]
    pub fn with_lookup(policy: Arc<Policy>, lookup: Lookup) -> Self {
        Self {
            shared: Arc::new(Shared {
                policy,
                lookup,
                http: OnceLock::new(),
                https: OnceLock::new(),
            }),
        }
    }

    /// Begins a request. Nothing is sent before [`GuardedRequest::send`].
    pub fn request(&self, method: Method, url: Url) -> GuardedRequest<'_> {
        GuardedRequest {
            client: self,
            method,
            url,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            timeout: DEFAULT_TIMEOUT,
            invalid: None,
        }
    }

    /// A bare client for `url`, for a library that makes its own requests. It follows no redirect, and connects names
    /// only to allowed addresses. It must be used for this URL's origin alone: a literal address is judged here, and a
    /// bare client cannot judge another. The bytes it reads are for the library to bound.
    ///
    /// # Errors
    /// [`RequestError::Refused`], or [`RequestError::Connect`] when this machine has no TLS certificates.
    pub fn bare_client_for(&self, url: &Url) -> Result<reqwest::Client, RequestError> {
        self.shared.policy.check_url(url)?;
        let https = url.scheme() == "https";
        let made = if https {
            &self.shared.https
        } else {
            &self.shared.http
        };
        let scheme = if https { Scheme::Https } else { Scheme::Http };
        made.get_or_init(|| {
            self.build(scheme)
                .map_err(|error| explain(&error.without_url()))
        })
        .clone()
        .map_err(|reason| RequestError::Connect {
            host: host_of(url),
            reason,
        })
    }

    fn build(&self, scheme: Scheme) -> Result<reqwest::Client, reqwest::Error> {
        let builder = reqwest::Client::builder()
            .dns_resolver(Resolver::new(
                scheme,
                self.shared.policy.clone(),
                self.shared.lookup.clone(),
            ))
            .redirect(redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(IDLE_PER_HOST)
            .user_agent(concat!("eywa/", env!("CARGO_PKG_VERSION")));
        match scheme {
            Scheme::Https => builder.https_only(true).build(),
            // No certificate is trusted where none is asked for.
            Scheme::Http => builder.tls_certs_only([]).build(),
        }
    }
}

/// A request in the making.
#[must_use = "a request does nothing before it is sent"]
pub struct GuardedRequest<'a> {
    client: &'a GuardedClient,
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: Bytes,
    timeout: Duration,
    invalid: Option<String>,
}

impl GuardedRequest<'_> {
    /// Sets a header.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Sets these headers, and leaves others as they are.
    pub fn headers(mut self, headers: &HeaderMap) -> Self {
        for (name, value) in headers {
            self.headers.insert(name, value.clone());
        }
        self
    }

    /// Sends a token as `Authorization: Bearer`, kept out of every log.
    pub fn bearer(mut self, token: &str) -> Self {
        match HeaderValue::try_from(format!("Bearer {token}")) {
            Ok(mut value) => {
                value.set_sensitive(true);
                self.header(AUTHORIZATION, value)
            }
            Err(_) => {
                self.invalid =
                    Some("the bearer token holds characters that a header cannot".to_owned());
                self
            }
        }
    }

    /// Sends this body as it is.
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Sends this as JSON.
    pub fn json(mut self, body: &impl Serialize) -> Self {
        match serde_json::to_vec(body) {
            Ok(body) => self
                .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
                .body(body),
            Err(error) => {
                self.invalid = Some(error.to_string());
                self
            }
        }
    }

    /// Bounds the whole call: connecting, sending, redirects, and reading the answer to its end. 30 s unless said.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sends it, and waits for the head of the answer. Redirects of GET and HEAD are followed, each judged as if it had
    /// been written in the manifest; those of other methods are answers like any other, since following them would
    /// hand a body to somebody it was not written for. A redirect to another origin takes no header along but Accept,
    /// and none leads from https to http.
    ///
    /// # Errors
    /// [`RequestError`]. A status that is no success is not an error.
    pub async fn send(mut self) -> Result<GuardedResponse, RequestError> {
        if let Some(invalid) = self.invalid {
            return Err(RequestError::Invalid(invalid));
        }
        let ends = Instant::now() + self.timeout;
        let follows = matches!(self.method, Method::GET | Method::HEAD);
        for _ in 0..=MAX_REDIRECTS {
            let host = host_of(&self.url);
            let response = self
                .client
                .bare_client_for(&self.url)?
                .request(self.method.clone(), self.url.clone())
                .headers(self.headers.clone())
                .body(self.body.clone())
                .timeout(ends.saturating_duration_since(Instant::now()))
                .send()
                .await
                .map_err(|error| classify(error, &host))?;
            match redirected(&response) {
                Some(next) if follows => {
                    if self.url.scheme() == "https" && next.scheme() == "http" {
                        return Err(Refusal {
                            host: host_of(&next),
                            reason: crate::Reason::PlainHttp,
                        }
                        .into());
                    }
                    if next.origin() != self.url.origin() {
                        // A header from a Secret is for the host that the manifest names.
                        let accept = self.headers.remove(ACCEPT);
                        self.headers = accept.into_iter().map(|value| (ACCEPT, value)).collect();
                    }
                    self.url = next;
                }
                _ => return Ok(GuardedResponse { response, host }),
            }
        }
        Err(RequestError::Redirects {
            host: host_of(&self.url),
        })
    }
}

/// The head of an answer, and its body yet to be read.
pub struct GuardedResponse {
    response: reqwest::Response,
    host: String,
}

impl GuardedResponse {
    /// The status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// The headers.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// The host that answered.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Reads the body to its end.
    ///
    /// # Errors
    /// [`RequestError::TooLarge`] when it is longer than `limit` bytes, decompressed.
    pub async fn bytes(self, limit: usize) -> Result<Bytes, RequestError> {
        let body = self.stream(limit);
        let whole = body.try_fold(BytesMut::new(), |mut whole, piece| async move {
            whole.extend_from_slice(&piece);
            Ok(whole)
        });
        Ok(whole.await?.freeze())
    }

    /// Reads the first `limit` bytes of the body, decompressed, and leaves the rest.
    ///
    /// # Errors
    /// When the connection breaks or the time is over.
    pub async fn beginning(self, limit: usize) -> Result<Bytes, RequestError> {
        let mut body = Box::pin(self.pieces());
        let mut beginning = BytesMut::new();
        while beginning.len() < limit
            && let Some(piece) = body.next().await
        {
            beginning.extend_from_slice(&piece?);
        }
        beginning.truncate(limit);
        Ok(beginning.freeze())
    }

    /// The body as it comes. After an error it ends.
    ///
    /// The error is [`RequestError::TooLarge`] at the piece that makes it longer than `limit` bytes, decompressed.
    pub fn stream(
        self,
        limit: usize,
    ) -> impl Stream<Item = Result<Bytes, RequestError>> + Send + use<> {
        let host = self.host.clone();
        let mut left = limit;
        self.pieces()
            .map(move |piece| {
                let piece = piece?;
                left = left
                    .checked_sub(piece.len())
                    .ok_or_else(|| RequestError::TooLarge {
                        host: host.clone(),
                        limit,
                    })?;
                Ok(piece)
            })
            .scan(false, |failed, piece| {
                let ended = std::mem::replace(failed, piece.is_err());
                std::future::ready((!ended).then_some(piece))
            })
    }

    fn pieces(self) -> impl Stream<Item = Result<Bytes, RequestError>> + Send + use<> {
        stream::try_unfold(self, |mut answer| async move {
            match answer.response.chunk().await {
                Ok(piece) => Ok(piece.map(|piece| (piece, answer))),
                Err(error) => Err(classify(error, &answer.host)),
            }
        })
    }
}

/// Where an answer redirects to. A target that is no URL is taken as no redirect: the answer is then the last.
fn redirected(response: &reqwest::Response) -> Option<Url> {
    let redirects = matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308);
    let target = response
        .headers()
        .get(LOCATION)
        .filter(|_| redirects)?
        .to_str()
        .ok()?;
    response.url().join(target).ok()
}

fn host_of(url: &Url) -> String {
    url.host_str().unwrap_or_default().to_owned()
}

fn classify(error: reqwest::Error, host: &str) -> RequestError {
    // The URL may hold what a template put there.
    let error = error.without_url();
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(refusal) = error.downcast_ref::<Refusal>() {
            return RequestError::Refused(refusal.clone());
        }
        cause = error.source();
    }
    let host = host.to_owned();
    if error.is_builder() {
        RequestError::Invalid(explain(&error))
    } else if error.is_connect() {
        RequestError::Connect {
            host,
            reason: explain(&error),
        }
    } else if error.is_timeout() {
        RequestError::TimedOut { host }
    } else {
        RequestError::BrokenOff {
            host,
            reason: explain(&error),
        }
    }
}

/// An error with all its causes in one line: reqwest's own text leaves them out.
fn explain(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let _ = write!(text, ": {error}");
        cause = error.source();
    }
    text
}
