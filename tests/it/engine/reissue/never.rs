//! What must never happen, whatever happens meanwhile.

use super::*;

#[test]
fn a_look_is_good_for_the_call_right_behind_it_only() {
    let mut case = Case::new();
    let polls = case.world.calls.len();
    let token = case.reissue();
    while case.world.calls.len() == polls {
        case.world.pass(SECOND);
    }
    // The process is stopped for an hour, in which anything may have happened at the vendor.
    let hour = i64::try_from(HOUR.as_millis()).unwrap();
    case.world.now = Now { time: case.world.now.time + HOUR, wall: case.world.now.wall + hour };
    case.world.handle(Event::Woke);
    assert_eq!((case.sent(), case.stage().as_str()), (0, "preparing"));
    assert!(case.reply(token).text.contains("nothing was sent"), "{}", case.reply(token).text);
    case.world.pass(DAY);
    assert_eq!((case.sent(), case.stage().as_str()), (1, "open"), "another look, and then the call");
}
