import { describe, expect, it } from 'vitest';
import { hint } from './commands';
import { complete, completed } from './complete';
import type { Role } from './protocol';

const PEOPLE = ['zoe', 'bob', 'bobby'];
const offers = (text: string, role: Role = 'owner', caret = text.length) => complete(text, caret, role, PEOPLE).offers.map(({ key }) => key);
/** The text with its first offer taken; | is the caret. */
function taken(marked: string, role: Role = 'owner'): string {
	const caret = marked.indexOf('|');
	const text = marked.replace('|', '');
	const completion = complete(text, caret, role, PEOPLE);
	const [first] = completion.offers;
	if (!first) return '';
	const made = completed(text, completion, first);
	return `${made.text.slice(0, made.caret)}|${made.text.slice(made.caret)}`;
}

describe('commands', () => {
	it('are offered by their beginning, to who may give them', () => {
		expect(offers('/m', 'plain')).toEqual(['me']);
		expect(offers('/slow', 'moderator')).toEqual(['slow', 'slowoff']);
		expect(offers('/mo', 'moderator')).toEqual([]);
		expect(offers('/mo', 'owner')).toEqual(['mod']);
	});
	it('leave room for what they take', () => {
		expect([taken('/cl|'), taken('/bloc|')]).toEqual(['/clear|', '/block |']);
	});
	it('tell what they take, and which of it is being written', () => {
		const at = (text: string) => hint(text, 'moderator')?.at;
		expect(['/timeout ', '/timeout bob', '/timeout bob ', '/timeout bob 10m ', '/timeout bob 10m too loud'].map(at)).toEqual([0, 0, 1, 2, 2]);
		expect([hint('/timeout', 'moderator'), hint('/clear ', 'moderator'), hint('/mod bob', 'moderator'), hint('hello /ban x', 'owner')]).toEqual([null, null, null, null]);
	});
});

describe('people', () => {
	it('are offered where a command takes somebody, and after an @', () => {
		expect(offers('/ban ')).toEqual(['zoe', 'bob', 'bobby']);
		expect(offers('/ban bo', 'moderator')).toEqual(['bob', 'bobby']);
		expect(offers('/ban bob sp')).toEqual([]);
		expect(offers('hi @b')).toEqual(['bob', 'bobby']);
		expect(offers('me@b')).toEqual([]);
	});
	it('stand where they were begun', () => {
		expect([taken('hi @z|'), taken('@z| hello'), taken('/ban b|')]).toEqual(['hi @zoe |', '@zoe |hello', '/ban bob |']);
	});
});

describe('emotes', () => {
	it('are offered after a colon and two letters', () => {
		expect(offers('nice :wa')).toEqual(['wave', 'eyes']);
		expect([offers('nice :w'), offers('at 10:wa'), offers(':wave:')]).toEqual([[], [], []]);
	});
	it('are written by name, emoji as themselves', () => {
		expect([taken('nice :wav|'), taken(':coff|')]).toEqual(['nice :wave: |', '☕ |']);
	});
});
