//! `sandbox`: the rehearsal server in the foreground, and a configuration that fits it.

use certcollectd_sandbox::cli::{self, Arguments, Failure};

use super::print_error;
use crate::cli::exit;

pub fn sandbox(arguments: &Arguments) -> u8 {
    let (why, code) = match cli::run(arguments) {
        Ok(()) => return exit::OK,
        Err(Failure::Usage(why)) => (why, exit::USAGE),
        Err(Failure::Failed(why)) => (why, exit::FAILED),
    };
    print_error(&why);
    code
}
