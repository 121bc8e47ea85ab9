//! Runs a program as on a kernel that does not tell the auxiliary vector.

use std::collections::BTreeMap;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};

/// Of x86-64.
const SYS_PRCTL: i64 = 157;
const PR_GET_AUXV: u64 = 0x4155_5856;
const EINVAL: u32 = 22;

/// Becomes the program that the words name. valgrind hides the vDSO; who finds it all the same, by PR_GET_AUXV,
/// as rustix does, jumps into nothing.
pub fn without_auxv(words: &[String]) -> ExitCode {
    let problem = match filter()
        .and_then(|filter| seccompiler::apply_filter(&filter).map_err(|error| error.to_string()))
    {
        Ok(()) => Command::new(&words[0]).args(&words[1..]).exec().to_string(),
        Err(problem) => problem,
    };
    eprintln!("without-auxv: {}: {problem}", words.join(" "));
    ExitCode::FAILURE
}

fn filter() -> Result<BpfProgram, String> {
    let text = |error: seccompiler::BackendError| error.to_string();
    let asked =
        SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, PR_GET_AUXV).map_err(text)?;
    let rules = BTreeMap::from([(SYS_PRCTL, vec![SeccompRule::new(vec![asked]).map_err(text)?])]);
    let architecture = std::env::consts::ARCH.try_into().map_err(text)?;
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, SeccompAction::Errno(EINVAL), architecture);
    filter.map_err(text)?.try_into().map_err(text)
}
