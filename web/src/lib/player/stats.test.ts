import { describe, expect, it } from 'vitest';
import type { Facts } from './engine';
import { edgeName, edges, frameRate, meanSplit, protocolName, splitOf } from './stats';

const FACTS: Facts & { tripMs: number | null } = {
	...{ bitrate: 9e5, throughput: 5e7, targetS: 1.6, origin: 'http://127.0.0.1:8080', cache: 'hit', uptimeS: 12 },
	...{ partLeftMs: 200, lateMs: 40, uplinkMs: 12, queuedMs: 50, fetchMs: 15, tripMs: 10 }
};

describe('an edge', () => {
	const known = edges({ edges: [{ id: 3, region: 'fra', url: 'https://fra.example/live/ada/index.m3u8' }, { id: 4, region: '', url: '/live/ada/index.m3u8' }, { id: 5 }, null] });

	it('has the name of its region, where that is known', () => {
		const name = (origin: string) => edgeName(known, origin, 'http://here:8080/c/ada');
		expect(['https://fra.example', 'http://here:8080', 'https://else.example'].map(name)).toEqual(['fra, fra.example', 'here:8080', 'else.example']);
	});

	it('is unknown where the answer is strange', () => {
		expect([null, [], {}, { edges: 7 }].map(edges)).toEqual([[], [], [], []]);
	});
});

it('divides a latency once enough is known', () => {
	expect(splitOf(2, FACTS)).toEqual({ toOriginMs: 62, packagingMs: 200, toEdgeMs: 35, toPlayerMs: 20, bufferMs: 1695, totalMs: 2012 });
	expect([splitOf(null, FACTS), splitOf(2, null), splitOf(2, { ...FACTS, lateMs: null }), splitOf(2, { ...FACTS, tripMs: null })]).toEqual([null, null, null, null]);
});

it('smooths splits', () => {
	const one = { toOriginMs: 60, packagingMs: 200, toEdgeMs: 30, toPlayerMs: 20, bufferMs: 1700, totalMs: 2010 };
	const other = { toOriginMs: 20, packagingMs: 100, toEdgeMs: 50, toPlayerMs: 40, bufferMs: 1500, totalMs: 1710 };
	expect(meanSplit([one, other])).toEqual({ toOriginMs: 40, packagingMs: 150, toEdgeMs: 40, toPlayerMs: 30, bufferMs: 1600, totalMs: 1860 });
	expect(meanSplit([one, { ...other, toOriginMs: null }]).toOriginMs).toBeNull();
});

it('counts frames', () => {
	expect(frameRate({ frames: 100, atMs: 1000 }, { frames: 130, atMs: 2000 })).toBe(30);
	expect(frameRate({ frames: 100, atMs: 1000 }, { frames: 0, atMs: 1000 })).toBe(0);
});

it('knows protocols by their names', () => {
	expect(['http/1.1', 'h2', 'h3', ''].map(protocolName)).toEqual(['HTTP/1.1', 'HTTP/2', 'HTTP/3', '']);
});
