import { expect, it } from 'vitest';
import { entrance } from './entrance';

it('takes the token of a link along, and nothing else', () => {
	const at = (hash: string) => entrance('https://edge', 'ada', hash);
	expect(at('')).toBe('https://edge/live/ada/index.m3u8');
	expect(at('#token=eyJ.a-b_c.d')).toBe('https://edge/live/ada/index.m3u8?token=eyJ.a-b_c.d');
	expect(at('#t=5&token=a%26b')).toBe('https://edge/live/ada/index.m3u8?token=a%26b');
	expect(at('#token=')).toBe('https://edge/live/ada/index.m3u8');
	expect(at('#chat')).toBe('https://edge/live/ada/index.m3u8');
});
