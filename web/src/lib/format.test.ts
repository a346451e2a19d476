import { expect, it } from 'vitest';
import { ago, bitrate, clock, count, dateTime, exactly, initials, minute, time } from './format';

it('shortens large numbers', () => {
	expect([0, 999, 1_234, 45_600, 1_000_000].map(count)).toEqual(['0', '999', '1.2K', '45.6K', '1M']);
});

it('says how long ago something was', () => {
	const now = 1_000_000_000;
	const seconds = [5, 60, 3_600, 90_000, 40 * 86_400, 800 * 86_400];
	expect(seconds.map((before) => ago(now - before * 1000, now))).toEqual(['now', '1 minute ago', '1 hour ago', 'yesterday', 'last month', '2 years ago']);
});

it('counts hours from 0 to 23', () => {
	const ms = new Date(2026, 10, 26, 0, 5, 9).getTime();
	expect([dateTime(ms), exactly(ms), time(ms), minute(ms)]).toEqual(['Nov 26, 2026, 00:05', 'Nov 26, 2026, 00:05:09', '00:05:09', '00:05']);
});

it('shows seconds as a clock does', () => {
	expect([-1, 5, 245, 3_729].map(clock)).toEqual(['0:00', '0:05', '4:05', '1:02:09']);
});

it('shows bits a second', () => {
	expect([128_000, 3_128_000].map(bitrate)).toEqual(['128 kbit/s', '3.1 Mbit/s']);
});

it('finds the letters that stand for a name', () => {
	expect(['ada', 'Ada Lovelace', 'river_of_doubt', '  ', 'élan vital'].map(initials)).toEqual(['A', 'AL', 'RD', '', 'ÉV']);
});
