import { describe, expect, it } from 'vitest';
import type { Line } from './channel';
import { Sync } from './sync';

/** A line that was said at `atMs`, about the picture of `pdtMs` where its author had one. */
function said(key: string, atMs: number, pdtMs?: number, login = 'bob'): Line {
	const user = { id: login, login, name: login, roles: ['plain' as const] };
	return { kind: 'said', key, at: null, atMs, past: false, announced: false, said: { id: key, user, text: key, ...(pdtMs !== undefined && { pdt_ms: pdtMs }) } };
}
const gap: Line = { kind: 'gap', key: 'gap', at: null, atMs: 0, past: false, missed: 3 };

/** What is shown while the player is at each of these moments, with so many seconds to live. */
function play(lines: Line[], ...at: [playingMs: number | null, latency: number | null][]): string[] {
	const sync = new Sync();
	return at.map(([playingMs, latency]) => sync.show(lines, { playingMs, latency }, 'me').map(({ key }) => key).join(' '));
}

describe('a line with a moment of the stream', () => {
	it('comes when the picture shows that moment', () => {
		expect(play([said('a', 10_000, 8_000), said('b', 11_000, 9_000)], [7_999, 4], [8_000, 4], [9_000, 4])).toEqual(['', 'a', 'a b']);
	});
	it('waits for those before it', () => {
		expect(play([said('late', 10_000, 9_000), said('early', 10_100, 8_000)], [8_500, 2], [9_000, 2])).toEqual(['', 'late early']);
	});
	it('is never about the future, nor about long ago', () => {
		expect(play([said('wrong', 10_000, 99_999)], [9_999, 2], [10_000, 2])).toEqual(['', 'wrong']);
		expect(play([said('old', 100_000, 5)], [39_999, 2], [40_000, 2])).toEqual(['', 'old']);
	});
});

describe('a line without', () => {
	it('comes at once at live, and as much later as the viewer is further behind', () => {
		expect(play([said('a', 10_000)], [8_000, 2])).toEqual(['a']);
		expect(play([], [0, 2])).toEqual(['']);
		const sync = new Sync();
		sync.show([], { playingMs: 5_000, latency: 2 }, 'me');
		expect(sync.show([said('a', 10_000)], { playingMs: 5_000, latency: 7 }, 'me')).toEqual([]);
		expect(sync.nextMs).toBe(8_000);
		expect(sync.show([said('a', 10_000)], { playingMs: 8_000, latency: 7 }, 'me')).toHaveLength(1);
	});
});

describe('at once', () => {
	it('come one’s own lines and what nobody has said', () => {
		expect(play([said('a', 10_000, 9_000), said('mine', 10_500, 9_500, 'me'), gap], [1_000, 9])).toEqual(['mine gap']);
	});
	it('comes everything without a picture', () => {
		expect(play([said('a', 10_000, 9_000)], [null, null])).toEqual(['a']);
	});
	it('is what was shown before, wherever the viewer goes', () => {
		expect(play([said('a', 10_000, 9_000)], [9_000, 1], [2_000, 8], [null, null], [2_000, 8])).toEqual(['a', 'a', 'a', 'a']);
	});
});

it('gives the same array where nothing waits, so that nothing is drawn anew', () => {
	const lines = [said('a', 10_000, 9_000)];
	expect(new Sync().show(lines, { playingMs: 9_000, latency: 1 }, 'me')).toBe(lines);
});
