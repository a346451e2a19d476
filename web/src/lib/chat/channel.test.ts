import { describe, expect, it } from 'vitest';
import { Channel, HELD_MS, MOST_LINES } from './channel';
import type { Joined, Modes, Role, Server } from './protocol';

const MODES: Modes = { slow_s: 0, followers_min: null, emote_only: false, unique: false, links_off: false, shield: false };
const BY = { id: '02', login: 'mod' };

function joined(position: string, follow = 0, more: Partial<Joined> = {}): Joined {
	return { type: 'joined', channel: 'ada', position, resume: `ada.${position}`, role: 'plain', modes: MODES, pin: null, follow, ...more };
}

function message(position: string, text: string, login = 'bob'): Server {
	const user = { id: login, login, name: login, roles: ['plain'] as Role[] };
	return { type: 'message', channel: 'ada', position, at_ms: 1, id: position.replace('.', ''), user, text };
}

function channel(...objects: Server[]): Channel {
	const made = new Channel('ada');
	for (const object of objects) made.apply(object);
	return made;
}

const texts = (of: Channel) => of.lines.map((line) => (line.kind === 'said' ? (line.said.deleted ? '-' : line.said.text) : line.kind));

describe('order', () => {
	it('shows history and what comes, each once', () => {
		const ada = channel(joined('3.12', 2), message('3.10', 'a'), message('3.12', 'b'), message('3.12', 'b'), message('3.13', 'c'), message('3.11', 'late'));
		expect(texts(ada)).toEqual(['a', 'b', 'c']);
		expect(ada.resume).toBe('ada.3.13');
	});

	it('resumes from the answer to join once what is older has come, and not before', () => {
		const ada = channel(joined('3.12', 2), message('3.7', 'a'));
		expect(ada.resume).toBe('ada.3.7');
		ada.apply(message('3.9', 'b'));
		expect(ada.resume).toBe('ada.3.12');
	});

	it('has nowhere to resume from before the first answer', () => {
		expect(new Channel('ada').resume).toBeNull();
	});

	it('compares numbers that are too large for JavaScript’s', () => {
		const ada = channel(joined('1.9007199254740992'), message('1.9007199254740993', 'a'), message('1.9007199254740994', 'b'));
		expect(texts(ada)).toEqual(['a', 'b']);
	});

	it('takes away what only a dead hub had shown, when a new epoch uses its numbers again', () => {
		const ada = channel(joined('1.0'), message('1.1', 'stays'), message('1.2', 'lost'), message('1.3', 'lost too'), message('2.2', 'new'));
		expect(texts(ada)).toEqual(['stays', 'new']);
		ada.apply(message('2.3', 'next'));
		expect(ada.resume).toBe('ada.2.3');
	});

	it('states what is missing, where the hub says so', () => {
		const ada = channel(joined('3.1'), message('3.2', 'a'), joined('3.90', 1, { gap: { missed: 87 } }), message('3.90', 'b'));
		ada.apply({ type: 'gap', missed: null, position: '3.95' });
		expect(texts(ada)).toEqual(['a', 'gap', 'b', 'gap']);
	});

	it('keeps so many lines and no more', () => {
		const ada = channel(joined('1.0'));
		for (let seq = 1; seq <= MOST_LINES + 5; seq += 1) ada.apply(message(`1.${seq}`, `${seq}`));
		expect(ada.lines).toHaveLength(MOST_LINES);
		expect(texts(ada).at(0)).toBe('6');
	});
});

describe('raids', () => {
	const raid = (position: string): Server => ({ type: 'raid', channel: 'ada', position, at_ms: 5, to: 'zoe', by: BY });
	it('are lines, and call to go along unless they are history', () => {
		const ada = channel(joined('1.2', 2), message('1.1', 'a'), raid('1.2'));
		expect([texts(ada), ada.raid]).toEqual([['a', 'raid'], null]);
		ada.apply(raid('1.3'));
		expect(ada.raid).toEqual({ to: 'zoe', by: 'mod', key: '1.3', atMs: 5 });
		expect(ada.lines.map(({ past }) => past)).toEqual([true, true, false]);
	});
});

