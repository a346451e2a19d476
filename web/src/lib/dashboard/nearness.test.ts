import { expect, it } from 'vitest';
import { measure, nearest } from './nearness';
import type { Ingest } from './types';

const ingest = (id: number, pingUrl: string | null, estMs: number): Ingest => ({ id, name: `o${id}`, url: 'rtmp://x/live', secureUrl: null, estMs, pingUrl });

it('takes the shortest trip, and not the one that opened the connection', async () => {
	const times = [0, 100, 130, 200, 220, 300, 325];
	expect(await measure(async () => undefined, () => times.shift() ?? 0)).toBe(20);
});

it('knows nothing where a trip fails', async () => {
	expect(await measure(() => Promise.reject(new Error('blocked')), () => 0)).toBeNull();
});

it('puts the nearest first, and what can’t be measured last', async () => {
	const asked: string[] = [];
	const trips: Record<string, number> = { '/a': 90, '/b': 8 };
	const near = await nearest([ingest(1, '/a', 4), ingest(2, '/b', 100), ingest(3, null, 1), ingest(4, '/b', 100)], async (url) => {
		asked.push(url);
		return trips[url] ?? null;
	});
	expect(near.map(({ id, tripMs }) => [id, tripMs])).toEqual([[2, 8], [4, 8], [1, 90], [3, null]]);
	expect(asked).toEqual(['/a', '/b']);
});
