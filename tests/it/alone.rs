use std::time::Duration;

use certcollectd::sources::clock;
use certcollectd_sandbox::{OrderSpec, Product};

use crate::setting::Setting;

/// A poll that has come due meanwhile is no reason to call anybody, nor to turn the operator away.
#[test]
fn what_concerns_the_files_here_calls_nobody() {
    let mut setting = Setting::new();
    setting.polling(
        "interval = \"300ms\"\nmax_interval = \"1s\"\nguard_interval = \"300ms\"\ncall_gap = \"0s\"",
    );
    setting.table("[[hook]]\nname = \"h\"\nrun = [\"sh\", \"-c\", \"echo run >> $DIR/hooks\"]");
    let spec = OrderSpec::new(Product::Ssl, "1", &["www.example.com"]);
    setting.order("www", spec, "hooks = [\"h\"]\n[order.verify]\ntrust = \"off\"");
    setting.start();
    setting.until("it is installed", |setting| {
        setting.phase("www") == "guarding" && setting.holds("hooks", "run\n")
    });
    assert_eq!(setting.stop(), Some(0));
    let due = clock::now().time + Duration::from_millis(500);
    setting.until("a poll is due", |_| clock::now().time >= due);
    let before = setting.calls("1");
    let (code, said) = setting.call(&["rehearse", "www"]);
    assert_eq!(code, 0, "{said}");
    assert_eq!(setting.read("hooks"), "run\nrun\n");
    let (code, said) = setting.call(&["rollback", "www"]);
    assert!(code == 1 && said.contains("no complete earlier generation"), "{code} {said}");
    assert_eq!(setting.calls("1"), before);
    // Whoever asks for a call gets it.
    assert_eq!(setting.call(&["poll", "www"]).0, 0);
    assert_eq!(setting.calls("1"), before + 1);
}
