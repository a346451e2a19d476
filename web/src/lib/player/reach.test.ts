import { describe, expect, it } from 'vitest';
import { behind, isWorth, position, share, time } from './reach';

describe('what can be reached', () => {
	it('has a bar when it is long enough', () => {
		expect([null, { start: 0, end: 12 }, { start: 100, end: 130 }].map((reach) => isWorth(reach))).toEqual([false, false, true]);
	});

	it('is gone through from its oldest picture to live', () => {
		const reach = { start: 100, end: 300 };
		expect([90, 100, 150, 300, 310].map((at) => share(reach, at))).toEqual([0, 0, 0.25, 1, 1]);
		expect([0, 0.25, 0.5].map((at) => position(reach, at))).toEqual([100, 150, 200]);
	});

	it('ends in live', () => {
		expect(position({ start: 100, end: 300 }, 0.995)).toBeNull();
		expect(position({ start: 100, end: 300 }, 0.98)).toBe(296);
	});
});

it('says how far behind', () => {
	expect([0, 0.4, 5, 192, 3729].map(behind)).toEqual(['00:00', '00:00', '−00:05', '−03:12', '−1:02:09']);
});

it('says how long', () => {
	expect([0, 59.9, 192, 3729, 36_000].map(time)).toEqual(['00:00', '00:59', '03:12', '1:02:09', '10:00:00']);
});
