//! HTTP hooks: one call to a server of the operator's, over TCP or a unix socket.

use std::borrow::Cow;
use std::io::ErrorKind;
use std::os::unix::fs::FileTypeExt;
use std::path::PathBuf;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, ClientBuilder, Method, redirect, retry};
use zeroize::Zeroizing;

use super::advised;
use super::environment::value;
use super::kept;
use super::socket::cannot_connect;
use crate::effects::blocking::apart;
use crate::effects::call::{credential, transport};
use certcollectd_core::api::Untrusted;
use certcollectd_core::config::{CallValue, HttpCall, Template};
use certcollectd_core::engine::hooks::run::{HookResult, HookRun};

const UNIX: &str = "http+unix://";
const HTTPS: &str = "https://";

/// Whether a call to this address speaks TLS, and needs roots for it.
pub fn needs_roots(url: &str) -> bool {
    url.get(..HTTPS.len()).is_some_and(|start| start.eq_ignore_ascii_case(HTTPS))
}

fn client(url: &str) -> ClientBuilder {
    let builder = Client::builder()
        .user_agent(concat!("certcollectd/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .no_proxy();
    if needs_roots(url) { builder } else { builder.tls_certs_only([]) }
}

/// Why no call to this address can be made from this machine.
pub fn obstacle(url: &str) -> Option<String> {
    client(url).build().err().map(unmade)
}

/// Makes the call. Any 2xx is success; no redirect is followed, no proxy of the environment is used.
pub(super) async fn call(call: &HttpCall, run: &HookRun) -> HookResult {
    let shown = shown(&call.url);
    let Ok(method) = Method::from_bytes(call.method.as_bytes()) else {
        return HookResult::failed(format!("there is no method {}", call.method));
    };
    let headers = match headers(call).await {
        Ok(headers) => headers,
        Err(why) => return HookResult::failed(why),
    };
    let text = |variable| value(run, variable).to_string_lossy().into_owned();
    let (url, body) = match (url(call).await, body(call).await) {
        (Ok(url), Ok(body)) => (url, body),
        (Err(why), _) | (_, Err(why)) => return HookResult::failed(why),
    };
    let body = body.as_deref().map(|body| body.render(text)).unwrap_or_default();
    let mut builder = client(&url);
    let mut socket = None;
    let target = match url.strip_prefix(UNIX) {
        None => url.to_string(),
        Some(rest) => match split_unix(rest) {
            Ok((found, path)) => {
                builder = builder.unix_socket(found.clone());
                socket = Some(found);
                format!("http://localhost{path}")
            }
            Err(NoSocket::Unreachable(path, error)) => return cannot_connect(&path, error).await,
            Err(NoSocket::Wrong(why)) => return HookResult::failed(why),
        },
    };
    let client = match builder.build() {
        Ok(client) => client,
        Err(error) => {
            return HookResult::failed(format!("{shown} cannot be called: {}", unmade(error)));
        }
    };
    let length = body.len();
    let request = client.request(method, target).header("content-length", length).headers(headers).body(body);
    match request.send().await {
        Ok(answer) if answer.status().is_success() => HookResult::Done,
        Ok(answer) => {
            let status = answer.status();
            HookResult::Failed {
                why: format!("HTTP status {} from {shown}", status.as_u16()),
                last_words: first_words(call, answer).await,
                remedy: None,
            }
        }
        Err(error) => match (&socket, system_error(&error)) {
            (Some(socket), Some(cause)) if error.is_connect() => cannot_connect(socket, cause).await,
            (None, Some(cause)) if cause.kind() == ErrorKind::ConnectionRefused => {
                advised(format!("cannot connect to {shown}: nothing listens there"), "is the server running?")
            }
            _ => HookResult::failed(format!("{shown} cannot be called: {}", said(error))),
        },
    }
}

/// The headers of a call, with their secrets. A body is JSON unless a header says otherwise.
async fn headers(call: &HttpCall) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    if call.body.is_some() {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    for (name, value) in &call.headers {
        let key =
            HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("there is no header {name}"))?;
        let value = match value {
            CallValue::Plain(text) => HeaderValue::from_str(text),
            CallValue::Secret(source) => {
                let source = source.clone();
                let secret = apart(move || credential::read(&source)).await?;
                HeaderValue::from_str(&secret).map(|mut value| {
                    value.set_sensitive(true);
                    value
                })
            }
        };
        headers.insert(
            key,
            value.map_err(|_| format!("the header {name} has characters that no header takes"))?,
        );
    }
    Ok(headers)
}

/// Where the call goes.
async fn url(call: &HttpCall) -> Result<Zeroizing<String>, String> {
    match &call.url {
        CallValue::Plain(url) => Ok(Zeroizing::new(url.clone())),
        CallValue::Secret(source) => {
            let source = source.clone();
            apart(move || kept::url(&source)).await
        }
    }
}

/// What it says, before its variables have values.
async fn body(call: &HttpCall) -> Result<Option<Cow<'_, Template>>, String> {
    match &call.body {
        None => Ok(None),
        Some(CallValue::Plain(body)) => Ok(Some(Cow::Borrowed(body))),
        Some(CallValue::Secret(source)) => {
            let source = source.clone();
            apart(move || kept::body(&source)).await.map(|body| Some(Cow::Owned(body)))
        }
    }
}

