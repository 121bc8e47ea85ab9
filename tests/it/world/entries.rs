//! Entries of a configuration, all defaults, for whoever changes one thing of it.

use std::sync::Arc;

use certcollectd_core::api::{OrderRef, Product};
use certcollectd_core::config::{
    Account, Action, Cadence, Calls, Config, Files, Hook, HookEvent, Log, LogFormat, Order, OrderSettings,
    Own, Policy, SecretSource, Severity,
};

/// A configuration with one account `main` and these orders, all defaults.
pub fn config(orders: &[&str]) -> Config {
    Config {
        state_dir: "/state".into(),
        install_dir: "/install".into(),
        calls: Calls::default(),
        cadence: Cadence::default(),
        accounts: vec![account("main")],
        orders: orders.iter().map(|name| order(name)).collect(),
        hooks: Vec::new(),
        windows: Vec::new(),
        freezes: Vec::new(),
        http: None,
        push: None,
        metrics: Default::default(),
        rehearsal: None,
        reissues: Default::default(),
        dns: Default::default(),
        log: Log { format: LogFormat::Text, level: "info".into() },
        fleet: None,
    }
}

pub fn account(name: &str) -> Arc<Account> {
    Arc::new(Account {
        name: name.into(),
        login_name: "login".into(),
        password: Some(SecretSource::File("/secret".into())),
        base_url: Account::BASE_URL.into(),
        ca_file: None,
        proxy: None,
        proxy_login: None,
        response: None,
        params: Box::default(),
    })
}

fn settings() -> OrderSettings {
    OrderSettings {
        product: Product::Ssl,
        cadence: Cadence::default(),
        response: None,
        params: Box::default(),
        files: Files::default(),
        verify: Policy { trust: Severity::Off, ..Policy::default() },
        trust_anchors: None,
        hooks: Vec::new(),
        probes: Box::default(),
        windows: Box::default(),
        window_margin: OrderSettings::WINDOW_MARGIN,
        reissue: None,
        group: None,
    }
}

/// An order on account `main`; its number is its name.
pub fn order(name: &str) -> Order {
    Order {
        name: name.into(),
        account: "main".into(),
        handle: OrderRef::OrderNumber(name.into()),
        own: Own::default().into(),
        settings: Arc::new(settings()),
    }
}

pub fn change(order: &mut Order, change: impl FnOnce(&mut OrderSettings)) {
    let mut settings = (*order.settings).clone();
    change(&mut settings);
    order.settings = Arc::new(settings);
}

pub fn hook(name: &str) -> Arc<Hook> {
    Arc::new(Hook {
        name: name.into(),
        on: vec![HookEvent::Installed],
        action: Action::Run(vec!["true".into()]),
        timeout: Hook::TIMEOUT,
        merge: true,
    })
}
