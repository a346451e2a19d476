import { expect, it } from 'vitest';
import { parseSite } from './site';

it('reads what the server tells', () => {
	expect(parseSite('{"channel":"demo","rtmp_url":"rtmp://127.0.0.1:1935/live"}')).toEqual({
		channel: 'demo',
		rtmpUrl: 'rtmp://127.0.0.1:1935/live'
	});
	expect(parseSite('{"channel":"ada"}')).toEqual({ channel: 'ada', rtmpUrl: null });
});

it('makes do with anything else', () => {
	const empty = { channel: null, rtmpUrl: null };
	expect(['', 'null', '[]', '<!doctype html>', '{"channel":7}', '{"channel":""}'].map(parseSite)).toEqual(Array(6).fill(empty));
});