/// The address as people see it: the server of a URL, without path and query; or where it is kept.
pub fn shown(url: &CallValue<String>) -> String {
    let url = match url {
        CallValue::Plain(url) => &**url,
        CallValue::Secret(source) => return format!("the url in {}", source.describe()),
    };
    let Some((scheme, rest)) = url.split_once("://") else { return Untrusted::new(url).to_string() };
    let end = if scheme == "http+unix" { rest.find('?') } else { rest.find(['/', '?']) };
    format!("{scheme}://{}", Untrusted::new(&rest[..end.unwrap_or(rest.len())]))
}

/// The system's own error at the bottom of one of the library's.
fn system_error(error: &reqwest::Error) -> Option<std::io::Error> {
    let numbers = transport::causes(error)
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::raw_os_error));
    numbers.last().map(std::io::Error::from_raw_os_error)
}

/// What a refusal says in its first bytes: Docker, for one, gives its reason there. A server may repeat what it was sent,
/// so the answer to a secret is not shown.
async fn first_words(call: &HttpCall, mut answer: reqwest::Response) -> Vec<Untrusted> {
    if call.secrets().next().is_some() {
        return Vec::new();
    }
    let chunk = answer.chunk().await.ok().flatten().unwrap_or_default();
    let words = Untrusted::from_bytes(&chunk);
    if words.as_str().is_empty() { Vec::new() } else { vec![words] }
}

fn unmade(error: reqwest::Error) -> String {
    transport::rootless().map_or_else(|| said(error), str::to_owned)
}

fn said(error: reqwest::Error) -> String {
    let last = transport::causes(&error.without_url()).last().map(ToString::to_string);
    Untrusted::new(&last.unwrap_or_default()).to_string()
}

/// Tells the socket from the path of the request: `/run/docker.sock/containers/web/kill` names the socket
/// `/run/docker.sock`, the first part that is not a directory. Percent-encoded (`%2Frun%2Fdocker.sock/...`)
/// the socket is plain.
fn split_unix(rest: &str) -> Result<(PathBuf, String), NoSocket> {
    let whole = |path: &str| if path.is_empty() { "/".to_owned() } else { path.to_owned() };
    if !rest.starts_with('/') {
        let (socket, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        let socket = percent_encoding::percent_decode_str(socket).decode_utf8_lossy().into_owned();
        if !socket.starts_with('/') {
            return Err(NoSocket::Wrong(format!("{UNIX} must be followed by the absolute path of a socket")));
        }
        return Ok((PathBuf::from(socket), whole(path)));
    }
    let path_end = rest.find('?').unwrap_or(rest.len());
    let ends = rest[1..path_end].match_indices('/').map(|(at, _)| at + 1).chain([path_end]);
    for end in ends {
        let socket = PathBuf::from(&rest[..end]);
        match std::fs::metadata(&socket) {
            Ok(found) if found.is_dir() => {}
            Ok(found) if found.file_type().is_socket() => return Ok((socket, whole(&rest[end..]))),
            Ok(_) => return Err(NoSocket::Wrong(format!("{} is not a socket", socket.display()))),
            Err(error) => return Err(NoSocket::Unreachable(socket, error)),
        }
    }
    Err(NoSocket::Wrong(format!("no part of {} is a socket", &rest[..path_end])))
}

/// Why there is no socket to connect to.
#[derive(Debug)]
enum NoSocket {
    Wrong(String),
    Unreachable(PathBuf, std::io::Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_socket_ends_where_the_directories_end() {
        let temp = tempfile::tempdir().unwrap();
        let socket = temp.path().join("docker.sock");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let shown = socket.display().to_string();
        let check =
            |rest: &str, path: &str| assert_eq!(split_unix(rest).unwrap(), (socket.clone(), path.to_owned()));
        check(&format!("{shown}/containers/web/kill?signal=HUP"), "/containers/web/kill?signal=HUP");
        check(&shown, "/");
        check(&format!("{}/x?a=/b", shown.replace('/', "%2F")), "/x?a=/b");
        let missing = temp.path().join("missing.sock");
        let found = split_unix(&format!("{}/x", missing.display()));
        assert!(matches!(found, Err(NoSocket::Unreachable(path, _)) if path == missing));
        assert!(split_unix("run/docker.sock").is_err());
    }
}
