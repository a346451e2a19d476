import { expect, it } from 'vitest';
import type { ErrorData } from 'hls.js';
import { meaning } from './hls';

const read = (type: string, details: string, fatal: boolean) => meaning({ type, details, fatal } as ErrorData);

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
