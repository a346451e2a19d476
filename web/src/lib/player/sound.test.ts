import { expect, it } from 'vitest';
import { parse } from './sound';

it('gives back what was remembered', () => {
	expect(parse('{"volume":0.3,"on":true}')).toEqual({ volume: 0.3, on: true });
});

it('starts quiet when nothing, or nonsense, was remembered', () => {
	const nonsense = [null, '', 'null', '[]', '{"volume":7,"on":true}', '{"volume":0.5}', '{"volume":null,"on":false}'];
	expect(nonsense.map(parse)).toEqual(nonsense.map(() => ({ volume: 1, on: false })));
});
