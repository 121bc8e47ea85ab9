//! Looking names up as the system does, with an error that says which name it was.

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use certcollectd_core::api::Untrusted;

/// Looks names up with the system's resolver.
#[derive(Debug, Clone, Copy)]
pub(in crate::effects) struct Names;

/// A name without an address.
#[derive(Debug, thiserror::Error)]
#[error("{name} cannot be resolved: {why}")]
pub(super) struct Unknown {
    pub(super) name: String,
    pub(super) why: Untrusted,
}

impl Resolve for Names {
    fn resolve(&self, name: Name) -> Resolving {
        let name = name.as_str().to_owned();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await.map(Iterator::collect::<Vec<_>>);
            match found {
                Ok(addresses) => Ok(Box::new(addresses.into_iter()) as Addrs),
                Err(error) => {
                    // The first words are the library's; those of the system's resolver come behind them.
                    let text = error.to_string();
                    let why = Untrusted::new(text.rsplit(": ").next().unwrap_or_default());
                    Err(Unknown { name, why }.into())
                }
            }
        })
    }
}
