import { describe, expect, it } from 'vitest';
import type { Line } from './channel';
import { entries, isChannel, isDuration, silenced } from './moderation';
import { Fader, overlayQuery, readOverlay } from './overlay';
import { author, saidBy, speakers } from './people';
import { departure, RAID_MS, secondsLeft } from './raid';
import { PLAIN, readSettings } from './settings';
import { Unread } from './unread';

const options = (query: string) => readOverlay(new URLSearchParams(query));

describe('the overlay', () => {
	it('is as its address asks, within bounds', () => {
		expect(options('')).toEqual({ fade: null, max: 12, size: 26, badges: true });
		expect(options('fade=20&max=5&size=40&badges=0')).toEqual({ fade: 20, max: 5, size: 40, badges: false });
		expect(options('fade=0&max=9999&size=x&badges=1')).toEqual({ fade: null, max: 100, size: 26, badges: true });
	});
	it('is asked for by the same address', () => {
		expect(overlayQuery(options(''))).toBe('');
		expect(overlayQuery(options('badges=0&size=40&fade=20&max=5'))).toBe('?fade=20&max=5&size=40&badges=0');
	});
	it('lets lines go after their time, and shows none of before', () => {
		const fader = new Fader(options('fade=10&max=2'));
		const lines = [
			{ key: 'old', past: true },
			{ key: 'a', past: false }
		];
		const show = (now: number, of = lines) => fader.show(of, now).map(({ line, going }) => line.key + (going ? '!' : '')).join(' ');
		expect([show(0), show(8_999), show(9_000), show(10_000)]).toEqual(['a', 'a', 'a!', '']);
		const more = [...lines, { key: 'b', past: false }, { key: 'c', past: false }, { key: 'd', past: false }];
		expect(show(11_000, more)).toBe('c d');
	});
	it('keeps lines that don’t fade, those of before too', () => {
		expect(new Fader(options('')).show([{ key: 'old', past: true }], 99_000)).toEqual([{ line: { key: 'old', past: true }, going: false }]);
	});
});

describe('unread lines', () => {
	const lines = (keys: string) => [...keys].map((key) => ({ key }));
	it('are those since one looked away', () => {
		const unread = new Unread();
		expect(unread.see(lines('ab'), true)).toBeNull();
		expect(unread.see(lines('ab'), false)).toEqual({ after: 'b', count: 0 });
		expect(unread.see(lines('abcd'), false)).toEqual({ after: 'b', count: 2 });
		expect(unread.see(lines('abcd'), true)).toEqual({ after: 'b', count: 0 });
		unread.forget();
		expect(unread.see(lines('abcde'), true)).toBeNull();
	});
	it('are none where nothing came', () => {
		const unread = new Unread();
		unread.see(lines('ab'), false);
		expect(unread.see(lines('ab'), true)).toBeNull();
	});
	it('are all where the last that was seen is gone', () => {
		const unread = new Unread();
		unread.see(lines('a'), false);
		expect(unread.see(lines('bc'), false)).toEqual({ after: 'a', count: 2 });
	});
});

describe('a raid', () => {
	const raid = { to: 'zoe', by: 'ada', key: '1.3', atMs: 1_000 };
	it('takes one along after a while, counted from when it was told here', () => {
		const going = departure(raid, null, 1_500);
		expect(going).toEqual({ raid, atMs: 1_500 + RAID_MS });
		expect(departure(raid, going, 9_000)).toBe(going);
		expect(going && [secondsLeft(going, 1_500), secondsLeft(going, 2_600), secondsLeft(going, 99_000)]).toEqual([15, 14, 0]);
	});
	it('of long ago is over', () => {
		expect([departure(raid, null, 200_000), departure(null, null, 0)]).toEqual([null, null]);
	});
});

describe('settings', () => {
	it('are as they were kept; what is strange is as for everybody', () => {
		expect(readSettings('{"size":"large","times":true,"sync":true,"readable":false}')).toEqual({ size: 'large', times: true, sync: true, readable: false });
		expect(['', '{', 'null', '{"size":"huge","times":1}', null].map(readSettings)).toEqual([PLAIN, PLAIN, PLAIN, PLAIN, PLAIN]);
	});
});

describe('people', () => {
	const said = (key: string, login: string, deleted = false): Line => ({
		...{ kind: 'said', key, at: null, atMs: 0, past: false, announced: false },
		said: { id: key, user: { id: login, login, name: login.toUpperCase(), roles: ['plain'] }, text: deleted ? '' : key, ...(deleted && { deleted }) }
	});
	const lines = [said('a', 'bob'), said('b', 'eve'), said('c', 'bob', true), said('d', 'bob')];
	it('are known by what they said', () => {
		expect(speakers(lines)).toEqual(['bob', 'eve']);
		expect(saidBy(lines, 'bob', 9).map(({ key }) => key)).toEqual(['a', 'd']);
		expect(saidBy(lines, 'bob', 1).map(({ key }) => key)).toEqual(['d']);
		expect([author(lines, 'eve')?.name, author(lines, 'zoe')]).toEqual(['EVE', null]);
	});
});

describe('what moderators read', () => {
	it('is read, and what can’t be read is left out', () => {
		const log = { items: [{ at_ms: 5, actor: 'ada', action: 'ban', target: 'bob', message: null, until_ms: null, reason: 'spam' }, {}], next: '7' };
		expect(entries(log)).toEqual({ items: [{ atMs: 5, actor: 'ada', action: 'ban', target: 'bob', reason: 'spam' }], next: '7' });
		expect(silenced({ items: [{ username: 'bob', until_ms: null, since_ms: 1, by: null, reason: '' }], next: null })).toEqual({ items: [{ username: 'bob', untilMs: null, by: null, reason: '' }], next: null });
		expect([entries({}), silenced(null)]).toEqual([null, null]);
	});
	it('times are written as hubs take them', () => {
		expect(['45', '30s', '10m', '2H', '14d', '2w'].every(isDuration)).toBe(true);
		expect(['', '0', '15d', '3w', '1y', 'm', '-5', '1e3'].some(isDuration)).toBe(false);
		expect([isChannel('ada_1-x'), isChannel('Ada'), isChannel('-a'), isChannel('a'.repeat(33))]).toEqual([true, false, false, false]);
	});
});
