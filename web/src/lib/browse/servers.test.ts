import { expect, it } from 'vitest';
import { servers } from './servers';

it('reads where encoders publish', () => {
	const origin = { _id: 11, name: 'origin', url_template: 'rtmp://127.0.0.1:1935/live/{stream_key}', url_template_secure: 'rtmps://127.0.0.1:1936/live/{stream_key}' };
	expect(servers({ ingests: [origin, { name: 'odd' }] })).toEqual([{ name: 'origin', url: 'rtmp://127.0.0.1:1935/live', secureUrl: 'rtmps://127.0.0.1:1936/live' }]);
	expect(servers('<html>')).toBeNull();
});
