//! What goes wrong: the state, the disk, the process, the machine, its clock; and what operators do meanwhile.

use std::sync::Arc;
use std::time::Duration;

use certcollectd_core::config::{Account, Config};
use certcollectd_core::engine::account::record::CredentialTag;
use certcollectd_core::engine::command::Command;
use certcollectd_core::engine::event::{Effect, Event};
use certcollectd_core::engine::hooks::run::HookResult;
use certcollectd_core::engine::id::Token;
use certcollectd_core::engine::probe::ProbeAnswer;
use certcollectd_core::engine::time::Time;

use super::{At, Begun, ORDERS, STOCK, Sim};

impl Sim {
    /// Decides whether the disk or the hook fails this time.
    pub(super) fn spoil(&mut self, effect: &Effect) {
        let fails = !self.quiet && self.dice.one_in(5);
        match effect {
            Effect::Install(_) if fails && self.dice.one_in(2) => self.world.failing_stages = 1,
            Effect::Install(_) if fails => self.world.failing_swaps = 1,
            Effect::Activate(_) if fails => self.world.failing_swaps = 1,
            Effect::RunHook(run) | Effect::Tell(run) => {
                let result = if fails { HookResult::failed("exit code 1") } else { HookResult::Done };
                self.world.hook_results.insert(run.hook.name.to_string(), vec![result]);
            }
            Effect::Survey(run) => self.spoil_survey(&run.name, fails),
            Effect::Probe(run) => {
                self.world.presents.clear();
                for (probe, _) in run.probes.iter().filter(|_| fails) {
                    let gone = ProbeAnswer {
                        address: probe.connect.to_string().into(),
                        outcome: Err("is not there".into()),
                    };
                    self.world.presents.insert(probe.label(), vec![gone]);
                }
            }
            _ => {}
        }
    }

    /// The process dies. What it had begun ends with it, or had just been done.
    pub(super) fn kill(&mut self, when: &str) {
        self.kills += 1;
        self.note(format!("killed {when}"));
        self.hang_up();
        for (_, begun) in std::mem::take(&mut self.pending) {
            if let Begun::Other(
                effect @ (Effect::Install(_) | Effect::Activate(_) | Effect::RunHook(_) | Effect::Tell(_)),
            ) = begun
                && self.dice.one_in(2)
            {
                // Between a generation and the link to it as well.
                let cut = matches!(effect, Effect::Install(_)) && self.dice.one_in(2);
                self.world.failing_swaps += usize::from(cut);
                self.world.one(effect);
                self.look();
            }
        }
        self.start_anew();
    }

    pub(super) fn start_anew(&mut self) {
        let loaded = self.world.load();
        self.world.engine =
            certcollectd_core::engine::Engine::new(self.world.config.clone(), loaded, self.world.now);
        self.tell(Event::Started);
    }

    pub(super) fn command(&mut self, command: Command) {
        self.note(format!("operator: {command:?}"));
        self.token += 1;
        self.tell(Event::Commanded { token: Token(self.token), command });
    }

