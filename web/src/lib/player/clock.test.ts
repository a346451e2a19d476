import { describe, expect, it } from 'vitest';
import { offset, reading } from './clock';

describe('offset', () => {
	it('believes the shortest exchange, read at its middle', () => {
		const exchanges = [
			{ sentMs: 1000, receivedMs: 1400, serverMs: 6000 },
			{ sentMs: 2000, receivedMs: 2020, serverMs: 7015 }
		];
		expect(offset(exchanges)).toBe(5005);
	});

	it('is nothing when nobody answered', () => {
		expect(offset([])).toBe(0);
	});
});

describe('reading', () => {
	it('takes unix_ms, and nothing else', () => {
		expect(reading('{"unix_ms":1795241923670}')).toBe(1795241923670);
		expect(['', 'null', '[]', '{}', '{"unix_ms":"1"}', '<html>'].map(reading)).toEqual(Array(6).fill(null));
	});
});
