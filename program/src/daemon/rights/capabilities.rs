//! Capabilities and the user: what root may do is taken apart, and all but the named parts is given away.

use rustix::io::Errno;
use rustix::process::{Gid, Uid};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, clear_ambient_capability_set,
    remove_capability_from_bounding_set, set_capabilities, set_keep_capabilities,
    set_thread_groups, set_thread_res_gid, set_thread_res_uid,
};
use tracing::{debug, info};

use super::Account;

/// Takes all but these out of the bounding set, where that is allowed (`CAP_SETPCAP`).
pub(super) fn bound(kept: CapabilitySet) {
    let others = CapabilitySet::from_bits_truncate(!kept.bits());
    for number in 0..u64::BITS {
        let one = CapabilitySet::from_bits_retain(others.bits() & 1 << number);
        match remove_capability_from_bounding_set(one) {
            // The kernel has no capability of that number, or it is kept.
            Ok(()) | Err(Errno::INVAL) => {}
            Err(errno) => {
                debug!("the bounding set of capabilities stays as it is: {errno}");
                return;
            }
        }
    }
}

/// Becomes another user. The permitted capabilities stay, for the moment.
pub(super) fn change_user(account: &Account) -> Result<(), String> {
    let name = &account.name;
    let (user, group) = (Uid::from_raw(account.user), Gid::from_raw(account.group));
    let said = |errno: Errno| {
        let mend = match errno {
            Errno::PERM => "; start the daemon as root, or leave out --user and run.user",
            _ => "",
        };
        format!("the daemon cannot become user {name}: {errno}{mend}")
    };
    set_keep_capabilities(true).map_err(said)?;
    set_thread_groups(&[group]).map_err(said)?;
    set_thread_res_gid(group, group, group).map_err(said)?;
    set_thread_res_uid(user, user, user).map_err(said)?;
    set_keep_capabilities(false).map_err(said)?;
    info!("runs as user {} and group {}", account.user, account.group);
    Ok(())
}

/// Has no other capabilities than these, and of these no more than before.
pub(super) fn keep(kept: CapabilitySet) -> Result<(), String> {
    let said = |errno: Errno| format!("capabilities cannot be dropped: {errno}");
    match clear_ambient_capability_set() {
        Ok(()) | Err(Errno::INVAL) => {}
        Err(errno) => return Err(said(errno)),
    }
    let kept = kept & capabilities(None).map_err(said)?.permitted;
    let sets = CapabilitySets {
        effective: kept,
        permitted: kept,
        inheritable: CapabilitySet::empty(),
    };
    set_capabilities(None, sets).map_err(said)?;
    debug!("keeps the capabilities {kept:?}");
    Ok(())
}
