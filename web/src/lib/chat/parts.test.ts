import { describe, expect, it } from 'vitest';
import { address, protocols } from './address';
import { contrastOf, GROUND, nameColour } from './colour';
import { mayBeSilenced, parse, position } from './protocol';
import { calls, characters, isLarge, pieces } from './text';
import { lineWords, refusalWords, silenceWords, span } from '../words/chat';

describe('parse', () => {
	it('reads objects, one a line, and passes over the rest', () => {
		expect(parse('{"type":"pong"}\n{"type":"news"}\n[1]\nnull\n{"type":"pong"}')).toEqual([{ type: 'pong' }, { type: 'pong' }]);
	});
	it('reads positions, and nothing else as one', () => {
		expect(position('3.118')).toEqual({ epoch: 3n, seq: 118n });
		expect(['3', '3.', '.1', '-1.2', '3.1.2', ''].map(position)).toEqual([null, null, null, null, null, null]);
	});
});

describe('address', () => {
	it('is the page’s own hub, with TLS where the page has it', () => {
		expect(address({ protocol: 'https:', host: 'a.example:8443' }, null, 'ada')).toBe('wss://a.example:8443/chat/ada');
		expect(address({ protocol: 'http:', host: 'localhost' }, 'b.example', 'ada')).toBe('ws://b.example/chat/ada');
	});
	it('never has a token in it', () => {
		expect([protocols(null), protocols('eyJ')]).toEqual([[], ['freshet.chat.v1', 'bearer.eyJ']]);
	});
});

describe('text', () => {
	it('is cut at mentions, and stays text', () => {
		expect(pieces('<b>@Bob</b>, hi', 'bob')).toEqual([
			{ text: '<b>', kind: 'plain' },
			{ text: '@Bob', kind: 'me', of: 'bob' },
			{ text: '</b>, hi', kind: 'plain' }
		]);
		expect(pieces('me@example.org @eve', 'bob').map(({ kind }) => kind)).toEqual(['plain', 'mention']);
	});
	it('has pictures for emotes that there are, and addresses without the full stop', () => {
		expect(pieces('hi :wave: :nobody:, see https://a.example/b?c=1.', null)).toEqual([
			{ text: 'hi ', kind: 'plain' },
			{ text: ':wave:', kind: 'emote', of: 'wave' },
			{ text: ' :nobody:, see ', kind: 'plain' },
			{ text: 'https://a.example/b?c=1', kind: 'link', of: 'https://a.example/b?c=1' },
			{ text: '.', kind: 'plain' }
		]);
		expect(pieces('javascript:alert(1) data:text/html', null).map(({ kind }) => kind)).toEqual(['plain']);
	});
	it('is large where it is a few emotes and nothing else', () => {
		expect([':wave:', ':wave: 😀', 'hi :wave:', ':wave: '.repeat(5), ''].map(isLarge)).toEqual([true, true, false, false, false]);
	});
	it('calls by mention and by reply', () => {
		expect([calls('hi @bob', null, 'bob'), calls('hi', 'bob', 'bob'), calls('hi @bobby', null, 'bob'), calls('@x', null, null)]).toEqual([true, true, false, false]);
	});
	it('counts characters, not their halves', () => {
		expect(characters('a🦊')).toBe(2);
	});
});

describe('nameColour', () => {
	it.each(['#000000', '#ffffff', '#1e90ff', '#808080', '#ffff00', undefined])('%s is readable by day and by night', (chosen) => {
		for (const dark of [true, false]) {
			const shown = nameColour('bob', chosen, dark);
			expect(contrastOf(shown, dark ? GROUND.dark : GROUND.light)).toBeGreaterThanOrEqual(4.5);
		}
	});
	it('leaves a readable colour as it was chosen', () => {
		expect(nameColour('bob', '#66d9c4', true)).toBe('#66d9c4');
	});
});

describe('who may be silenced', () => {
	const who = (login: string, ...roles: ('owner' | 'moderator' | 'plain')[]) => ({ id: login, login, name: login, roles });
	it('is not the owner, not oneself, and no moderator by another', () => {
		expect(mayBeSilenced(who('eve', 'plain'), 'moderator', 'mod')).toBe(true);
		expect(mayBeSilenced(who('ada', 'owner'), 'moderator', 'mod')).toBe(false);
		expect(mayBeSilenced(who('two', 'moderator'), 'moderator', 'mod')).toBe(false);
		expect(mayBeSilenced(who('two', 'moderator'), 'owner', 'ada')).toBe(true);
		expect(mayBeSilenced(who('ada', 'owner'), 'owner', 'ada')).toBe(false);
		expect(mayBeSilenced(who('eve', 'plain'), 'plain', 'bob')).toBe(false);
	});
});

describe('words', () => {
	it('say spans as people do', () => {
		expect([0, 45, 60, 600, 3_600, 86_400, 1_209_600].map(span)).toEqual(['0 s', '45 s', '1 min', '10 min', '1 h', '24 h', '14 days']);
	});
	it('say how long a silence lasts, and why', () => {
		expect(silenceWords({ untilMs: null, reason: 'spam' }, 0)).toBe('You are banned from this chat. Reason: spam');
		expect(silenceWords({ untilMs: 9_500, reason: '' }, 0)).toBe('You may write again in 10 s.');
	});
	it('leave the hub’s own words where they know none', () => {
		const refusal = { nonce: 'n', text: '', retryAt: null };
		expect(refusalWords({ ...refusal, code: 'usage_timeout', said: 'Usage: /timeout USER' })).toBe('Usage: /timeout USER');
		expect(refusalWords({ ...refusal, code: 'msg_r9k', said: 'x' })).toBe('That has been said already. Say something new.');
	});
	it('say what changed in the modes, and how much is missing', () => {
		const modes = { slow_s: 0, followers_min: null, emote_only: false, unique: false, links_off: false, shield: false };
		const placed = { key: 'k', at: null, atMs: 0, past: false };
		expect(lineWords({ ...placed, kind: 'mode', before: modes, after: { ...modes, slow_s: 30 }, by: 'ada' })).toBe('From now on: slow mode, 30 s.');
		expect(lineWords({ ...placed, kind: 'mode', before: { ...modes, links_off: true }, after: modes, by: 'ada' })).toBe('No longer: no links.');
		expect(lineWords({ ...placed, kind: 'gap', missed: 3 })).toBe('3 messages missing here.');
	});
});
