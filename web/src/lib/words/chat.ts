// Everything that the chat says by itself, in English, in one place.
import type { Line, Silence } from '$lib/chat/channel';
import type { Refusal } from '$lib/chat/outbox';
import type { Modes, Role } from '$lib/chat/protocol';

export const WORDS = {
	title: 'Chat',
	messages: 'Messages',
	message: 'Message',
	send: 'Send',
	placeholder: 'Say something',
	connecting: 'Connecting to the chat…',
	away: 'Connection lost.',
	unreached: 'The chat can’t be reached: it may be away, or not be for everybody.',
	moving: 'The chat moves to another server.',
	empty: 'Nobody has said anything yet.',
	logInToWrite: 'Log in to write',
	signUp: 'Sign up',
	readOnly: 'You are reading. To write, log in.',
	paused: 'The channel is changing servers. Your message is sent again.',
	pinned: 'Pinned',
	unpin: 'Unpin',
	takenBack: 'message taken back',
	reply: 'Reply',
	copy: 'Copy the text',
	copied: 'Copied.',
	delete: 'Delete',
	timeout: 'Time out',
	ban: 'Ban',
	pin: 'Pin',
	warn: 'Warn',
	cancelReply: 'Don’t reply',
	suggestions: 'Suggestions',
	sending: 'sending…',
	newLines: 'New',
	close: 'Close',
	understood: 'I understand',
	emotesOnlyHint: 'Only emotes may be sent now: a few of ours, or emoji.',
	announcement: 'Announcement'
} as const;

/** The emote picker. */
export const PICKER = { open: 'Emotes', search: 'Search emotes', ours: 'Freshet', emoji: 'Emoji', none: 'No emote has that name.' } as const;

/** The menu and the settings. */
export const MENU = {
	open: 'Chat settings and more',
	settings: 'Settings',
	size: 'Text',
	times: 'Time of each message',
	sync: 'In step with the picture',
	syncHint: 'Each message appears when your picture shows what it is about.',
	readable: 'Readable colours',
	readableHint: 'Names in colours that stand out from the ground.',
	popout: 'Open in a window',
	overlay: 'Copy the overlay’s address',
	overlayHint: 'For a browser source in OBS',
	overlayCopied: 'Copied. Add it to OBS as a browser source.',
	notCopied: 'Could not be copied.'
} as const;
export const SIZE_WORDS = { small: 'Small', medium: 'Medium', large: 'Large' } as const;

/** What moderators see. */
export const DESK = {
	bar: 'Moderation',
	shield: 'Shield',
	shieldHint: 'One switch for strict rules. Lifting it brings back the rules from before.',
	rules: 'Rules',
	slow: 'Slow mode',
	followers: 'Who may write',
	emoteOnly: 'Emotes only',
	unique: 'Nothing said twice',
	linksOff: 'No links',
	panel: 'Moderation panel',
	queue: 'Waiting',
	log: 'Log',
	bans: 'Silenced',
	terms: 'Words',
	queueEmpty: 'Nothing waits for a decision.',
	queueHint: 'Messages with words on hold wait here for five minutes, then they are denied.',
	approve: 'Approve',
	deny: 'Deny',
	logEmpty: 'Nobody has had to do anything here.',
	bansEmpty: 'Everybody may write.',
	unban: 'Let write again',
	forGood: 'for good',
	term: 'Word or phrase',
	termHint: 'Whole words, in any case and in letters that look alike. * stands for any letters: spam*, *spam*.',
	termsEmpty: 'No word is looked for yet.',
	block: 'Block',
	hold: 'Hold',
	unblock: 'Allow',
	more: 'More for moderators',
	announce: 'Announce…',
	clear: 'Clear the chat…',
	clearSure: 'Everything that was said is taken back, for everybody. It can’t be undone.',
	clearNow: 'Clear the chat',
	raid: 'Raid a channel…',
	again: 'Try again',
	undo: 'Undo',
	showMore: 'Show more'
} as const;

/** The dialogs. */
export const ASK = {
	reason: 'Reason',
	reasonHint: 'They are told. May be left out.',
	warnHint: 'What was wrong. They are told, and nobody else.',
	duration: 'For how long',
	durationHint: '30s, 10m, 2h or 3d; two weeks at most.',
	durationWrong: 'A number and s, m, h, d or w; two weeks at most.',
	announcement: 'Announcement',
	channel: 'Channel',
	channelHint: 'Everybody who watches is sent there.',
	channelWrong: 'A channel’s name has small letters, digits, _ and -.',
	liveNow: 'Live now',
	raidNow: 'Raid',
	announceNow: 'Announce',
	cancel: 'Cancel'
} as const;

