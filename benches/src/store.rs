//! The store of a fleet: one member of etcd, through its JSON gateway.

use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use certcollectd_core::config::fleet::Fleet;
use reqwest::Client;
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};

use crate::clock::{self, Moment};
use crate::daemon::wait;

/// Rows of one transaction; etcd takes 128.
const MOST: usize = 100;

/// A row that was put, and when the watch brought it. Its key is without the fleet's prefix.
#[derive(Debug)]
pub struct Put {
    pub moment: Moment,
    pub key: String,
    pub value: Vec<u8>,
}

/// It runs; dropped, it is killed.
#[derive(Debug)]
pub struct Store {
    child: Child,
    /// `http://127.0.0.1:PORT`
    pub endpoint: String,
    client: Client,
    runtime: Runtime,
}

impl Store {
    /// Starts one whose data and log are below `folder`.
    pub fn start(folder: &Path) -> io::Result<Store> {
        let (endpoint, peer) = (address()?, address()?);
        let (data, cluster) = (folder.join("data"), format!("bench={peer}"));
        let log = File::create(folder.join("log"))?;
        let child = Command::new("etcd")
            .args(["--name", "bench", "--initial-cluster", &cluster])
            .args(["--listen-client-urls", &endpoint, "--advertise-client-urls", &endpoint])
            .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
            .arg("--data-dir")
            .arg(data)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let mut store = Store { child, endpoint, client: client()?, runtime };
        wait("etcd takes requests", || match store.child.try_wait()? {
            Some(status) => Err(io::Error::other(format!("etcd ended with {status}"))),
            None => Ok(store.size().is_ok()),
        })?;
        Ok(store)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    fn ask(&self, path: &str, body: &Value) -> io::Result<Value> {
        let request = self.client.post(format!("{}{path}", self.endpoint)).body(body.to_string());
        let answer = async { request.send().await?.error_for_status()?.bytes().await };
        let answer = self.runtime.block_on(answer).map_err(io::Error::other)?;
        serde_json::from_slice(&answer).map_err(io::Error::other)
    }

    /// The rows whose keys begin like this.
    pub fn list(&self, prefix: &str) -> io::Result<Vec<(String, Vec<u8>)>> {
        let answer = self.ask("/v3/kv/range", &range(prefix))?;
        let rows = answer["kvs"].as_array().map_or(&[][..], Vec::as_slice);
        rows.iter().map(row).collect()
    }

    pub fn put(&self, rows: &[(String, Vec<u8>)]) -> io::Result<()> {
        for rows in rows.chunks(MOST) {
            let put = |(key, value): &(String, Vec<u8>)| json!({ "request_put": { "key": coded(key), "value": STANDARD.encode(value) } });
            self.ask("/v3/kv/txn", &json!({ "success": rows.iter().map(put).collect::<Vec<_>>() }))?;
        }
        Ok(())
    }

    /// Forgets what rows were before.
    pub fn compact(&self) -> io::Result<()> {
        let revision = self.ask("/v3/maintenance/status", &json!({}))?["header"]["revision"].clone();
        self.ask("/v3/kv/compaction", &json!({ "revision": revision, "physical": true })).map(drop)
    }

    /// Bytes of its file.
    pub fn size(&self) -> io::Result<u64> {
        let status = self.ask("/v3/maintenance/status", &json!({}))?;
        let size = status["dbSize"].as_str().and_then(|size| size.parse().ok());
        size.ok_or_else(|| io::Error::other("etcd does not say how large it is"))
    }

    /// The rows that are put from now on, until nobody takes them.
    pub fn watch(&self, prefix: &str) -> io::Result<Receiver<Put>> {
        let request = client()?
            .post(format!("{}/v3/watch", self.endpoint))
            .body(json!({ "create_request": range(prefix) }).to_string());
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let mut response = runtime.block_on(request.send()).map_err(io::Error::other)?;
        // That it is there; nothing before is missed then.
        let mut buffer =
            runtime.block_on(response.chunk()).map_err(io::Error::other)?.unwrap_or_default().to_vec();
        let (sender, puts) = channel();
        thread::spawn(move || {
            while pass_on(&mut buffer, &sender).is_ok() {
                // It ends with etcd.
                let Ok(Some(chunk)) = runtime.block_on(response.chunk()) else { return };
                buffer.extend_from_slice(&chunk);
            }
        });
        Ok(puts)
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends the rows of the lines that are whole.
fn pass_on(buffer: &mut Vec<u8>, sender: &Sender<Put>) -> io::Result<()> {
    let moment = clock::now();
    while let Some(end) = buffer.iter().position(|byte| *byte == b'\n') {
        let line: Value = serde_json::from_slice(&buffer[..end]).map_err(io::Error::other)?;
        buffer.drain(..=end);
        let events = line["result"]["events"].as_array().map_or(&[][..], Vec::as_slice);
        for event in events.iter().filter(|event| event["type"].is_null()) {
            let (key, value) = row(&event["kv"])?;
            sender.send(Put { moment, key, value }).map_err(io::Error::other)?;
        }
    }
    Ok(())
}

fn client() -> io::Result<Client> {
    Client::builder().no_proxy().build().map_err(io::Error::other)
}

/// Where nobody listens yet.
fn address() -> io::Result<String> {
    Ok(format!("http://{}", TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?))
}

fn coded(key: &str) -> String {
    STANDARD.encode(format!("{}{key}", Fleet::PREFIX))
}

/// All names of a fleet are ASCII.
fn range(prefix: &str) -> Value {
    json!({ "key": coded(prefix), "range_end": coded(&format!("{prefix}\x7f")) })
}

fn row(row: &Value) -> io::Result<(String, Vec<u8>)> {
    let decoded = |of: &str| STANDARD.decode(row[of].as_str().unwrap_or_default()).map_err(io::Error::other);
    let key = String::from_utf8(decoded("key")?).map_err(io::Error::other)?;
    let key = key.strip_prefix(Fleet::PREFIX).ok_or_else(|| io::Error::other("a key of another fleet"))?;
    Ok((key.to_owned(), decoded("value")?))
}
