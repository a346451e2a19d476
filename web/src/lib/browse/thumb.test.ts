import { expect, it } from 'vitest';
import { dueIn } from './thumb';

const seen = { seen: true, loading: false, askedMs: 10_000, failures: 0 };

it('asks at once for a picture that was never asked for, and then again when it is old', () => {
	expect(dueIn({ ...seen, askedMs: null }, 99)).toBe(0);
	expect([10_000, 15_000, 22_000, 90_000].map((now) => dueIn(seen, now))).toEqual([12_000, 7_000, 0, 0]);
});

it('asks sooner after a failure, and then less and less often', () => {
	expect([1, 2, 3, 9].map((failures) => dueIn({ ...seen, failures }, 10_000))).toEqual([4_000, 8_000, 16_000, 60_000]);
});

it('asks for nothing that nobody sees, nor twice at once', () => {
	expect(dueIn({ ...seen, seen: false }, 90_000)).toBeNull();
	expect(dueIn({ ...seen, loading: true }, 90_000)).toBeNull();
});
