//! `sandbox`: the rehearsal server in the foreground, and a configuration that fits it.

use certcollectd_sandbox::cli::{self, Arguments, Failure};

use super::exit::Exit;
use super::print::{fail, print};

pub fn sandbox(arguments: &Arguments) -> Result<(), Exit> {
    // A failure to print is reported, and counts at the end; clients are still served.
    let said = |text: &str| {
        print(text);
        Ok(())
    };
    cli::run(arguments, said).map_err(|failure| match failure {
        Failure::Usage(why) => fail(Exit::Usage, &why),
        Failure::Failed(why) => fail(Exit::Failed, &why),
    })
}
