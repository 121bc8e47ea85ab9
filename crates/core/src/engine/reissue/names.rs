//! Whether a request asks for the installed names, and which of them are proven. The vendor does not refuse one that asks
//! for something else: it takes the order to another name.

use crate::api::Several;
use crate::cert::{Csr, SanName};

/// The names that must be sent, or why the request is not for the installed certificate, in words.
///
/// The request's names, its common name among them, are installed ones and hold the installed common name. What else is
/// installed need not be in it: of a single name the vendor adds the `www.` or the bare name itself; of a multi-domain order
/// all names are sent beside the request, because what is left out is lost.
pub(crate) fn compare(
    csr: &Csr,
    common_name: Option<&str>,
    installed: &[Box<str>],
) -> Result<Option<Several>, String> {
    let mut asked: Vec<String> = csr.names().iter().map(SanName::to_string).collect();
    asked.extend(csr.common_name().map(str::to_owned));
    let is_installed = |name: &str| installed.iter().any(|known| known.eq_ignore_ascii_case(name));
    if let Some(name) = asked.iter().find(|name| !is_installed(name)) {
        return Err(format!(
            "the request asks for {name}, which the installed certificate does not have; make one for the installed names"
        ));
    }
    let asks_for = |name: &str| asked.iter().any(|known| known.eq_ignore_ascii_case(name));
    let main = match common_name {
        Some(name) if !asks_for(name) => {
            return Err(format!(
                "the request does not ask for {name}, the common name of the installed certificate; make one that does"
            ));
        }
        Some(name) => name,
        None => match asked.first() {
            Some(name) => name,
            None => return Err("the request asks for no name; make one for the installed names".to_owned()),
        },
    };
    let added = added_to(main);
    let is_of_main = |name: &str| name.eq_ignore_ascii_case(main) || name.eq_ignore_ascii_case(&added);
    if installed.iter().all(|name| is_of_main(name)) {
        return Ok(None);
    }
    Ok(Some(Several {
        names: installed.iter().map(ToString::to_string).collect(),
        primary: common_name.map(str::to_owned),
    }))
}

/// What the vendor puts beside a single name: the bare name of a `www.` or a wildcard, else its `www.`.
fn added_to(name: &str) -> String {
    let bare = name.strip_prefix("*.").or_else(|| name.strip_prefix("www."));
    bare.map_or_else(|| format!("www.{name}"), str::to_owned)
}

/// The names whose control is proven: each once, without its wildcard; addresses have no record.
pub(crate) fn proven_names(names: &[Box<str>]) -> Box<[Box<str>]> {
    let mut list: Vec<Box<str>> = Vec::new();
    for name in names {
        let name = name.strip_prefix("*.").unwrap_or(name);
        if name.parse::<std::net::IpAddr>().is_err() && !list.iter().any(|known| **known == *name) {
            list.push(name.into());
        }
    }
    list.into()
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};

    use super::*;
    use crate::cert;

    fn csr(common_name: &str, names: &[&str]) -> Csr {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name = DistinguishedName::new();
        if !common_name.is_empty() {
            params.distinguished_name.push(DnType::CommonName, common_name);
        }
        let key = KeyPair::generate().unwrap();
        cert::csr::read(params.serialize_request(&key).unwrap().der()).unwrap()
    }

    /// The request's common name and other names; the installed ones, of which the first is the common name.
    fn compared(common_name: &str, names: &[&str], installed: &[&str]) -> Result<Option<Several>, String> {
        let held: Vec<Box<str>> = installed.iter().map(|name| (*name).into()).collect();
        compare(&csr(common_name, names), installed.first().copied(), &held)
    }

    #[test]
    fn of_a_single_name_nothing_is_sent_beside_the_request() {
        let www: &[&str] = &["www.example.com", "example.com"];
        assert_eq!(compared("www.example.com", &[], www), Ok(None));
        assert_eq!(compared("WWW.Example.com", &[], www), Ok(None));
        assert_eq!(compared("", &["www.example.com"], www), Ok(None));
        assert_eq!(compared("www.example.com", www, www), Ok(None));
        assert_eq!(compared("example.com", www, www), Ok(None), "it holds the common name");
        assert_eq!(compared("example.com", &[], &["example.com", "www.example.com"]), Ok(None));
        assert_eq!(compared("*.example.com", &[], &["*.example.com", "example.com"]), Ok(None));
        assert_eq!(compared("a.example.com", &[], &["a.example.com"]), Ok(None));
    }

    #[test]
    fn of_several_all_installed_names_are_sent() {
        let all: &[&str] = &["a.example", "b.example", "192.0.2.1"];
        let several = Several {
            names: all.iter().map(ToString::to_string).collect(),
            primary: Some("a.example".into()),
        };
        assert_eq!(compared("a.example", &[], all), Ok(Some(several.clone())));
        assert_eq!(compared("", all, all), Ok(Some(several)));
        let wildcard = compared("*.a.example", &[], &["*.a.example", "www.a.example"]).unwrap().unwrap();
        assert_eq!(wildcard.names, ["*.a.example", "www.a.example"]);
        let held: Vec<Box<str>> = all.iter().map(|name| (*name).into()).collect();
        let unnamed = compare(&csr("", &["b.example"]), None, &held).unwrap().unwrap();
        assert_eq!((unnamed.names.len(), unnamed.primary), (3, None));
    }

    #[test]
    fn another_name_is_refused() {
        let www: &[&str] = &["www.example.com", "example.com"];
        let other = |name: &str| {
            Err(format!(
                "the request asks for {name}, which the installed certificate does not have; make one for the installed names"
            ))
        };
        assert_eq!(compared("evil.example", &[], www), other("evil.example"));
        assert_eq!(compared("evil.example", www, www), other("evil.example"), "whatever else it asks for");
        assert_eq!(compared("www.example.com", &["mail.example.com"], www), other("mail.example.com"));
        assert_eq!(compared("*.example.com", &[], www), other("*.example.com"), "no wildcard covers it");
        let without = compared("example.com", &[], www).unwrap_err();
        assert!(
            without.starts_with("the request does not ask for www.example.com, the common name"),
            "{without}"
        );
        let nothing = compare(&csr("", &[]), None, &["www.example.com".into()]).unwrap_err();
        assert!(nothing.starts_with("the request asks for no name"), "{nothing}");
    }
}
