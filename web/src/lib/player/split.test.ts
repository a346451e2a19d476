import { describe, expect, it } from 'vitest';
import { Deliveries, split } from './split';

describe('split', () => {
	it('divides the age of a picture into four spans', () => {
		expect(split({ ageMs: 2100, partLeftMs: 300, lateMs: 45, tripMs: 30, fetchMs: 20 })).toEqual({
			...{ packagingMs: 300, toEdgeMs: 30, toPlayerMs: 35, bufferMs: 1735, totalMs: 2100 }
		});
	});

	it('adds up, whatever the clocks say', () => {
		for (const [ageMs, lateMs] of [[2100, -80], [200, 900], [-5, 10]] as const) {
			const { totalMs, ...spans } = split({ ageMs, partLeftMs: 300, lateMs, tripMs: 30, fetchMs: 20 });
			expect(Object.values(spans).every((ms) => ms >= 0)).toBe(true);
			expect(Object.values(spans).reduce((sum, ms) => sum + ms, 0)).toBe(totalMs);
		}
	});
});

describe('deliveries', () => {
	it('are as late as most of the held ones', () => {
		const deliveries = new Deliveries();
		expect(deliveries.lateMs).toBeNull();
		for (const late of [40, 55, 900, 50, 45]) deliveries.push({ receivedMs: 10_000 + late, edgeMs: 10_000, held: true });
		expect(deliveries.lateMs).toBe(50);
	});

	it('don’t count where they had been there before they were asked for, or have no clock', () => {
		const deliveries = new Deliveries();
		deliveries.push({ receivedMs: 10_400, edgeMs: 10_000, held: false });
		deliveries.push({ receivedMs: 10_400, edgeMs: NaN, held: true });
		expect(deliveries.lateMs).toBeNull();
	});

	it('forget what is long ago', () => {
		const deliveries = new Deliveries();
		for (let n = 0; n < 40; n++) deliveries.push({ receivedMs: n < 20 ? 900 : 50, edgeMs: 0, held: true });
		expect(deliveries.lateMs).toBe(50);
	});
});