    /// Something from outside.
    pub(super) fn chaos(&mut self) {
        let name = *self.dice.pick(&ORDERS);
        let day = usize::try_from((self.world.now.time.0 - 1_000_000) / 86_400_000).unwrap() + 1;
        match self.dice.below(24) {
            0 => self.kill("at random"),
            // A clock that is set and a power cut before that was saved: nobody could know of both.
            1 if self.world.rows.offsets.get(&self.world.boot.to_string())
                != Some(&self.world.now.offset()) => {}
            1 => {
                self.note("reboot".into());
                self.kills += 1;
                self.hang_up();
                self.pending.clear();
                self.reboot();
            }
            2 => {
                // Hours or years, either way; set right again when this comes up the next time.
                let wrong = *self.dice.pick(&[-3_600_000, 7_200_000, -315_360_000_000, 315_360_000_000]);
                self.set_clock(if self.skew == 0 { wrong } else { 0 });
            }
            3 => self.world.failing_saves = usize::try_from(self.dice.below(5)).unwrap(),
            4..=8 => {
                let next = match self.orders[name] {
                    At::Issued(_) if self.dice.one_in(12) => At::Rejected,
                    At::Pending if self.dice.one_in(12) => At::Wrong,
                    At::Issued(old) if day > old + 7 => At::Issued(day.min(STOCK - 1)),
                    At::Issued(old) => At::Issued(old),
                    _ => At::Issued(day.min(STOCK - 1)),
                };
                self.note(format!("vendor: {name} is {next:?}"));
                self.orders.insert(name, next);
            }
            9 => {
                self.allow(&self.number_of(name));
                self.command(Command::Poll(name.into()));
            }
            10 => {
                self.allow(&self.number_of(name));
                self.command(Command::Resume(name.into()));
            }
            11 => {
                self.allow(name);
                let hint = certcollectd_core::api::push::Hint {
                    numbers: vec![name.into()],
                    why: "issued".into(),
                    ..Default::default()
                };
                self.tell(Event::Hinted { hint });
            }
            12 => {
                self.login_broken = !self.login_broken;
                self.note(format!("vendor: login broken: {}", self.login_broken));
            }
            13 => {
                // A new password; the vendor knows it or not.
                let tag = u16::try_from(self.dice.below(60_000)).unwrap();
                self.note(format!("a new password, {tag}"));
                if self.dice.one_in(2) {
                    self.right_credential = tag;
                }
                self.world.credential = Some(CredentialTag(tag));
                self.allow_probe();
                let account = self.account();
                self.tell(Event::CredentialTouched { account });
            }
            14 => {
                self.allow_probe();
                let account = self.account();
                let account = account.to_string();
                let same = self.dice.one_in(2);
                let command =
                    if same { Command::ResumeSamePassword(account) } else { Command::ResumeAccount(account) };
                self.command(command);
            }
            15 => {
                self.note(format!("a stranger takes the link of {name} away"));
                if let Some(disk) = self.world.disks.get_mut(name) {
                    disk.link = None;
                }
            }
            16 => {
                self.note(format!("a stranger tidies up the unused generations of {name}"));
                if let Some(disk) = self.world.disks.get_mut(name) {
                    let link = disk.link.clone();
                    disk.generations.retain(|generation, _| Some(generation) == link.as_ref());
                }
            }
            17 => {
                let asleep = i64::try_from(60_000 + self.dice.below(48 * 3_600_000)).unwrap();
                self.note(format!("the machine sleeps for {} s", asleep / 1000));
                self.pass_until(Time(self.world.now.time.0 + asleep));
            }
            18 => {
                self.note("reload".into());
                let config = self.world.config.clone();
                self.tell(Event::Configured { config });
            }
            19 => {
                let long = Duration::from_secs(self.dice.below(16 * 3600));
                self.note(format!("vendor: slower than anybody waits for {} s", long.as_secs()));
                self.deaf_until = self.world.now.time + long;
            }
            20 => self.hurry(),
            21 | 22 => self.want_reissue(name),
            _ => self.edit(name),
        }
    }

    /// Somebody edits the configuration, and all of it is put right again half of the time.
    fn edit(&mut self, name: &str) {
        let mut config = (*self.world.config).clone();
        let what = match self.dice.below(6) {
            0 if config.orders.len() > 1 => {
                config.orders.retain(|order| &*order.name != name);
                format!("{name} is taken out")
            }
            1 if config.orders.len() > 1 => {
                let (first, rest) = config.orders.split_at_mut(1);
                std::mem::swap(&mut first[0].handle, &mut rest[0].handle);
                format!("{} and {} swap their numbers", first[0].name, rest[0].name)
            }
            2 => {
                let account = if &*self.account() == "main" { "second" } else { "main" };
                rename_account(&mut config, account);
                format!("the account is called {account}")
            }
            _ => {
                config = super::config(self.seed);
                "all is as it was".into()
            }
        };
        self.put(config, &what);
    }

    /// Puts a configuration into force.
    pub(super) fn put(&mut self, config: Config, what: &str) {
        self.note(format!("reload: {what}"));
        self.world.config = Arc::new(config);
        let config = self.world.config.clone();
        self.tell(Event::Configured { config });
    }

    /// The name of the one account today.
    pub(super) fn account(&self) -> Arc<str> {
        self.world.config.accounts[0].name.clone()
    }

    /// The number that an entry has today, if there is such an entry.
    pub(super) fn number_of(&self, name: &str) -> String {
        let order = self.world.config.orders.iter().find(|order| &*order.name == name);
        order.map_or_else(|| "nothing".to_owned(), |order| order.handle.text().to_owned())
    }

    /// Sets the wall clock wrong by so much; 0 sets it right.
    pub(super) fn set_clock(&mut self, skew: i64) {
        self.note(format!("the clock is wrong by {} s", skew / 1000));
        self.world.now.wall += skew - self.skew;
        self.skew = skew;
        self.tell(Event::Woke);
    }

    /// The operator's word ends a pause as well.
    pub(super) fn allow_probe(&mut self) {
        self.limited_until = Time::MIN;
        self.allow("account");
        self.allow("account-order");
    }

    pub(super) fn reboot(&mut self) {
        // The schedule's line begins anew; the world's own bookkeeping moves along with it.
        let off = Duration::from_secs(60 + self.dice.below(7200));
        self.world.boot += 1;
        self.pass_until(self.world.now.time + off);
        self.world.now.time.0 += 1;
        // As if time since boot had begun elsewhere: rows of the other boot are translated by wall time.
        self.start_anew();
    }
}

fn rename_account(config: &mut Config, name: &str) {
    for account in &mut config.accounts {
        *account = Arc::new(Account { name: name.into(), ..(**account).clone() });
    }
    for order in &mut config.orders {
        order.account = name.into();
    }
}
