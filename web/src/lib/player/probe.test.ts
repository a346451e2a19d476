import { describe, expect, it } from 'vitest';
import { probe } from './probe';

const INDEX = '#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="a0",URI="a0.m3u8"\n#EXT-X-STREAM-INF:BANDWIDTH=1\nv0.m3u8\n';
const LIVE = '#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:2,\nv0/1.m4s\n';

/** A server that sends every viewer from /live/ to /p/7/live/, and has these files there. */
function server(files: Record<string, string | number>): typeof fetch {
	return async (input) => {
		const url = String(input).replace('http://edge/live/', 'http://edge/p/7/live/');
		const file = files[url.split('/').at(-1) ?? ''] ?? 404;
		const reply = typeof file === 'string' ? new Response(file) : new Response('', { status: file });
		Object.defineProperty(reply, 'url', { value: url });
		return reply;
	};
}

const ask = (get: typeof fetch) => probe('http://edge/live/ada/index.m3u8', new AbortController().signal, () => {}, get);

describe('probe', () => {
	it('finds a live channel, and where its viewer was sent', async () => {
		const found = await ask(server({ 'index.m3u8': INDEX, 'v0.m3u8': LIVE }));
		expect(found).toEqual({ answer: 'live', url: 'http://edge/p/7/live/ada/index.m3u8', text: INDEX });
	});

	it('tells the end of a broadcast from a broadcast', async () => {
		const found = await ask(server({ 'index.m3u8': INDEX, 'v0.m3u8': `${LIVE}#EXT-X-ENDLIST\n` }));
		expect(found.answer).toBe('ended');
	});

	it('reads statuses', async () => {
		const answers = [404, 410, 503, 403, 500, 429].map((status) => ask(server({ 'index.m3u8': status })));
		expect((await Promise.all(answers)).map((found) => found.answer)).toEqual([
			...['offline', 'offline', 'starting', 'private', 'unreachable', 'overloaded']
		]);
	});

	it('takes a playlist without renditions, or whose rendition is not there yet, for a start or for nothing', async () => {
		expect((await ask(server({ 'index.m3u8': '#EXTM3U\n' }))).answer).toBe('starting');
		expect((await ask(server({ 'index.m3u8': INDEX, 'v0.m3u8': 503 }))).answer).toBe('starting');
		expect((await ask(server({ 'index.m3u8': INDEX }))).answer).toBe('offline');
	});

	it('takes a refused connection for an unreachable server', async () => {
		const found = await ask(() => Promise.reject(new TypeError('fetch failed')));
		expect(found.answer).toBe('unreachable');
	});
});
