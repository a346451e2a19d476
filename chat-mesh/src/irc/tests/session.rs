//! What one connection asks and is answered.

use freshet_proto::chat::{
    Accepted, Code, DisplayName, Message, MessageId, Note, Notice, Refusal, Roles, To, User, UserId, Verb,
};

use super::*;
use crate::session::MAX_CHANNELS;

fn did(verb: Verb) -> Result<Accepted, Refusal> {
    Ok(Accepted { position: None, id: None, done: Some(verb) })
}

const WELCOME: &str = "\
:tmi.twitch.tv 001 bob :Welcome!
:tmi.twitch.tv 002 bob :Your host is tmi.twitch.tv
:tmi.twitch.tv 003 bob :This server is rather new
:tmi.twitch.tv 004 bob :-
:tmi.twitch.tv 375 bob :-
:tmi.twitch.tv 372 bob :This is Freshet. It speaks as Twitch does.
:tmi.twitch.tv 376 bob :>";

#[test]
fn tmi_js_is_welcomed_when_its_token_was_looked_at() {
    let mut socket = Socket::new();
    assert_eq!(
        socket.says("CAP REQ :twitch.tv/tags twitch.tv/commands twitch.tv/membership"),
        ":tmi.twitch.tv CAP * ACK :twitch.tv/tags twitch.tv/commands twitch.tv/membership"
    );
    assert_eq!(socket.says("PASS oauth:6a77742e"), "");
    assert_eq!(socket.says("NICK Bob"), "<verify jwt.>");
    assert_eq!(socket.says("JOIN #ada\r\nPING"), "");
    let identity = Identity { user: author("bob").user, admin: false };
    assert_eq!(
        socket.input(Input::Verified(Some(identity))),
        format!(
            "{WELCOME}\n@badge-info=;badges=;color=;display-name=BOB;mod=0;subscriber=0;turbo=0;user-type=;emote-sets=0;user-id=bob \
             :tmi.twitch.tv GLOBALUSERSTATE\n<join ada>\nPONG"
        )
    );
}

#[test]
fn irc_framework_is_welcomed_at_the_end_of_its_negotiation() {
    let mut socket = Socket::new();
    assert_eq!(
        socket.says("CAP LS 302"),
        ":tmi.twitch.tv CAP * LS :twitch.tv/commands twitch.tv/membership twitch.tv/tags"
    );
    assert_eq!(socket.says("PASS a.b.c\r\nNICK bob\r\nUSER bob 0 * bob"), "");
    assert_eq!(socket.says("CAP REQ :sasl"), ":tmi.twitch.tv CAP * NAK :sasl");
    assert_eq!(socket.says("CAP REQ twitch.tv/tags"), ":tmi.twitch.tv CAP * ACK :twitch.tv/tags");
    assert_eq!(socket.says("CAP LIST"), ":tmi.twitch.tv CAP * LIST :twitch.tv/tags");
    assert_eq!(socket.says("CAP END"), "<verify a.b.c>");
    let identity = Identity { user: author("bob").user, admin: false };
    assert_eq!(socket.input(Input::Verified(Some(identity))), WELCOME, "it did not ask for commands");
    assert_eq!(socket.0.format(), Format { tags: true, commands: false });
    assert_eq!(socket.says("PING 1800000000000"), ":tmi.twitch.tv PONG tmi.twitch.tv :1800000000000");
    assert_eq!(socket.says("PONG :tmi.twitch.tv"), "");
}