/** The card of somebody. */
export const CARD = {
	noAccount: 'Nothing is known of this account.',
	said: 'Said here',
	saidNothing: 'Nothing since you came.',
	mention: 'Mention',
	profile: 'Profile',
	mod: 'Make moderator',
	unmod: 'No longer moderator',
	vip: 'Make VIP',
	unvip: 'No longer VIP',
	unsilence: 'Let write again'
} as const;

export const RAID = { go: 'Go now', stay: 'Stay here' } as const;
export const raidTitle = (by: string, to: string) => `${by} sends everybody to ${to}`;
export const raidIn = (seconds: number) => `Going in ${seconds} s`;
export const raidOwner = (to: string) => `Your viewers are on their way to ${to}.`;
export const raidLink = (to: string) => `Watch ${to}`;

export const BADGES: Partial<Record<Role, string>> = { admin: 'Administrator', owner: 'Owner', moderator: 'Moderator', vip: 'VIP' };

export const TIMEOUTS = [
	{ time: '1m', label: '1 minute' },
	{ time: '10m', label: '10 minutes' },
	{ time: '1h', label: '1 hour' }
] as const;
export const CUSTOM = 'Other…';

export const SLOW_CHOICES = [
	{ value: '0', label: 'Off' },
	...[5, 10, 30, 60, 120].map((seconds) => ({ value: String(seconds), label: `A message every ${span(seconds)}` }))
];
export const FOLLOWER_CHOICES = [
	{ value: 'all', label: 'Everybody' },
	{ value: '0', label: 'Followers' },
	...[10, 60, 1_440, 10_080].map((minutes) => ({ value: String(minutes), label: `Followers of ${span(minutes * 60)}` }))
];
export const otherSlow = (seconds: number) => `A message every ${span(seconds)}`;
export const otherFollowers = (minutes: number) => `Followers of ${span(minutes * 60)}`;

export const askTitle = {
	timeout: (login: string) => `Time out ${login}`,
	ban: (login: string) => `Ban ${login}`,
	warn: (login: string) => `Warn ${login}`
} as const;
/** The title of a chat by itself. */
export const popoutTitle = (channel: string) => `Chat of ${channel}`;
export const cardOf = (name: string) => `About ${name}`;
export const joinedOn = (date: string) => `Here since ${date}`;
export const followsSince = (date: string | null) => (date === null ? 'Does not follow the channel' : `Follows since ${date}`);
export const warnedOf = (reason: string) => `A moderator warns you: ${reason}`;
export const waitingLines = (count: number) => (count === 1 ? '1 message waits for the picture' : `${count} messages wait for the picture`);
export const queueCount = (count: number) => (count === 0 ? DESK.queue : `${DESK.queue} ${count}`);
export const decideOn = (what: string, name: string) => `${what} the message of ${name}`;
/** What becomes of a message with a word of the list. */
export const TERM_ACTION = { block: 'Refused', hold: 'Waits for a moderator' } as const;
export const allowTerm = (term: string) => `${DESK.unblock} ${term}`;
export const untilWords = (date: string) => `until ${date}`;
export const argumentsOf = (name: string) => `/${name} takes`;

/** What a line of the moderation log says. */
export function logWords(action: string, target: string | null, reason: string): string {
	const what = LOGGED[action] ?? `/${action}`;
	const whom = target === null ? '' : ` ${OF.has(action) ? 'of ' : ''}${target}`;
	return `${what}${whom}${reason === '' ? '' : `: ${reason}`}`;
}
const OF = new Set(['delete', 'approve', 'deny', 'pin']);
const LOGGED: Record<string, string> = {
	timeout: 'timed out',
	untimeout: 'let write again',
	ban: 'banned',
	unban: 'unbanned',
	warn: 'warned',
	delete: 'took back a message',
	clear: 'cleared the chat',
	shield: 'raised the shield',
	shieldoff: 'lifted the shield',
	pin: 'pinned a message',
	unpin: 'unpinned',
	announce: 'announced',
	block: 'blocked a word',
	hold: 'put a word on hold',
	unblock: 'allowed a word',
	approve: 'approved a message',
	deny: 'denied a message',
	mod: 'made a moderator of',
	unmod: 'no longer moderator:',
	vip: 'made a VIP of',
	unvip: 'no longer VIP:',
	raid: 'raided'
};

/** A word on commands whose effect nobody sees. */
export const DONE: Record<string, string> = {
	warn: 'They were warned.',
	block: 'Messages with that word are refused from now on.',
	hold: 'Messages with that word wait for a moderator from now on.',
	unblock: 'That word is allowed again.',
	mod: 'They are a moderator now.',
	unmod: 'They are no moderator any more.',
	vip: 'They are a VIP now.',
	unvip: 'They are no VIP any more.',
	unban: 'They may write again.',
	untimeout: 'They may write again.'
};

