import { expect, it } from 'vitest';
import { dueIn } from './thumb';

const seen = { seen: true, loading: false, askedMs: 10_000, failed: false };

it('asks at once for a picture that was never asked for, and then again when it is old', () => {
	expect(dueIn({ ...seen, askedMs: null }, 99)).toBe(0);
	expect([10_000, 15_000, 22_000, 90_000].map((now) => dueIn(seen, now))).toEqual([12_000, 7_000, 0, 0]);
});

it('asks sooner after a failure', () => {
	expect(dueIn({ ...seen, failed: true }, 12_000)).toBe(2_000);
});

it('asks for nothing that nobody sees, nor twice at once', () => {
	expect(dueIn({ ...seen, seen: false }, 90_000)).toBeNull();
	expect(dueIn({ ...seen, loading: true }, 90_000)).toBeNull();
});
