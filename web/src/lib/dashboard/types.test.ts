import { expect, it } from 'vitest';
import { health, history, ingests, newKey } from './types';

it('reads servers, and where the way to them is measured', () => {
	const told = { _id: 1, name: 'fra: origin-1', url_template: 'rtmp://a/live/{stream_key}', est_ms: 4, ping_url: '/api/time' };
	const { url_template, ...without } = told;
	expect(ingests({ ingests: [told, without] })).toEqual([{ id: 1, name: 'fra: origin-1', url: url_template.replace('/{stream_key}', ''), secureUrl: null, estMs: 4, pingUrl: '/api/time' }]);
	expect(ingests('gone')).toBeNull();
});

it('reads a stream that is off, and one without video', () => {
	expect(health({ id: 'ada', state: 'offline', health: null })).toEqual({ health: null });
	expect(health({ id: 'ada', health: { bitrate: 5, video: null, audio: null } })?.health?.video).toBeNull();
});

it('reads a history with what happened, and without a test', () => {
	const told = history({ id: 'ada', since_ms: 1, points: [{ at_ms: 2 }], events: [{ at_ms: 3, session: '4', server: null, what: 'lost' }], test: null });
	expect([told?.points.length, told?.events, told?.test]).toEqual([1, [{ at_ms: 3, session: '4', server: null, what: 'lost' }], null]);
});

it('needs the secret of a new key', () => {
	const key = { id: 'k', label: 'laptop', last_four: 'abcd', created_ms: 1 };
	expect([newKey(key), newKey({ ...key, stream_key: 'sk_abcd' })?.stream_key]).toEqual([null, 'sk_abcd']);
});
