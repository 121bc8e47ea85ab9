use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use super::eyes::{Right, User};

/// A user that no file here belongs to.
fn stranger(gid: Option<u32>) -> User {
    let mut user = User::of(4_000_123, &[]);
    user.groups.extend(gid);
    user
}

fn mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

#[test]
fn rights_come_by_owner_group_or_neither() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("key.pem");
    std::fs::write(&path, "x").unwrap();
    mode(scratch.path(), 0o711);
    let gid = std::fs::metadata(&path).unwrap().gid();
    let may = |user: &User, bits| {
        mode(&path, bits);
        user.may(&path, Right::Read).is_ok()
    };
    let (other, member) = (stranger(None), stranger(Some(gid)));
    assert!(may(&other, 0o604) && !may(&other, 0o640));
    assert!(may(&member, 0o640) && !may(&member, 0o604), "the group's bits count for who is in it");
    let owner = User::of(std::fs::metadata(&path).unwrap().uid(), &[]);
    assert!(owner.is_root() || !may(&owner, 0o044));
    // Each directory on the way must let it pass.
    mode(scratch.path(), 0o700);
    assert!(!may(&other, 0o604));
    let denied = other.may(&path, Right::Read).unwrap_err();
    assert_eq!(denied.at, scratch.path());
    mode(scratch.path(), 0o710);
    assert!(may(&member, 0o640) && !may(&other, 0o604));
}

#[test]
fn access_lists_count() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("key.pem");
    std::fs::write(&path, "x").unwrap();
    mode(scratch.path(), 0o711);
    mode(&path, 0o600);
    let entry = |tag: u16, bits: u16, id: u32| {
        [&tag.to_le_bytes()[..], &bits.to_le_bytes(), &id.to_le_bytes()].concat()
    };
    let none = u32::MAX;
    // What `setfacl -m u:4000123:r` makes, with this mask.
    let list = |mask| {
        [
            2u32.to_le_bytes().to_vec(),
            entry(1, 6, none),
            entry(2, 4, 4_000_123),
            entry(4, 0, none),
            entry(0x10, mask, none),
            entry(0x20, 0, none),
        ]
        .concat()
    };
    let set = |list: &[u8]| {
        rustix::fs::setxattr(&path, "system.posix_acl_access", list, rustix::fs::XattrFlags::empty())
    };
    assert!(stranger(None).may(&path, Right::Read).is_err());
    if let Err(why) = set(&list(4)) {
        return eprintln!("no access lists on this file system, so they were not looked at: {why}");
    }
    assert!(stranger(None).may(&path, Right::Read).is_ok());
    set(&list(0)).unwrap();
    assert!(stranger(None).may(&path, Right::Read).is_err(), "the mask takes it away");
    // Two groups, of which one may read and the other may write and pass.
    let of_groups = |one: u16, other: u16| {
        [
            2u32.to_le_bytes().to_vec(),
            entry(1, 6, none),
            entry(4, 0, none),
            entry(8, one, 4_000_200),
            entry(8, other, 4_000_201),
            entry(0x10, 7, none),
            entry(0x20, 0, none),
        ]
        .concat()
    };
    let mut member = stranger(Some(4_000_200));
    member.groups.push(4_000_201);
    for (one, other) in [(4, 3), (3, 4)] {
        set(&of_groups(one, other)).unwrap();
        assert!(member.may(&path, Right::Change).is_ok() && member.may(&path, Right::Read).is_ok());
    }
    set(&of_groups(1, 2)).unwrap();
    assert!(member.may(&path, Right::Change).is_err(), "they are not added up");
}
