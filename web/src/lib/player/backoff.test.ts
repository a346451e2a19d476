import { describe, expect, it } from 'vitest';
import { wait } from './backoff';

const backoff = { firstMs: 1000, mostMs: 8000 };

describe('wait', () => {
	it('doubles up to its bound when luck is worst', () => {
		const waits = [0, 1, 2, 3, 4, 400].map((attempt) => wait(backoff, attempt, () => 1));
		expect(waits).toEqual([1000, 2000, 4000, 8000, 8000, 8000]);
	});

	it('is never less than half of that', () => {
		const waits = [0, 1, 2, 3, 4].map((attempt) => wait(backoff, attempt, () => 0));
		expect(waits).toEqual([500, 1000, 2000, 4000, 4000]);
	});
});
