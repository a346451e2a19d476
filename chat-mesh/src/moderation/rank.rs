//! Who may do what to whom.
//!
//! | role | may |
//! |---|---|
//! | guest | read |
//! | plain, follower | write, within the modes |
//! | VIP | write, whatever the modes; bans, terms and the hold queue concern them |
//! | moderator | all of moderation, towards those below moderators |
//! | owner | all of it, towards everybody but admins; makes moderators and VIPs; sends raids |
//! | admin | all of it, towards everybody but admins and the owner |

use freshet_proto::chat::{Code, Role, Verb};

/// The least role that may use a command.
pub fn needs(verb: Verb) -> Role {
    match verb {
        Verb::Me => Role::Plain,
        Verb::Raid | Verb::Mod | Verb::Unmod | Verb::Vip | Verb::Unvip => Role::Owner,
        _ => Role::Moderator,
    }
}

/// Whether modes, slow mode and the limit of the channel concern somebody.
pub fn is_bound_by_modes(role: Role) -> bool {
    role < Role::Vip
}

/// Whether bans, terms, links and the hold queue concern somebody.
pub fn is_moderated(role: Role) -> bool {
    role < Role::Moderator
}

/// Whether somebody may be silenced or warned, and their messages taken back, by somebody else.
///
/// # Errors
/// Why not: [`Code::TargetAdmin`], [`Code::TargetOwner`] or [`Code::TargetModerator`].
pub fn may_act_on(actor: Role, target: Role) -> Result<(), Code> {
    match target {
        Role::Admin => Err(Code::TargetAdmin),
        Role::Owner => Err(Code::TargetOwner),
        Role::Moderator if actor <= Role::Moderator => Err(Code::TargetModerator),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_silences_the_owner_or_an_admin_and_moderators_not_each_other() {
        for actor in [Role::Moderator, Role::Owner, Role::Admin] {
            assert_eq!(may_act_on(actor, Role::Admin), Err(Code::TargetAdmin));
            assert_eq!(may_act_on(actor, Role::Owner), Err(Code::TargetOwner));
            for target in [Role::Vip, Role::Follower, Role::Plain] {
                assert_eq!(may_act_on(actor, target), Ok(()));
            }
        }
        assert_eq!(may_act_on(Role::Moderator, Role::Moderator), Err(Code::TargetModerator));
        assert_eq!(may_act_on(Role::Owner, Role::Moderator), Ok(()));
    }

    #[test]
    fn moderators_make_no_moderators_and_send_no_raids() {
        let owners: Vec<_> =
            Verb::ALL.iter().filter(|verb| needs(**verb) == Role::Owner).map(|verb| verb.word()).collect();
        assert_eq!(owners, ["raid", "mod", "unmod", "vip", "unvip"]);
        let everybody: Vec<_> = Verb::ALL.iter().filter(|verb| needs(**verb) < Role::Moderator).collect();
        assert_eq!(everybody, [&Verb::Me]);
    }
}
