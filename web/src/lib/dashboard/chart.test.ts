import { expect, it } from 'vitest';
import { frame, growth, nearest, path, round, samples, summary, x, y, type Sample } from './chart';
import type { Point } from './types';

const at = (at_ms: number, dropped_frames: number, session = '1'): Point => ({ at_ms, session, bitrate: at_ms, uplink_bitrate: 0, frame_rate: 0, keyframe_interval_ms: 0, dropped_frames, stalls: 0, stalled_ms: 0, skew_ms: 0, rtt_ms: null, late_ms: 0 });

it('ends its scale at a round number', () => {
	expect([0, 0.3, 1, 1.2, 2.6, 30, 501].map(round)).toEqual([0, 0.5, 1, 2, 5, 50, 1000]);
});

it('draws from 0, and below it where values are', () => {
	const line: Sample[] = [[0, 3], [1000, 7]];
	expect(frame([line], 1000, 1000, 1)).toEqual({ fromMs: 0, toMs: 1000, low: 0, high: 10 });
	expect(frame([[[0, -30]]], 1000, 1000, 100)).toEqual({ fromMs: 0, toMs: 1000, low: -100, high: 100 });
	const box = frame([line], 1000, 1000, 1);
	expect([x(box, 500), y(box, 0), y(box, 10)]).toEqual([500, 100, 0]);
});

it('breaks a line where nothing was told for a while', () => {
	const box = { fromMs: 0, toMs: 100_000, low: 0, high: 10 };
	expect(path([[0, 0], [4_000, 5], [40_000, 10]], box)).toBe('M0.0 100.0L40.0 50.0M400.0 0.0');
});

it('shows by how much a count grew, from 0 in a new session', () => {
	expect(growth([at(0, 5), at(1, 9), at(2, 2, '2'), at(3, 2, '2')], ({ dropped_frames }) => dropped_frames).map(([, value]) => value)).toEqual([0, 4, 2, 0]);
	expect(samples([at(7, 0)], ({ bitrate }) => bitrate)).toEqual([[7, 7]]);
	expect(samples([at(7, 0), { ...at(8, 0), rtt_ms: 20 }], ({ rtt_ms }) => rtt_ms)).toEqual([[8, 20]]);
});

it('finds what is under the pointer, and says it in three numbers', () => {
	const line: Sample[] = [[0, 3], [10, 1], [20, 2]];
	expect([nearest(line, 12), nearest([], 1)]).toEqual([[10, 1], null]);
	expect([summary(line), summary([])]).toEqual([{ last: 2, low: 1, high: 3 }, null]);
});
