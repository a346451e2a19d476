import { expect, it } from 'vitest';
import { stream, type Stream } from '$lib/api/types';
import { append, categories, channelName, divide, isFiltered, merge, missing, queryOf, withAsked } from './list';

const one = (id: string, more: Partial<Stream> = {}): Stream => ({ ...(stream({ id, state: 'live' }) as Stream), ...more });
const many = (ids: string) => [...ids].map((id) => one(id));
const ids = (streams: readonly Stream[]) => streams.map(({ id }) => id).join('');

it('keeps everybody in their place when it is read anew', () => {
	expect(ids(merge(many('abc'), many('cxab')))).toBe('abcx');
	expect(ids(merge(many('abc'), many('ca')))).toBe('ac');
	expect(merge([one('a')], [one('a', { viewers: 7 })])[0]?.viewers).toBe(7);
});

it('shows nobody twice who moved from one piece into the next', () => {
	expect(ids(append(many('abc'), many('cde')))).toBe('abcde');
});

it('puts those first who are followed, also from beyond the list', () => {
	const { mine, others } = divide(many('abc'), [one('y'), one('z', { state: 'offline' }), one('b')], ['b', 'y', 'z']);
	expect([ids(mine), ids(others)]).toEqual(['by', 'ac']);
	expect(missing(many('abc'), ['b', 'y'])).toEqual(['y']);
});

it('offers the categories there are, and the one that is asked for', () => {
	const shown = [one('a', { category: 'Music' }), one('b', { category: 'Science' }), one('c', { category: 'Science' }), one('d')];
	expect(categories(shown)).toEqual(['Science', 'Music']);
	expect(withAsked(['Science', 'Music'], 'science')).toEqual(['Science', 'Music']);
	expect(withAsked(['Science', 'Music'], 'Chess')).toEqual(['Chess', 'Science', 'Music']);
});

it('names what is looked for in the address', () => {
	const everything = { search: '', category: '', tag: '' };
	expect([everything, { ...everything, tag: 'c-64' }].map(isFiltered)).toEqual([false, true]);
	expect(queryOf(everything)).toBe('');
	expect(queryOf({ search: 'ada', category: 'Science & Art', tag: 'été' })).toBe('q=ada&category=Science+%26+Art&tag=%C3%A9t%C3%A9');
});

it('takes a search for a channel where it may be one', () => {
	expect(['Mira', '@ada', 'a_b-1', 'slow chess', '-x', '', 'x'.repeat(33)].map(channelName)).toEqual(['mira', 'ada', 'a_b-1', '', '', '', '']);
});