#[test]
fn guests_read_and_others_are_told_how_to_come_in() {
    let mut guest = Socket::new();
    assert_eq!(guest.says("PASS SCHMOOPIIE\r\nNICK justinfan42"), WELCOME.replace("bob", "justinfan42"));
    assert_eq!(guest.says("JOIN #Ada"), "<join ada>");
    assert_eq!(
        guest.input(joined(Role::Guest)),
        ":justinfan42!justinfan42@justinfan42.tmi.twitch.tv JOIN #ada\n\
         :justinfan42.tmi.twitch.tv 353 justinfan42 = #ada :justinfan42\n\
         :justinfan42.tmi.twitch.tv 366 justinfan42 #ada :End of /NAMES list"
    );
    assert_eq!(guest.says("PRIVMSG #ada :x"), ":tmi.twitch.tv NOTICE #ada :Log in to write.");
    assert!(guest.0.mark().is_none());

    let mut nobody = Socket::new();
    assert_eq!(
        nobody.says("NICK bob\r\nPING"),
        ":tmi.twitch.tv NOTICE * :Login authentication failed: give a token as PASS, or read without one as NICK \
         justinfan123.\n<close Token>"
    );
    let mut late = Socket::new();
    late.says("PASS oauth:old\r\nNICK bob");
    assert_eq!(
        late.input(Input::Verified(None)),
        ":tmi.twitch.tv NOTICE * :Login authentication failed: the token is not good, or not any more.\n<close Token>"
    );
    assert_eq!(late.says("PING"), "");
}

#[test]
fn joining_shows_oneself_and_the_state_of_the_room() {
    let mut socket = Socket::of_bob("twitch.tv/tags twitch.tv/commands");
    assert_eq!(
        socket.says("JOIN #ada,#,ada,#b/b"),
        format!("<join ada>{}", "\n:tmi.twitch.tv 403 bob :There is no such channel here.".repeat(3))
    );
    assert_eq!(
        socket.input(joined(Role::Moderator)),
        ":bob!bob@bob.tmi.twitch.tv JOIN #ada\n\
         :bob.tmi.twitch.tv 353 bob = #ada :bob\n\
         :bob.tmi.twitch.tv 366 bob #ada :End of /NAMES list\n\
         @badge-info=;badges=moderator/1;color=;display-name=BOB;mod=1;subscriber=0;turbo=0;user-type=mod;emote-sets=0 \
         :tmi.twitch.tv USERSTATE #ada\n\
         @emote-only=0;followers-only=-1;r9k=0;slow=5;subs-only=0;room-id=ada :tmi.twitch.tv ROOMSTATE #ada"
    );
    assert_eq!(socket.says("JOIN #ada"), "", "it is there");
    assert_eq!(
        socket.says("CAP REQ :-twitch.tv/tags"),
        ":tmi.twitch.tv CAP * NAK :-twitch.tv/tags",
        "its log has tags"
    );
    let state = socket.input(Input::Standing(ada(), Role::Vip, None));
    assert_eq!(
        state,
        "@badge-info=;badges=vip/1;color=;display-name=BOB;mod=0;subscriber=0;turbo=0;user-type=;vip=1;emote-sets=0 \
         :tmi.twitch.tv USERSTATE #ada"
    );
    assert_eq!(socket.input(Input::Standing(ada(), Role::Vip, Some(1))), "");
    assert_eq!(socket.says("PART #ada,#eve"), "<part ada>\n:bob!bob@bob.tmi.twitch.tv PART #ada");
    assert_eq!(socket.says("JOIN #eve"), "<join eve>");
    assert_eq!(
        socket.input(Input::NotJoined(login("eve"), Code::NoSuchChannel.into())),
        "@msg-id=msg_room_not_found :tmi.twitch.tv NOTICE #eve :There is no such channel here."
    );
}

