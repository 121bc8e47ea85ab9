//! Arguments in, exit code out.

fn main() -> std::process::ExitCode {
    certcollectd::cli::main()
}
