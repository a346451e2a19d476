import { expect, it } from 'vitest';
import { frame, growth, nearest, path, round, samples, steady, stepped, summary, ticks, x, y, type Sample } from './chart';
import type { Point } from './types';

const at = (at_ms: number, dropped_frames: number, session = '1'): Point => ({ at_ms, session, bitrate: at_ms, uplink_bitrate: 0, frame_rate: 0, keyframe_interval_ms: 0, dropped_frames, stalls: 0, stalled_ms: 0, skew_ms: 0, rtt_ms: null, late_ms: 0 });

it('ends its scale at a round number', () => {
	expect([0, 0.3, 1, 1.2, 2.6, 31.5, 501].map(round)).toEqual([0, 0.3, 1, 2, 3, 40, 600]);
});

it('draws from 0, with room above, and as far below it where values are signed', () => {
	const line: Sample[] = [[0, 3], [1000, 8]];
	expect(frame([line], 1000, 1000, 1)).toEqual({ fromMs: 0, toMs: 1000, low: 0, high: 10 });
	expect(frame([[[0, -30]]], 1000, 1000, 100, true)).toEqual({ fromMs: 0, toMs: 1000, low: -100, high: 100 });
	const box = frame([line], 1000, 1000, 1);
	expect([x(box, 500), y(box, 0), y(box, 10)]).toEqual([500, 100, 0]);
});

it('keeps its scale until that is too small, or much too large', () => {
	const box = (high: number, toMs = 0) => ({ fromMs: 0, toMs, low: -high, high });
	expect([steady(null, box(2)), steady(box(2), box(1, 9)), steady(box(2), box(3)), steady(box(8), box(2))]).toEqual([box(2), box(2, 9), box(3), box(2)]);
});

it('marks whole minutes', () => {
	const [minute, box] = [60_000, { low: 0, high: 1 }];
	expect(ticks({ ...box, fromMs: 30_000, toMs: 330_000 })).toEqual([1, 2, 3, 4, 5].map((of) => of * minute));
	expect(ticks({ ...box, fromMs: minute, toMs: 31 * minute })).toEqual([6, 12, 18, 24, 30].map((of) => of * minute));
});

it('breaks a line where nothing was told for a while, and between sessions', () => {
	const box = { fromMs: 0, toMs: 100_000, low: 0, high: 10 };
	expect(path([[0, 0], [4_000, 5], [40_000, 10]], box)).toBe('M0.0 100.0h0L40.0 50.0M400.0 0.0h0');
	expect(path([[0, 0, '1'], [4_000, 0, '2']], box)).toBe('M0.0 100.0h0M40.0 100.0h0');
});

it('goes from sample to sample by keys', () => {
	const line: Sample[] = [[0, 1], [4, 1], [8, 1]];
	expect(['ArrowLeft', 'ArrowRight', 'Home', 'End', 'PageUp', 'a'].map((key) => stepped(line, 4, key))).toEqual([0, 8, 0, 8, 0, null]);
	expect([stepped(line, 99, 'ArrowLeft'), stepped([], 0, 'End')]).toEqual([4, null]);
});

it('shows by how much a count grew, from 0 in a new session', () => {
	expect(growth([at(0, 5), at(1, 9), at(2, 2, '2'), at(3, 2, '2')], ({ dropped_frames }) => dropped_frames).map(([, value]) => value)).toEqual([0, 4, 2, 0]);
	expect(samples([at(7, 0)], ({ bitrate }) => bitrate)).toEqual([[7, 7, '1']]);
	expect(samples([at(7, 0), { ...at(8, 0), rtt_ms: 20 }], ({ rtt_ms }) => rtt_ms)).toEqual([[8, 20, '1']]);
});

it('finds what is under the pointer, and says it in three numbers', () => {
	const line: Sample[] = [[0, 3], [10, 1], [20, 2]];
	expect([nearest(line, 12), nearest([], 1)]).toEqual([[10, 1], null]);
	expect([summary(line), summary([])]).toEqual([{ last: 2, low: 1, high: 3 }, null]);
});
