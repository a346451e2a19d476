import { expect, it } from 'vitest';
import { parse } from './taste';

it('gives back what was remembered, and first tastes for the rest', () => {
	expect(parse('{"quality":"720p60","stable":true}')).toEqual({ quality: '720p60', stable: true, theatre: false, chat: true });
});

it('takes nonsense for nothing', () => {
	const first = { quality: 'auto', stable: false, theatre: false, chat: true };
	expect([null, '', 'null', '[]', '7', '{"quality":7,"stable":"yes","more":1}'].map(parse)).toEqual(Array(6).fill(first));
});
