import { expect, it } from 'vitest';
import { timingOf } from './timing';

it('tells how an edge had it, and how it came to the origin', () => {
	expect(timingOf('edge;desc=held, uplink;dur=21, late;dur=130')).toEqual({ cache: 'held', uplinkMs: 21, queuedMs: 130 });
});

it('knows what is told and no more', () => {
	const unknown = { cache: null, uplinkMs: null, queuedMs: null };
	expect(timingOf('')).toEqual(unknown);
	expect(timingOf('edge;desc=hit')).toEqual({ ...unknown, cache: 'hit' });
	expect(timingOf('edge;desc=hit, late;dur=0')).toEqual({ ...unknown, cache: 'hit', queuedMs: 0 });
	expect(timingOf('cdn-cache;desc=hit, related;dur=9, late;dur=soon')).toEqual(unknown);
});
