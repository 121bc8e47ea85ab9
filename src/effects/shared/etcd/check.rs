//! Each endpoint by itself: version, log-in, leader, alarms.

use futures_util::future::join_all;

use super::client::{self, Failure};
use super::wire::{Status, Version};
use super::{Etcd, body};
use crate::effects::shared::EndpointReport;
use certcollectd_core::api::Untrusted;

/// The first versions of 3.4 and 3.5 that do not lose data; older ones do.
const FIRST: [(u64, u64, u64); 2] = [(3, 4, 22), (3, 5, 6)];

impl Etcd {
    pub(in crate::effects::shared) async fn check(&self) -> Vec<EndpointReport> {
        join_all((0..self.settings.endpoints.len()).map(|at| self.report(at))).await
    }

    async fn report(&self, at: usize) -> EndpointReport {
        let (version, problems) = match self.version(at).await {
            Ok(version) => (Some(version.clone()), self.problems(at, &version).await),
            Err(failure) => (None, vec![self.trouble(at, &failure).to_string()]),
        };
        EndpointReport { endpoint: self.settings.endpoints[at].clone(), version, problems, advice: None }
    }

    async fn version(&self, at: usize) -> Result<String, Failure> {
        let client = self.client().await?;
        let answer =
            client::ask(&client, &self.url(at, "/version"), None, None, self.settings.timeout).await?;
        let Version { etcdserver } = serde_json::from_slice(&answer).map_err(|_| Failure::Foreign)?;
        Ok(Untrusted::new(&etcdserver).to_string())
    }

    async fn problems(&self, at: usize, version: &str) -> Vec<String> {
        let who = self.name(at);
        let mut problems = Vec::new();
        if !is_sound(version) {
            problems.push(format!(
                "{who} has version {version}, which may lose data or lacks what is needed; \
                 upgrade it to 3.4.22, 3.5.6 or later"
            ));
        }
        if let Some(login) = &self.settings.login
            && let Err(failure) = self.log_in(at, login).await
        {
            problems.push(self.trouble(at, &failure).to_string());
            return problems;
        }
        match self.ask::<Status>(at, "/v3/maintenance/status", &body(&serde_json::json!({}))).await {
            Ok(status) => {
                let alarms = status.errors.iter();
                problems
                    .extend(alarms.map(|alarm| format!("{who} raises an alarm: {}", Untrusted::new(alarm))));
            }
            Err(failure) => problems.push(self.trouble(at, &failure).to_string()),
        }
        problems
    }
}

fn is_sound(version: &str) -> bool {
    let mut numbers = version.split(['.', '-', '+']).map(str::parse);
    let mut next = || numbers.next().and_then(Result::ok);
    let (Some(major), Some(minor), Some(patch)) = (next(), next(), next()) else { return false };
    let same = FIRST.into_iter().find(|first| (first.0, first.1) == (major, minor));
    match same {
        Some(first) => (major, minor, patch) >= first,
        None => (major, minor) > (3, 5),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        for sound in ["3.4.22", "3.4.23", "3.5.6", "3.5.16+git", "3.6.0-rc.1", "4.0.0"] {
            assert!(is_sound(sound), "{sound}");
        }
        for unsound in ["3.4.21", "3.5.5", "3.3.99", "2.9.9", "", "3.4", "x.y.z"] {
            assert!(!is_sound(unsound), "{unsound}");
        }
    }
}
