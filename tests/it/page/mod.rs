//! The pages for people: what they say, in which order, and that nothing foreign gets into their markup.

mod mixed;
mod served;

use certcollectd::status::page::{View, no_order, policy};
use certcollectd::status::{Explanation, HistoryEntry, Need, Status};
use certcollectd_core::config::Config;
use certcollectd_core::engine::hooks::run::HookResult;
use certcollectd_core::engine::vitals::Vitals;
use certcollectd_core::forecast::{Event, Who, forecast};

use crate::certs;
use crate::world::{self, DAY, HOUR, START, Say, World};

/// The size that a page must not reach, in bytes.
const LIMIT: usize = 100_000;

fn status(world: &World) -> Status {
    Status::new(&world.config, &world.load(), world.now)
}

/// A certificate with so many days to go out of ninety.
fn issued(days: i64) -> Say {
    let (begin, end) = (START - (90 - days) * 86_400, START + days * 86_400);
    let leaf = certs::leaf(&rcgen::KeyPair::generate().unwrap(), &["www.example.com"], begin, end);
    Say::Body(200, certs::issued(&leaf))
}

/// The orders of a page, from top to bottom.
fn orders(page: &str) -> Vec<&str> {
    page.split("href=\"orders/").skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

fn view(query: &str) -> View {
    View::of(query)
}

#[test]
fn what_needs_a_person_is_counted_and_comes_first() {
    let mut world = World::new(world::config(&["fine", "slow", "soon", "gone", "odd"]));
    world.say("fine", [issued(60)]);
    world.say("slow", [Say::text("errorCode=0")]);
    world.say("soon", [issued(8)]);
    world.say("gone", [issued(1)]);
    world.say("odd", [Say::text("errorCode=-20&errorMessage=Rejected")]);
    world.pass(HOUR);
    let shown = status(&world);
    assert_eq!(shown.summary().to_string(), "3 need you · 1 waits · 1 in order");
    let names: Vec<&str> = shown.worst_first().iter().map(|order| &*order.name).collect();
    assert_eq!(names, ["gone", "odd", "soon", "slow", "fine"]);
    assert_eq!(shown.summary().part(Need::Nothing), "1 in order");
    let page = shown.page(View::default());
    assert_eq!(orders(&page), names);
    assert!(page.contains("<title>3 need you · 1 waits · 1 in order – certcollectd</title>"), "{page}");
}

#[test]
fn what_is_no_order_can_need_a_person_too() {
    let mut world = World::new(world::config(&["www"]));
    world.say("www", [Say::text("errorCode=-16&errorMessage=Incorrect+login+details")]);
    world.pass(DAY);
    let vitals = Vitals { failed_saves: 1, ..Vitals::default() };
    assert_eq!(status(&world).summary().to_string(), "1 needs you · 1 waits · 0 in order");
    let both = status(&world).with(&vitals);
    assert_eq!(both.summary().to_string(), "2 need you · 1 waits · 0 in order");
    let page = both.page(View::default());
    let places = ["the state cannot be saved", "account main is closed", "href=\"orders/www\""]
        .map(|part| page.find(part).unwrap_or_else(|| panic!("{part}: {page}")));
    assert!(places.is_sorted(), "{places:?}");
    for command in ["certcollectd check", "certcollectd resume --account main"] {
        assert!(page.contains(&format!("<code>{command}</code>")), "{command}: {page}");
    }
}

#[test]
fn a_row_has_what_is_wrong_and_the_command_that_comes_next() {
    let page = mixed::status(12).page(View::default());
    for part in [
        "has 1 day left",
        "hook haproxy failed",
        "unable to load &quot;/etc/haproxy/shop.pem&quot;",
        "<code>certcollectd explain shop</code>",
        "10.0.0.7:443 still serves 5f5f5f5f5f5f5f5f…",
        "subscription ends 2026-12-12",
        "ssl 100000014 on second",
        "served at 1 address",
        "No certificate yet",
        "installs Tue 02:00 in window night",
        "valid from 2026-11-18 to 2027-02-16, 86 days left",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
}

#[test]
fn a_page_stays_small_however_many_orders_there_are() {
    for (number, last) in [(3, 1), (40, 1), (41, 2), (2000, 50), (10_000, 250)] {
        let status = mixed::status(number);
        let wanted: Vec<&str> = status.worst_first().iter().map(|order| &*order.name).collect();
        let mut seen = 0;
        for page in [1, 2, last] {
            let text = status.page(view(&format!("page={page}")));
            assert!(text.len() < LIMIT, "{number} orders, page {page}: {} bytes", text.len());
            let page = page.min(last);
            let shown = orders(&text);
            assert_eq!(shown, wanted[(page - 1) * 40..][..shown.len()], "{number} orders, page {page}");
            assert_eq!(text.contains(&format!("Page {page} of {last}")), last > 1);
            seen = (page - 1) * 40 + shown.len();
        }
        assert_eq!(seen, number);
        let far = status.page(view("page=18446744073709551615"));
        assert_eq!(far, status.page(view(&format!("page={last}"))), "behind the last one is the last");
    }
}

#[test]
fn a_part_of_the_list_is_asked_for_by_its_address() {
    let status = mixed::status(200);
    for (query, need) in
        [("show=needs-you", Need::You), ("show=waits", Need::Time), ("show=in-order", Need::Nothing)]
    {
        let text = status.page(view(query));
        let wanted = status.worst_first().into_iter().filter(|order| order.need() == need);
        assert_eq!(orders(&text), wanted.map(|order| &*order.name).take(40).collect::<Vec<_>>(), "{query}");
        assert!(text.contains("aria-current=\"true\"") && text.contains("Show all 200"), "{text}");
    }
    let text = status.page(view("show=in-order&page=2&live"));
    for link in
        ["./?show=in-order&amp;live", "./?show=in-order&amp;page=3&amp;live", "./?show=in-order&amp;page=2"]
    {
        assert!(text.contains(&format!("href=\"{link}\"")), "{link}: {text}");
    }
    assert!(text.contains("http-equiv=\"refresh\""), "{text}");
    let plain = status.page(View::default());
    assert!(!plain.contains("http-equiv=\"refresh\""), "nothing moves unless asked to: {plain}");
    for odd in ["page=-1", "page=0", "page=x", "show=%3Cscript%3E", "show=", "&&&=", "%00=%ff", "a=b&page"] {
        assert_eq!(status.page(view(odd)), plain, "{odd}");
    }
}

/// Everything that others may write, as long and as bad as it can be.
#[test]
fn foreign_text_is_text() {
    let bad = "<script>alert(1)</script>\"'&<!--".repeat(20);
    let mut config = world::config(&[]);
    config.hooks.push(world::hook("reload"));
    for at in 0..40 {
        let mut order = world::order(&format!("{at:0>100}"));
        world::change(&mut order, |settings| settings.hooks.push("reload".into()));
        config.orders.push(order);
    }
    let names: Vec<String> = config.orders.iter().map(|order| order.name.to_string()).collect();
    let mut world = World::new(config);
    let failed = HookResult::failed(bad.clone());
    world.hook_results.insert("reload".into(), vec![failed]);
    let encoded: String = form_urlencoded::byte_serialize(bad.as_bytes()).collect();
    for (at, name) in names.iter().enumerate() {
        let text = match at % 2 {
            0 => issued(2),
            _ => Say::text(&format!("errorCode=-20&errorMessage={encoded}")),
        };
        world.say(name, [text]);
    }
    world.pass(DAY);
    let vitals = Vitals { findings: (0..100).map(|at| format!("{at} {bad}")).collect(), ..Vitals::default() };
    let history = |at: i64| HistoryEntry {
        at: format!("2026-11-20T09:12:{:02}Z", at % 60),
        level: "warn".into(),
        kind: bad.clone(),
        text: bad.clone(),
    };
    let explained = |name: &str| {
        let lines = (0..200).map(history).collect();
        Explanation::new(&world.config, &world.load(), name, lines, world.now).unwrap()
    };
    let mut pages = vec![status(&world).with(&vitals).page(View::default())];
    let ahead = forecast(&world.config, &world.load(), world.now);
    for name in &names[..2] {
        pages.push(explained(name).page(&ahead, true, View::default()));
    }
    for page in pages {
        assert!(page.contains("&lt;script&gt;"), "{page}");
        assert!(!page.contains("<script") && !page.contains("<!--"), "{page}");
        assert!(page.len() < LIMIT, "{} bytes", page.len());
    }
}

#[test]
fn an_order_has_a_page_with_what_explain_says() {
    let (config, loaded, world) = mixed::many(12);
    for name in ["shop", "mail", "legacy-portal", "www", "new-site", "docs"] {
        let history = world.rows.history.iter().filter(|note| note.order.as_deref() == Some(name));
        let entry = |text: &str| HistoryEntry {
            at: "2026-11-20T09:12:00Z".into(),
            level: "info".into(),
            kind: "x".into(),
            text: text.into(),
        };
        let history: Vec<HistoryEntry> = history.map(|note| entry(&note.text)).collect();
        let known = Explanation::new(&config, &loaded, name, history, world.now).unwrap();
        let ahead = forecast(&alone(&config, name), &loaded, world.now);
        let page = known.page(&ahead, true, View::default());
        let said = text_of(&page);
        let history = known.history.iter().map(|line| &line.text);
        for line in known.standing.iter().chain(&known.next).chain(history) {
            let line = line.replace('`', "");
            assert!(said.contains(&line[..line.len().min(150)]), "{line}: {said}");
        }
        assert!(page.contains("<a href=\"../\">certcollectd: all orders</a>"), "{page}");
        let unread = known.page(&ahead, false, View::default());
        assert!(unread.contains("It cannot be read now"), "{unread}");
    }
}

fn alone(config: &Config, name: &str) -> Config {
    let mut config = config.clone();
    config.orders.retain(|order| *order.name == *name);
    config
}

#[test]
fn what_is_to_come_is_drawn_and_told() {
    let (config, loaded, world) = mixed::many(12);
    let ahead = forecast(&config, &loaded, world.now);
    let page = certcollectd::status::page::forecast(&ahead, View::default());
    assert!(page.contains("<h1>The next 400 days</h1>"), "{page}");
    let yours = |event: &&Event| event.who != Who::Daemon;
    let number = ahead.orders.iter().flat_map(|order| &order.events).filter(yours).count();
    assert!(number > 10 && page.contains(&format!("What somebody must do: {number}, at most ")), "{page}");
    for part in
        ["href=\"orders/wiki\"", "2026-12-12", "role=\"img\"", ">Dec</text>", "of 8640 that are possible"]
    {
        assert!(page.contains(part), "{part}: {page}");
    }
    let one = forecast(&alone(&config, "wiki"), &loaded, world.now);
    let known = Explanation::new(&config, &loaded, "wiki", Vec::new(), world.now).unwrap();
    let said = text_of(&known.page(&one, true, View::default()));
    for event in &one.orders[0].events {
        assert!(said.contains(&event.what.replace('`', "")), "{}: {said}", event.what);
    }
    let (config, loaded, world) = mixed::many(10_000);
    let ahead = forecast(&config, &loaded, world.now);
    for page in ["", "page=7"] {
        let text = certcollectd::status::page::forecast(&ahead, view(page));
        assert!(text.len() < LIMIT, "{} bytes", text.len());
        assert!(text.contains("aria-label=\"Pages\""));
    }
}

/// What a page says, without its markup.
fn text_of(page: &str) -> String {
    let body = page.split("</style>").nth(1).unwrap();
    let text: String =
        body.split('<').map(|piece| piece.split_once('>').map_or(piece, |(_, text)| text)).collect();
    text.replace("&quot;", "\"").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

#[test]
fn a_page_is_whole_without_script_and_without_another_file() {
    let pages = [mixed::status(12).page(View::default()), no_order()];
    for page in pages {
        for word in ["<script", "style=\"", "src=", "<link", "onclick", "javascript:", "http://", "https://"]
        {
            assert!(!page.contains(word), "{word}: {page}");
        }
        let style = page.split("<style>").nth(1).unwrap().split("</style>").next().unwrap();
        use base64::Engine;
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, style.as_bytes());
        let hash = base64::engine::general_purpose::STANDARD.encode(hash);
        assert!(policy().contains(&format!("style-src 'sha256-{hash}'")), "{}", policy());
        assert_eq!(page.matches("<h1").count(), 1);
        assert_eq!(page.matches("<main").count(), 1);
        let skip = page.split("class=\"skip\" href=\"#").nth(1).unwrap().split('"').next().unwrap();
        assert!(page.contains(&format!("id=\"{skip}\"")), "the skip link leads somewhere");
    }
}
