//! What users are promised, tested. One crate, so that it is built and linked once.

#![allow(unreachable_pub)]

mod absent;
/// Certificates of other programs become the installed generation.
mod adopt;
/// Orders that vanish from the configuration.
mod alone;
/// House rules: who may import whom, who reads the clock.
mod architecture;
/// The reload behind a socket.
mod bridge;
/// When windows open, against the clock on the wall.
mod calendar;
/// Certificates made for tests.
mod certs;
/// What would fail on the day, said today.
mod check;
/// Every code of the vendor: what becomes of the order, what people read, what is next.
mod codes;
/// What shells offer after a Tab.
mod completions;
/// Each file in `config/` passes; each wrong text yields the message we want.
mod config;
/// Real files elsewhere, and the link.
mod copies;
/// The corpus of the fuzzers, through the functions that they call.
mod corpus;
/// The real binary killed at random times.
mod crash;
/// A name server on loopback.
mod dns;
/// `doctor dcv` against that name server.
mod doctor;
/// What the documents say of this repository.
mod documents;
/// State files as earlier versions wrote them.
mod earlier;
/// The engine, told one thing after the other: bytes in, effects out.
mod engine;
/// A fleet of real parts: etcd, the sandbox, collectors and followers.
mod fleet;
/// A companion in a web server's container, and the daemon.
mod follow;
/// What will happen when.
mod forecast;
/// `check --fragment FILE`: one included file by itself.
mod fragment;
/// Order number, certificate ID, base order number: one of them, end to end.
mod handles;
/// A first configuration.
mod init;
/// The manifests for Kubernetes, and the hook that writes its Secrets.
mod kubernetes;
/// Which collector leads, in worlds made from seeds.
mod lease;
/// The manual: every page renders, and knows what the code knows.
mod manual;
/// What monitoring systems read.
mod metrics;
/// The examples for monitoring systems, against what there is.
mod monitoring;
/// What a monitoring system is told when nobody is at work any more.
mod nagios;
/// A network that does its worst, between the real binary and the vendor.
mod network;
/// The first hour with it, and a bad night.
mod newcomer;
/// What a command prints, where it cannot be printed.
mod output;
/// The page for people.
mod page;
/// A mistake of ours while one order is handled.
mod panics;
/// Output paths in bad company.
mod paths;
/// Whether what is installed is served.
mod probe;
/// Suites for `tests/proof`: too long, or too demanding, for every day.
mod proof;
/// What is made from the tables of the configuration: schema, reference, manual.
mod reference;
/// The real binary against the sandbox: real TLS, real files, real processes.
mod rehearsal;
/// The rehearsal server as a newcomer meets it.
#[cfg(feature = "sandbox")]
mod rehearsal_server;
/// Re-issues: one call for each intent.
mod reissue;
/// An account that the configuration calls something else from now on.
mod renamed;
/// A start from each phase, whatever lies on the disk.
mod resume;
/// A password, and a search for it in everything that leaves the daemon.
mod secrets;
/// Every documented sample decodes to what its page says.
mod seeds;
/// A sandbox, a configuration and the real binary, in a directory of their own.
mod setting;
/// Every shape of an answer, from bytes and from the sandbox.
mod shapes;
/// A store that several hosts share.
mod shared;
/// Domain details, S/MIME replacements, the collection mail.
mod side_calls;
/// The engine in a world made from a seed: the promises as invariants.
mod simulation;
/// The screens of `status`, and what is drawn while something lasts.
mod status;
/// The state file: damaged, newer, restored.
mod store;
/// What is seen of the proof for a re-issue.
mod survey;
/// The product term: shown, and warned of before it ends.
mod term;
/// A terminal for the real binary.
mod terminal;
/// What the vendor says reaches a person; files are guarded during a re-issue.
mod told;
/// The state taken away from under a daemon at work.
mod vanish;
/// A freeze and the real binary.
mod windows;
/// A world for the engine: clock, vendor, disk, hooks and state, all of them able to fail.
mod world;
