import { describe, expect, it } from 'vitest';
import { reading, skew } from './clock';

describe('skew', () => {
	it('believes the shortest exchange, read at its middle', () => {
		const exchanges = [
			{ sentMs: 1000, receivedMs: 1400, serverMs: 6000 },
			{ sentMs: 2000, receivedMs: 2020, serverMs: 7015 }
		];
		expect(skew(exchanges)).toEqual({ offsetMs: 5005, tripMs: 20 });
	});

	it('is nothing when nobody answered', () => {
		expect(skew([])).toEqual({ offsetMs: 0, tripMs: null });
	});
});

describe('reading', () => {
	it('takes unix_ms, and nothing else', () => {
		expect(reading('{"unix_ms":1795241923670}')).toBe(1795241923670);
		expect(['', 'null', '[]', '{}', '{"unix_ms":"1"}', '<html>'].map(reading)).toEqual(Array(6).fill(null));
	});
});
