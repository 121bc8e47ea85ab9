//! `sandbox`: the rehearsal server in the foreground, and a configuration that fits it.

use certcollectd_sandbox::cli::{self, Arguments, Failure};

use super::exit::Exit;
use super::print::fail;

pub fn sandbox(arguments: &Arguments) -> Result<(), Exit> {
    cli::run(arguments).map_err(|failure| match failure {
        Failure::Usage(why) => fail(Exit::Usage, &why),
        Failure::Failed(why) => fail(Exit::Failed, &why),
    })
}
