import { describe, expect, it } from 'vitest';
import { Deliveries, split, type Delivery } from './split';

describe('split', () => {
	const KNOWN = { ageMs: 2100, partLeftMs: 300, lateMs: 45, uplinkMs: null, queuedMs: null, tripMs: 30, fetchMs: 20 };

	it('divides the age of a picture, and adds the way to the origin', () => {
		expect(split({ ...KNOWN, uplinkMs: 12, queuedMs: 80 })).toEqual({
			...{ toOriginMs: 92, packagingMs: 300, toEdgeMs: 30, toPlayerMs: 35, bufferMs: 1655, totalMs: 2112 }
		});
	});

	it('says nothing of the way to the origin where nothing is known of it', () => {
		expect(split(KNOWN)).toEqual({ toOriginMs: null, packagingMs: 300, toEdgeMs: 30, toPlayerMs: 35, bufferMs: 1735, totalMs: 2100 });
		expect(split({ ...KNOWN, queuedMs: 80 })).toMatchObject({ toOriginMs: 80, bufferMs: 1655, totalMs: 2100 });
	});

	it('adds up, whatever the clocks say', () => {
		for (const [ageMs, lateMs, uplinkMs, queuedMs] of [[2100, -80, 12, 0], [200, 900, 12, 70], [-5, 10, 0, 3], [50, 10, null, 3000]] as const) {
			const { totalMs, ...spans } = split({ ...KNOWN, ageMs, lateMs, uplinkMs, queuedMs });
			const all = Object.values(spans).map((ms) => ms ?? 0);
			expect(all.every((ms) => ms >= 0)).toBe(true);
			expect(all.reduce((sum, ms) => sum + ms, 0)).toBe(totalMs);
		}
	});
});

describe('deliveries', () => {
	const delivery = (lateMs: number, more: Partial<Delivery> = {}): Delivery => ({ receivedMs: 10_000 + lateMs, edgeMs: 10_000, held: true, uplinkMs: null, queuedMs: null, ...more });

	it('are as late as most of the held ones', () => {
		const deliveries = new Deliveries();
		expect(deliveries.lateMs).toBeNull();
		for (const late of [40, 55, 900, 50, 45]) deliveries.push(delivery(late));
		expect(deliveries.lateMs).toBe(50);
	});

	it('don’t count where they had been there before they were asked for, or have no clock', () => {
		const deliveries = new Deliveries();
		deliveries.push(delivery(400, { held: false, queuedMs: 5 }));
		deliveries.push(delivery(400, { edgeMs: NaN }));
		expect([deliveries.lateMs, deliveries.queuedMs, deliveries.uplinkMs]).toEqual([null, null, null]);
	});

	it('are as late as they have been since the origin had them', () => {
		const deliveries = new Deliveries();
		for (const queuedMs of [10, 700, 20, 30, 900]) deliveries.push(delivery(50 + queuedMs, { uplinkMs: 12, queuedMs }));
		expect([deliveries.lateMs, deliveries.queuedMs, deliveries.uplinkMs]).toEqual([50, 30, 12]);
	});

	it('forget what is long ago', () => {
		const deliveries = new Deliveries();
		for (let n = 0; n < 40; n++) deliveries.push(delivery(n < 20 ? 900 : 50));
		expect(deliveries.lateMs).toBe(50);
	});
});
