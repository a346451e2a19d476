import { expect, it } from 'vitest';
import { graceLeft, uptime } from './timing';

const MINUTE = 60_000;

it('counts up from when it went live', () => {
	const stream = { started_ms: 5 * MINUTE, reconnect_until_ms: null };
	expect([5, 6, 65].map((minute) => uptime(stream, minute * MINUTE))).toEqual([0, 60, 3_600]);
	expect(uptime(stream, 4 * MINUTE)).toBe(0);
	expect([null, { ...stream, started_ms: null }].map((unknown) => uptime(unknown, MINUTE))).toEqual([null, null]);
});

it('counts down to when the session ends', () => {
	const stream = { started_ms: 1, reconnect_until_ms: 30_000 };
	expect([0, 6_500, 29_999, 30_000, 31_000].map((now) => graceLeft(stream, now))).toEqual([30, 24, 1, null, null]);
	expect([null, { ...stream, reconnect_until_ms: null }].map((nobody) => graceLeft(nobody, 1))).toEqual([null, null]);
});