#[test]
fn a_post_is_named_after_its_connection_and_answered_with_its_id() {
    let mut socket = Socket::seated(Role::Plain);
    assert_eq!(socket.says("PRIVMSG #ada :hi"), "<submit 1 irc-000000000000f00d-1 hi>");
    assert_eq!(
        socket.says("@client-nonce=c-1;reply-parent-msg-id=7 PRIVMSG #ada :\u{1}ACTION waves\u{1}"),
        "<submit 2 irc-000000000000f00d-2-c-1 /me waves>"
    );
    let long = "n".repeat(50);
    assert_eq!(
        socket.says(&format!("@client-nonce={long} PRIVMSG #ada :x")),
        "<submit 3 irc-000000000000f00d-3 x>",
        "it has no room"
    );
    let said = Accepted { position: Some(Position::new(1, 8)), id: Some(MessageId(99)), done: None };
    let state = "@badge-info=;badges=;color=;display-name=BOB;mod=0;subscriber=0;turbo=0;user-type=;emote-sets=0";
    assert_eq!(
        socket.input(Input::Answer { ticket: 2, answer: Ok(said.clone()) }),
        format!("{state};client-nonce=c-1;id=99 :tmi.twitch.tv USERSTATE #ada")
    );
    assert_eq!(
        socket.input(Input::Answer { ticket: 1, answer: Ok(said.clone()) }),
        format!("{state};id=99 :tmi.twitch.tv USERSTATE #ada")
    );
    assert_eq!(socket.input(Input::Answer { ticket: 1, answer: Ok(said) }), "", "answered already");
    assert_eq!(
        socket.input(Input::Answer { ticket: 3, answer: Err(Refusal::for_ms(Code::SlowMode, 9)) }),
        "@msg-id=msg_slowmode :tmi.twitch.tv NOTICE #ada :Slow mode: you are sending too quickly."
    );
    assert_eq!(
        socket.says(&format!("PRIVMSG #ada :{}", "ü".repeat(501))),
        "@msg-id=msg_toolong :tmi.twitch.tv NOTICE #ada :A message has at most 500 characters."
    );
    assert_eq!(
        socket.says("PRIVMSG #eve :x"),
        "@msg-id=msg_room_not_found :tmi.twitch.tv NOTICE #eve :There is no such channel here."
    );
    assert_eq!(socket.says("PRIVMSG eve :x"), ":tmi.twitch.tv 401 bob :Only channels can be written to.");
    assert_eq!(socket.says("PRIVMSG #ada"), ":tmi.twitch.tv 461 bob :PRIVMSG needs a channel and a text.");
}

#[test]
fn what_a_command_came_to_is_told_in_twitchs_names() {
    let mut socket = Socket::seated(Role::Moderator);
    let names: Vec<_> = [
        ("/timeout eve 9 why", did(Verb::Timeout)),
        (".ban eve", did(Verb::Ban)),
        ("/unban eve", did(Verb::Unban)),
        ("/untimeout eve", did(Verb::Untimeout)),
        ("/delete 7", did(Verb::Delete)),
        ("/clear", did(Verb::Clear)),
        ("/slow 5", did(Verb::Slow)),
        ("/mod eve", did(Verb::Mod)),
        ("/pin 7", did(Verb::Pin)),
        ("/timeout ada", Err(Code::TargetOwner.into())),
        ("/ban ada", Err(Code::TargetOwner.into())),
        ("/delete 7", Err(Code::TargetModerator.into())),
        ("/delete", Err(Code::Usage(Verb::Delete).into())),
        ("/slow x", Err(Code::Usage(Verb::Slow).into())),
        ("/emoteonly", Err(Code::NoChange.into())),
        ("/r9kbeta", Err(Code::NoChange.into())),
        ("/slow 5", Err(Code::NoChange.into())),
        ("/followersoff", Err(Code::NoChange.into())),
        ("/shield", Err(Code::NoChange.into())),
        ("/mods", Err(Code::UnknownCommand.into())),
        ("/clear", Err(Code::NoPermission.into())),
    ]
    .into_iter()
    .map(|(text, answer)| {
        let told = socket.answered(text, answer);
        told.split(' ').next().expect("a word").to_owned()
    })
    .collect();
    assert_eq!(
        names,
        [
            "@msg-id=timeout_success",
            "@msg-id=ban_success",
            "@msg-id=unban_success",
            "@msg-id=untimeout_success",
            "@msg-id=delete_message_success",
            "",
            "",
            "@msg-id=mod_success",
            "@msg-id=pin_success",
            "@msg-id=bad_timeout_broadcaster",
            "@msg-id=bad_ban_broadcaster",
            "@msg-id=bad_delete_message_mod",
            "@msg-id=usage_delete",
            "@msg-id=usage_slow_on",
            "@msg-id=already_emote_only_on",
            "@msg-id=already_r9k_on",
            "@slow=5;room-id=ada",
            "@followers-only=-1;room-id=ada",
            "@msg-id=no_change",
            "@msg-id=unrecognized_cmd",
            "@msg-id=no_permission",
        ]
    );
    assert_eq!(
        socket.answered("/timeout @Eve 9 why", did(Verb::Timeout)),
        "@msg-id=timeout_success :tmi.twitch.tv NOTICE #ada :eve has been timed out for 9 seconds."
    );
}

