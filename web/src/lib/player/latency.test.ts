import { describe, expect, it } from 'vitest';
import { Follower, inWords, trueLatency } from './latency';

describe('trueLatency', () => {
	it('is the age of the picture shown', () => {
		expect(trueLatency(1_795_000_002_400, 1_795_000_000_000)).toBe(2.4);
	});

	it('is nothing without a clock in the stream, or with an absurd one, and never negative', () => {
		expect(trueLatency(1_795_000_000_000, null)).toBeNull();
		expect(trueLatency(1_795_000_000_000, NaN)).toBeNull();
		expect(trueLatency(1_795_000_000_000, 0)).toBeNull();
		expect(trueLatency(1_795_000_000_000, 1_795_000_000_030)).toBe(0);
		expect(trueLatency(1_795_000_000_000, 1_795_000_005_000)).toBeNull();
	});
});

describe('inWords', () => {
	it('is exact where it matters', () => {
		expect([1.84, 9.94, 9.96, 59.4, 125].map(inWords)).toEqual(['1.8 s', '9.9 s', '10 s', '59 s', '2 min 5 s']);
	});
});

describe('a follower', () => {
	const offered = (...behind: number[]) => {
		const follower = new Follower();
		return behind.map((seconds) => (follower.jumps(0, 100 - seconds, 100, true), follower.offers));
	};

	it('offers live beyond 2 s, and no longer within 1 s', () => {
		expect(offered(0, 1.9, 2.1, 1.5, 0.9, 1.5)).toEqual([false, false, true, true, false, false]);
	});

	it('goes to live beyond 4 s, at most every 5 s', () => {
		const follower = new Follower();
		const jumps = [0, 1_000, 4_999, 5_000].map((now) => follower.jumps(now, 95.9, 100, false));
		expect(jumps).toEqual([true, false, false, true]);
		expect(follower.jumps(20_000, 96.1, 100, false)).toBe(false);
	});

	it('leaves a viewer where they chose to be', () => {
		expect(new Follower().jumps(0, 60, 100, true)).toBe(false);
	});

	it('does nothing while nobody knows where live is', () => {
		const follower = new Follower();
		expect(follower.jumps(0, 60, null, false)).toBe(false);
		expect(follower.offers).toBe(false);
	});
});
