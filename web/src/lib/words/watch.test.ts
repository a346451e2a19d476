import { expect, it } from 'vitest';
import { notice } from './watch';

it('blames the streamer for a picture that stands only where they are not known to be there', () => {
	expect(notice('live', true)).toBeNull();
	expect(notice('reconnecting', true)?.title).toBe('Waiting for the picture');
	expect(notice('reconnecting')?.title).toBe('Reconnecting');
	expect(notice('ended', true)?.title).toBe('The stream has ended');
});
