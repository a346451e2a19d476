import { expect, it } from 'vitest';
import type { ErrorData } from 'hls.js';
import { meaning } from './hls';

const read = (type: string, details: string, fatal: boolean, code?: number) => meaning({ type, details, fatal, ...(code !== undefined && { response: { code } }) } as ErrorData);

it('tells a missing decoder from a broken stream and from a lost server', () => {
	expect(read('mediaError', 'manifestIncompatibleCodecsError', true)).toEqual({ kind: 'fatal', cause: 'codec' });
	expect(read('mediaError', 'bufferAppendError', true)).toEqual({ kind: 'fatal', cause: 'media' });
	expect(read('networkError', 'levelLoadError', true)).toEqual({ kind: 'fatal', cause: 'network' });
});

it('hears of loads that failed, and of nothing else that hls.js sees to by itself', () => {
	expect(read('networkError', 'fragLoadTimeOut', false)).toEqual({ kind: 'failed' });
	expect(read('networkError', 'audioTrackLoadError', false)).toEqual({ kind: 'failed' });
	expect(read('mediaError', 'bufferStalledError', false)).toBeNull();
});

it('takes a server for away that does not answer, or that another one answers for', () => {
	expect([0, 502, 504].map((code) => read('networkError', 'levelLoadError', false, code))).toEqual([{ kind: 'failed' }, { kind: 'failed' }, { kind: 'failed' }]);
	expect([404, 503].map((code) => read('networkError', 'fragLoadError', false, code))).toEqual([null, null]);
});
