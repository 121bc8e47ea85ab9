//! The listener for the vendor's push notifications. A call wakes an order, and is trusted for nothing else.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{AUTHORIZATION, HeaderValue, WWW_AUTHENTICATE};
use hyper::{Method, StatusCode};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::listener::{self, Answer, Asked, Unread, line, no_method, unavailable};
use super::{Inbox, Message};
use crate::effects::blocking;
use crate::effects::call::credential;
use certcollectd_core::api::push;
use certcollectd_core::config::Push;

/// How long to wait for a password on a hung mount.
const PATIENCE: Duration = Duration::from_secs(5);
/// A notification with a certificate and its chain has some 10 KB, one with a mark certificate 200 KB.
const MAX_BODY: usize = 512 * 1024;

/// Serves as soon as the address can be bound.
pub async fn listen(push: &Push, inbox: Inbox) {
    let door = Door { push: push.clone(), permit: blocking::permit() };
    let its = inbox.clone();
    let answer = async move |asked: Asked| answer(asked, &door, &its).await;
    listener::listen("[push]", push.listen, inbox, answer).await;
}

/// Who is let in.
struct Door {
    push: Push,
    /// Kept by the reader of the password until the file is read: on a hung mount only one thread waits.
    permit: Arc<Semaphore>,
}

async fn answer(asked: Asked, door: &Door, inbox: &Inbox) -> Answer {
    let Asked { parts: request, body } = asked;
    if request.uri.path() != door.push.path {
        return line(StatusCode::NOT_FOUND, "there is nothing here");
    }
    let proven = door.push.password.is_some();
    let door = timeout(PATIENCE, door.lets_in(request.headers.get(AUTHORIZATION)));
    let Ok(lets_in) = door.await else {
        return unavailable("the password cannot be checked now");
    };
    if !lets_in {
        let mut answer = line(StatusCode::UNAUTHORIZED, "user name and password are required");
        answer
            .headers_mut()
            .insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"certcollectd\""));
        return answer;
    }
    let query = request.uri.query().unwrap_or_default().as_bytes();
    let hint = match request.method {
        Method::GET => push::parse(query, b""),
        Method::POST => match body.read(MAX_BODY).await {
            Ok(body) => push::parse(query, &body),
            Err(Unread::TooLarge) => return line(StatusCode::PAYLOAD_TOO_LARGE, "that is too large"),
            Err(Unread::NotWhole) => {
                return line(StatusCode::REQUEST_TIMEOUT, "the request is incomplete");
            }
        },
        _ => return no_method("GET, POST"),
    };
    let Some(mut hint) = hint else { return line(StatusCode::BAD_REQUEST, "no order is named") };
    hint.proven = proven;
    // A flood fills the inbox; the vendor retries, and polling goes on anyway. An announced revocation waits for a
    // place: it may be announced only once.
    let taken = match hint.revocation {
        true => timeout(PATIENCE, inbox.send(Message::Hint(hint))).await.is_ok_and(|sent| sent.is_ok()),
        false => inbox.try_send(Message::Hint(hint)).is_ok(),
    };
    match taken {
        true => line(StatusCode::OK, "OK"),
        false => unavailable("busy"),
    }
}

impl Door {
    /// Compares in constant time.
    async fn lets_in(&self, header: Option<&HeaderValue>) -> bool {
        let (Some(user), Some(source)) = (&self.push.user, &self.push.password) else { return true };
        let source = source.clone();
        let reading = blocking::attempt(&self.permit, move || credential::read(&source));
        let Ok(Ok(password)) = reading.await else { return false };
        let wanted = zeroize::Zeroizing::new(format!("{user}:{}", *password));
        let given = header
            .and_then(|header| header.to_str().ok())
            .and_then(|header| header.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("basic"))
            .and_then(|(_, encoded)| STANDARD.decode(encoded.trim()).ok());
        given.is_some_and(|given| {
            aws_lc_rs::constant_time::verify_slices_are_equal(&given, wanted.as_bytes()).is_ok()
        })
    }
}
