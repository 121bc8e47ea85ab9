//! A loop of reqwest with nothing around it.

use std::io;

use reqwest::Certificate;
use reqwest::header::CONTENT_TYPE;
use tokio::runtime::{Builder, Runtime};

use super::request::{PATH, Target, form};

pub(super) struct Client {
    runtime: Runtime,
    client: reqwest::Client,
}

impl Client {
    pub(super) fn new(target: &Target) -> io::Result<Client> {
        let root = Certificate::from_pem(target.root.as_bytes()).map_err(io::Error::other)?;
        let client = reqwest::Client::builder().tls_certs_only([root]).build().map_err(io::Error::other)?;
        Ok(Client { runtime: Builder::new_current_thread().enable_all().build()?, client })
    }

    pub(super) fn poll(&mut self, target: &Target, order: u64) -> io::Result<()> {
        let url = format!("https://{}{PATH}", target.address);
        let form_type = "application/x-www-form-urlencoded";
        let request = self.client.post(url).header(CONTENT_TYPE, form_type).body(form(order));
        let answer = async { request.send().await?.bytes().await };
        let body = self.runtime.block_on(answer).map_err(io::Error::other)?;
        if body.starts_with(b"errorCode=") { Ok(()) } else { Err(io::Error::other("that is no answer")) }
    }
}