#[test]
fn notices_reach_those_whom_they_concern() {
    let note = Note::Silenced { reason: "spam".try_into().unwrap(), until_ms: None };
    let of = |name: &str| Notice { to: To::User(login(name)), note: note.clone() };
    let mut socket = Socket::seated(Role::Plain);
    assert_eq!(
        socket.input(Input::Notice(ada(), &of("bob"))),
        "@msg-id=msg_banned :tmi.twitch.tv NOTICE #ada :You are banned from this channel: spam"
    );
    assert_eq!(socket.input(Input::Notice(ada(), &of("eve"))), "");
}

#[test]
fn a_moderator_is_told_once_what_waited_when_they_came() {
    let message = Message {
        id: MessageId(7),
        user: User { id: UserId::cut("e"), login: login("eve"), name: DisplayName::cut("Eve"), color: None },
        roles: Roles::default(),
        text: "meh".to_owned().try_into().unwrap(),
        action: false,
        reply: None,
        pdt_ms: None,
        deleted: false,
    };
    let waiting = Notice { to: To::Moderators, note: Note::Waiting { messages: vec![message] } };
    let mut socket = Socket::seated(Role::Moderator);
    assert_eq!(
        socket.input(Input::Notice(ada(), &waiting)),
        "@msg-id=automod_held :tmi.twitch.tv NOTICE #ada :eve waits for /approve 7 or /deny 7: meh"
    );
    assert_eq!(socket.input(Input::Notice(ada(), &waiting)), "", "after that, what begins to wait");
    assert_eq!(Socket::seated(Role::Vip).input(Input::Notice(ada(), &waiting)), "");
}

#[test]
fn what_is_no_irc_closes_and_so_do_floods() {
    let mut socket = Socket::seated(Role::Plain);
    assert_eq!(socket.says("WHO #ada"), ":tmi.twitch.tv 421 bob WHO :There is no such command here.");
    assert_eq!(socket.says("\0"), ":tmi.twitch.tv NOTICE * :Not IRC: a line has no NUL.\n<close Malformed>");
    assert_eq!(Socket::seated(Role::Plain).says("QUIT :bye\r\nPING"), "<close Quit>");
    let mut socket = Socket::new();
    assert_eq!(socket.says("JOIN #ada"), ":tmi.twitch.tv 451 * :Say who you are first: PASS and NICK.");
    let mistakes: Vec<_> = (0..12).map(|_| socket.says("X")).collect();
    assert_eq!((mistakes[8].contains("<close"), mistakes[9].contains("<close Flood>")), (false, true));
    let pings = "PING\n".repeat(300);
    let answer = Socket::new().says(&pings);
    assert_eq!((answer.matches("PONG").count(), answer.ends_with("<close Flood>")), (200, true));
    let mut verifying = Socket::new();
    verifying.says("PASS x\nNICK bob");
    assert!(verifying.says(&"PING\n".repeat(33)).ends_with("<close Flood>"));
}

#[test]
fn joins_are_limited_in_rate_and_number() {
    let mut socket = Socket::of_bob("twitch.tv/tags");
    let names: Vec<_> = (0..40).map(|n| format!("#c{n}")).collect();
    let answer = socket.says(&format!("JOIN {}", names.join(",")));
    assert_eq!(answer.matches("<join").count(), 20);
    assert!(
        answer.ends_with("@msg-id=msg_ratelimit :tmi.twitch.tv NOTICE #c20 :Too many messages: try again in a moment.")
    );
    let mut out = Vec::new();
    socket.0.handle(20_000, Input::Frame(&format!("JOIN {}", names[20..].join(","))), &mut out);
    assert_eq!(out.iter().filter(|output| matches!(output, Output::Join { .. })).count(), MAX_CHANNELS - 20);
}
