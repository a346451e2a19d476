import { expect, it } from 'vitest';
import { wishes } from './wishes';

it.each([
	['', true, true],
	['muted=1&autoplay=true', true, true],
	['muted=0', false, true],
	['autoplay=FALSE&muted', true, false],
	['autoplay=off&muted=no', false, false]
])('%s', (query, muted, autoplay) => expect(wishes(new URLSearchParams(query))).toEqual({ muted, autoplay }));
