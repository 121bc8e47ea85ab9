use super::*;

fn route(proxy: Option<&str>, ca_file: Option<&str>) -> Route {
    Route {
        host: "secure.example.com:443".into(),
        proxy: proxy.map(Into::into),
        proxy_login: None,
        ca_file: ca_file.map(Into::into),
        connect_timeout: Duration::from_secs(10),
    }
}

fn words(cause: &Cause, route: &Route) -> String {
    route.failure(cause).to_string()
}

const PROXY: Option<&str> = Some("http://proxy.example.com:3128");

fn causes() -> Vec<Cause> {
    let foreign = Untrusted::new("x");
    let span = Some(Span { limit: 1_000_000_000, now: 86_400 });
    vec![
        Cause::NoName { name: "secure.example.com".into(), why: foreign.clone() },
        Cause::Refused,
        Cause::Unreachable,
        Cause::Forbidden,
        Cause::Slow,
        Cause::Closed,
        Cause::NoTunnel(None),
        Cause::NoTunnel(Some(403)),
        Cause::NoTunnel(Some(407)),
        Cause::NoLogin,
        Cause::NotTls,
        Cause::UnknownIssuer(None),
        Cause::UnknownIssuer(Some(foreign.clone())),
        Cause::Expired(None),
        Cause::Expired(span),
        Cause::NotYetValid(None),
        Cause::NotYetValid(span),
        Cause::WrongName(foreign.clone()),
        Cause::Incompatible,
        Cause::Alert(AlertDescription::AccessDenied),
        Cause::Tls(foreign.clone()),
        Cause::Other(foreign),
    ]
}

#[test]
fn every_sentence_says_with_whom() {
    for cause in causes() {
        let direct = words(&cause, &route(None, None));
        assert!(direct.contains("secure.example.com") || direct.contains("proxy"), "{direct}");
        let through = words(&cause, &route(PROXY, None));
        let is_of_proxy = through.contains("proxy.example.com:3128");
        let names_host = matches!(cause, Cause::NoName { .. } | Cause::NotTls);
        assert!(is_of_proxy || names_host, "{through}");
    }
}

fn check(cause: Cause, route: &Route, parts: &[&str]) {
    let text = words(&cause, route);
    for part in parts {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn each_cause_has_its_remedy() {
    let direct = route(None, None);
    let span = Some(Span { limit: 1_700_000_000, now: 86_400 });
    check(
        Cause::NotYetValid(span),
        &direct,
        &["2023-11-14T22:13:20Z", "1970-01-02T00:00:00Z", "set this machine's clock"],
    );
    check(Cause::Expired(span), &direct, &["2023-11-14T22:13:20Z", "if the clock is wrong"]);
    let issuer = || Cause::UnknownIssuer(Some(Untrusted::new("CN=Corp Proxy CA")));
    check(issuer(), &direct, &["\"CN=Corp Proxy CA\"", "ca_file of the account"]);
    check(issuer(), &route(None, Some("/etc/corp.pem")), &["\"CN=Corp Proxy CA\"", "ca_file /etc/corp.pem"]);
    check(Cause::NoTunnel(Some(403)), &route(PROXY, None), &["HTTP 403", "secure.example.com:443"]);
    check(Cause::NoTunnel(Some(407)), &route(PROXY, None), &["HTTP 407", "proxy_user"]);
    check(Cause::NoLogin, &route(PROXY, None), &["requires a login", "proxy_user"]);
    let login = Some((Untrusted::new("svc"), "write it into /p".to_owned()));
    let with_login = Route { proxy_login: login, ..route(PROXY, None) };
    for cause in [Cause::NoTunnel(Some(407)), Cause::NoLogin] {
        check(cause, &with_login, &["refuses the login", "proxy_user \"svc\"", "write it into /p"]);
    }
    let name = |name: &str| Cause::NoName { name: name.into(), why: Untrusted::new("x") };
    check(name("secure.example.com"), &route(PROXY, None), &["base_url", "/etc/resolv.conf"]);
    check(name("proxy.example.com"), &route(PROXY, None), &["right in proxy"]);
    check(Cause::Slow, &direct, &["connect_timeout (10s)"]);
}

#[test]
fn hosts_have_a_port() {
    for (url, host, name) in [
        ("https://secure.example.com", "secure.example.com:443", "secure.example.com"),
        ("https://secure.example.com:8443/path", "secure.example.com:8443", "secure.example.com"),
        ("https://[::1]/x", "[::1]:443", "[::1]"),
        ("https://[::1]:8443", "[::1]:8443", "[::1]"),
    ] {
        assert_eq!(with_port(url, 443), host);
        assert_eq!(name_of(host), name);
    }
}

#[test]
fn how_a_connection_ended() {
    let system = |code: i32| io::Error::from_raw_os_error(code);
    let within = |error: io::Error| io::Error::other(error);
    for (error, part) in [
        (system(110), "`settle`"),
        (within(system(110)), "`settle`"),
        (system(104), "closed the connection"),
        (system(32), "closed the connection"),
        (within(ErrorKind::UnexpectedEof.into()), "closed the connection"),
        (system(113), "interrupted"),
    ] {
        assert!(broken(&error).is_some_and(|why| why.contains(part)), "{error}: {:?}", broken(&error));
    }
    // The limit of the whole call, and what is unknown.
    assert_eq!(broken(&io::Error::new(ErrorKind::TimedOut, "operation timed out")), None);
    assert_eq!(broken(&io::Error::other("odd")), None);
}
