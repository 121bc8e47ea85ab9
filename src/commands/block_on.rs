//! The runtime of a command.

use std::future::Future;

use tokio::runtime::{Builder, LocalOptions};

use super::exit::Exit;
use super::print::fail;
use crate::effects::errno::cause;

/// Runs a future on the one thread that the daemon has.
pub(super) fn block_on<T>(future: impl Future<Output = T>) -> Result<T, Exit> {
    let built = Builder::new_current_thread().enable_io().enable_time().build_local(LocalOptions::default());
    let runtime = built.map_err(|error| {
        let cause = cause(&error);
        let why = format!("cannot set up the event loop: {cause}");
        fail(Exit::Failed, &why)
    })?;
    let result = runtime.block_on(future);
    // A hanging name lookup must not delay the exit.
    runtime.shutdown_background();
    Ok(result)
}