describe('moderation', () => {
	it('forgets a text that was taken back', () => {
		const ada = channel(joined('1.0'), message('1.1', 'rude'), message('1.2', 'kind'));
		ada.apply({ type: 'delete', channel: 'ada', position: '1.3', at_ms: 1, id: '11', login: 'bob', by: BY });
		expect(texts(ada)).toEqual(['-', 'kind']);
		expect(JSON.stringify(ada.lines, (_, value) => (typeof value === 'bigint' ? `${value}` : value))).not.toContain('rude');
	});

	it.each(['timeout', 'ban'] as const)('forgets all that somebody said, and their pin, after a %s', (action) => {
		const user = { id: 'eve', login: 'eve', name: 'Eve', roles: ['plain'] as Role[] };
		const ada = channel(joined('1.0'), message('1.1', 'a', 'eve'), message('1.2', 'b'), message('1.3', 'c', 'eve'));
		ada.apply({ type: 'pin', channel: 'ada', position: '1.4', at_ms: 1, pin: { message: { id: '11', user, text: 'a' }, until_ms: null } });
		expect(ada.pin?.message.text).toBe('a');
		ada.apply({ type: 'user', channel: 'ada', position: '1.5', at_ms: 1, login: 'eve', action, seconds: 600, by: BY });
		expect(texts(ada)).toEqual(['-', 'b', '-']);
		expect(ada.pin).toBeNull();
	});

	it('forgets everything after a clear', () => {
		const ada = channel(joined('1.0'), message('1.1', 'a'), { type: 'clear', channel: 'ada', position: '1.2', at_ms: 1, by: BY });
		expect(texts(ada)).toEqual(['-', 'cleared']);
	});

	it('knows that its person is silenced, and no longer', () => {
		const welcome: Server = { type: 'welcome', user: { id: '7', login: 'bob', name: 'Bob' }, heartbeat_ms: 1 };
		const ada = channel(welcome, joined('1.0'));
		ada.apply({ type: 'user', channel: 'ada', position: '1.1', at_ms: 1, login: 'bob', action: 'timeout', seconds: 60, until_ms: 60_001, by: BY });
		expect(ada.silence).toEqual({ untilMs: 60_001, reason: '' });
		ada.apply({ type: 'notice', channel: 'ada', note: 'silenced', reason: 'spam', until_ms: 60_001 });
		expect(ada.silence).toEqual({ untilMs: 60_001, reason: 'spam' });
		ada.apply({ type: 'user', channel: 'ada', position: '1.2', at_ms: 2, login: 'bob', action: 'ban', by: BY });
		expect(ada.silence).toEqual({ untilMs: null, reason: 'spam' });
		ada.apply({ type: 'user', channel: 'ada', position: '1.3', at_ms: 3, login: 'bob', action: 'unban', by: BY });
		expect(ada.silence).toBeNull();
	});

	it('tells only moderators what befell others', () => {
		const ban: Server = { type: 'user', channel: 'ada', position: '1.1', at_ms: 1, login: 'eve', action: 'ban', by: BY };
		expect(texts(channel(joined('1.0'), ban))).toEqual([]);
		expect(texts(channel(joined('1.0', 0, { role: 'moderator' }), ban))).toEqual(['user']);
	});

	it('keeps what waits for a moderator until it is decided, its author is silenced, or the hub has let go of it', () => {
		let now = 0;
		const ada = new Channel('ada', () => now);
		const held = (id: string, login: string): Server => ({ type: 'notice', channel: 'ada', note: 'held', message: { id, user: { id: login, login, name: login, roles: ['plain'] }, text: 'meh' } });
		const waits = () => ada.held.map(({ said }) => said.id);
		for (const object of [joined('1.0', 0, { role: 'moderator' }), held('1', 'bob'), held('2', 'eve'), held('2', 'eve'), held('3', 'bob')]) ada.apply(object);
		expect(waits()).toEqual(['1', '2', '3']);
		ada.apply({ type: 'notice', channel: 'ada', note: 'decided', id: '1', approved: true });
		ada.apply({ type: 'user', channel: 'ada', position: '1.1', at_ms: 1, login: 'eve', action: 'ban', by: BY });
		expect(waits()).toEqual(['3']);
		now = HELD_MS;
		ada.expire();
		expect(waits()).toEqual([]);
	});

	it('is told anew what waits when it comes back, or the channel has another home', () => {
		const held = (id: string): Server => ({ type: 'notice', channel: 'ada', note: 'held', message: { id, user: { id: 'bob', login: 'bob', name: 'bob', roles: ['plain'] }, text: 'meh' } });
		const waiting = (follow: number): Server => ({ type: 'notice', channel: 'ada', note: 'waiting', follow });
		const back = joined('1.0', 0, { role: 'moderator' });
		const waits = (...objects: Server[]) => channel(back, held('1'), held('2'), ...objects).held.map(({ said }) => said.id);
		expect(waits(back)).toEqual([]);
		expect(waits(back, waiting(2), held('2'), held('3'))).toEqual(['2', '3']);
		expect(waits(waiting(1), held('2'))).toEqual(['2']);
		expect(waits(waiting(0))).toEqual([]);
		const unmod: Server = { type: 'user', channel: 'ada', position: '1.1', at_ms: 1, login: 'mod', action: 'role', role: null, by: BY };
		expect(waits({ type: 'welcome', user: { id: '02', login: 'mod', name: 'Mod' }, heartbeat_ms: 1 }, unmod)).toEqual([]);
	});

	it('keeps a warning until it was read', () => {
		const ada = channel(joined('1.0'), { type: 'notice', channel: 'ada', note: 'warned', reason: 'manners' });
		expect(ada.warning).toBe('manners');
		ada.warned();
		expect(ada.warning).toBeNull();
	});

	it('follows its own role, the modes and the count', () => {
		const welcome: Server = { type: 'welcome', user: { id: '7', login: 'bob', name: 'Bob' }, heartbeat_ms: 1 };
		const ada = channel(welcome, joined('1.0'));
		ada.apply({ type: 'user', channel: 'ada', position: '1.1', at_ms: 1, login: 'bob', action: 'role', role: 'moderator', by: BY });
		expect(ada.moderates).toBe(true);
		ada.apply({ type: 'user', channel: 'ada', position: '1.2', at_ms: 1, login: 'bob', action: 'role', role: null, by: BY });
		expect(ada.role).toBe('plain');
		ada.apply({ type: 'mode', channel: 'ada', position: '1.3', at_ms: 1, modes: { ...MODES, slow_s: 30 }, by: BY });
		ada.apply({ type: 'count', connections: 1203, users: 980 });
		expect([ada.modes.slow_s, ada.connections, ada.users]).toEqual([30, 1203, 980]);
	});
});