/** What a count of new messages says. */
export const newMessages = (count: number) => (count === 1 ? '1 new message' : `${count} new messages`);
export const replyingTo = (name: string) => `Replying to ${name}`;
export const repliedTo = (name: string, text: string) => (text === '' ? `to ${name}` : `to ${name}: ${text}`);
export const tryingIn = (seconds: number) => `Trying again in ${seconds} s.`;
export const charactersLeft = (left: number) => (left >= 0 ? `${left} left` : `${-left} too many`);
/** What can be done with a message. */
export const actionsOn = (name: string) => `Message of ${name}`;
export const there = (connections: number, users: number) => `${connections} here, ${users} logged in`;

/** Seconds as people say them: 45 s, 10 min, 2 h, 14 days. */
export function span(seconds: number): string {
	const units: [number, string][] = [
		[86_400, 'days'],
		[3_600, 'h'],
		[60, 'min']
	];
	for (const [size, name] of units) if (seconds >= size * (name === 'days' ? 2 : 1)) return `${Math.ceil(seconds / size)} ${name}`;
	return `${Math.max(0, Math.ceil(seconds))} s`;
}

/** What a line says that nobody has written. */
export function lineWords(line: Exclude<Line, { kind: 'said' }>): string {
	switch (line.kind) {
		case 'gap':
			return line.missed === null ? 'Some messages are missing here.' : `${newMessages(line.missed).replace(' new', '')} missing here.`;
		case 'cleared':
			return `${line.by} has cleared the chat.`;
		case 'raid':
			return `${raidTitle(line.by, line.to)}.`;
		case 'mode':
			return modeChange(line.before, line.after);
		case 'user':
			return befell(line);
	}
}

function befell({ login, action, seconds, by }: Extract<Line, { kind: 'user' }>): string {
	const what = { timeout: `timed out for ${span(seconds)}`, ban: 'banned', unban: 'allowed to write again', warn: 'warned' };
	return `${login} was ${what[action]} by ${by}.`;
}

function modeChange(before: Modes, after: Modes): string {
	if (before.shield !== after.shield) return after.shield ? 'The shield is up: stricter rules hold for now.' : 'The shield is down.';
	const old = modeWords(before);
	const now = modeWords(after);
	const begun = now.filter((words) => !old.includes(words));
	if (begun.length > 0) return `From now on: ${begun.join(', ')}.`;
	const over = old.filter((words) => !now.includes(words));
	return over.length > 0 ? `No longer: ${over.join(', ')}.` : 'The rules of the chat were changed.';
}

/** The modes that are on, a few words each. */
export function modeWords(modes: Modes): string[] {
	const followers = modes.followers_min;
	return [
		...(modes.slow_s > 0 ? [`slow mode, ${span(modes.slow_s)}`] : []),
		...(followers === null ? [] : [followers > 0 ? `followers of ${span(followers * 60)}` : 'followers only']),
		...(modes.emote_only ? ['emotes only'] : []),
		...(modes.unique ? ['nothing said twice'] : []),
		...(modes.links_off ? ['no links'] : [])
	];
}

/** Why one may not write now; `nowMs` since 1970. */
export function silenceWords(silence: Silence, nowMs: number): string {
	const reason = silence.reason === '' ? '' : ` Reason: ${silence.reason}`;
	if (silence.untilMs === null) return `You are banned from this chat.${reason}`;
	return `You may write again in ${span((silence.untilMs - nowMs) / 1000)}.${reason}`;
}

const REFUSALS: Record<string, string> = {
	msg_banned: 'You are banned from this chat.',
	msg_timedout: 'You are timed out.',
	msg_followersonly: 'Only followers may write here now.',
	msg_emoteonly: 'Only emotes may be sent now.',
	msg_slowmode: 'Slow mode: not so fast.',
	msg_r9k: 'That has been said already. Say something new.',
	msg_linksoff: 'Links are not allowed here now.',
	msg_ratelimit: 'Too many messages at once. Wait a moment.',
	msg_rejected: 'Your message waits for a moderator.',
	denied: 'A moderator has not let your message through.',
	msg_rejected_mandatory: 'Your message has words that are not allowed here.',
	msg_bad_characters: 'Nothing readable is left of that message.',
	msg_toolong: 'A message has at most 500 characters.',
	msg_room_not_found: 'The chat is not joined yet. Try again.',
	msg_login_required: 'Log in to write.',
	msg_paused: 'The channel is changing servers. Try again.',
	no_permission: 'You may not do that here.',
	unrecognized_cmd: 'There is no such command.',
	no_change: 'It is so already.',
	list_full: 'The list is full. Take something away first.',
	not_stored: 'It could not be stored. Try again.',
	unanswered: 'The server has not answered. Was the connection lost? Try again.'
};

/** Why a post was refused. For codes of commands, which are many, the hub's own words are better than ours. */
export function refusalWords({ code, said }: Refusal): string {
	const told = said.startsWith('/') ? `It is written so: ${said}` : said;
	return REFUSALS[code] ?? (told === '' ? 'That was refused.' : told);
}
