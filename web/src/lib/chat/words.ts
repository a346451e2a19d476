// Everything that the chat says by itself, in English, in one place.
import type { Line, Silence } from './channel';
import type { Refusal } from './outbox';
import type { Modes, Role } from './protocol';

export const WORDS = {
	title: 'Chat',
	messages: 'Messages',
	message: 'Message',
	send: 'Send',
	placeholder: 'Say something',
	connecting: 'Connecting to the chat…',
	away: 'The chat is not connected.',
	empty: 'Nobody has said anything yet.',
	logInToWrite: 'Log in to write',
	signUp: 'Sign up',
	readOnly: 'You are reading. To write, log in.',
	paused: 'The channel is changing servers. Your message is sent again.',
	pinned: 'Pinned',
	unpin: 'Unpin',
	takenBack: 'message taken back',
	reply: 'Reply',
	delete: 'Delete',
	timeout: 'Time out for 10 minutes',
	ban: 'Ban',
	pin: 'Pin',
	cancelReply: 'Don’t reply',
	commands: 'Commands',
	sending: 'sending…',
	hub: 'The chat'
} as const;

export const BADGES: Partial<Record<Role, string>> = { admin: 'Administrator', owner: 'Owner', moderator: 'Moderator', vip: 'VIP' };

/** What a count of new messages says. */
export const newMessages = (count: number) => (count === 1 ? '1 new message' : `${count} new messages`);
export const replyingTo = (name: string) => `Replying to ${name}`;
export const repliedTo = (name: string) => `to ${name}`;
export const tryingIn = (seconds: number) => `Trying again in ${seconds} s`;
export const charactersLeft = (left: number) => (left >= 0 ? `${left} left` : `${-left} too many`);
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
			return `The viewers are sent to ${line.to}.`;
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
	return REFUSALS[code] ?? (said === '' ? 'That was refused.' : said);
}
