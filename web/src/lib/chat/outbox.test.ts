import { beforeEach, describe, expect, it } from 'vitest';
import { Outbox } from './outbox';

let outbox: Outbox;
let drawn: number;

beforeEach(() => {
	drawn = 0;
	outbox = new Outbox('ada', () => `n${(drawn += 1)}`);
});

describe('a post', () => {
	it('waits until it is acknowledged', () => {
		expect(outbox.say(0, 'hello', '40', 7)).toEqual({ type: 'msg', channel: 'ada', nonce: 'n1', text: 'hello', reply_to: '40', pdt_ms: 7 });
		expect(outbox.waiting).toHaveLength(1);
		outbox.hear(1, { type: 'ack', nonce: 'n1', id: '41' });
		expect(outbox.waiting).toEqual([]);
	});

	it('is answered by its own event too', () => {
		outbox.say(0, 'hello');
		const user = { id: '7', login: 'bob', name: 'Bob', roles: [] };
		outbox.hear(1, { type: 'message', channel: 'ada', position: '1.1', at_ms: 1, nonce: 'n1', id: '1', user, text: 'hello' });
		expect(outbox.waiting).toEqual([]);
	});

	it('that is refused says why, until when, and gives its text back', () => {
		outbox.say(0, 'hello');
		outbox.hear(100, { type: 'nack', nonce: 'n1', code: 'msg_slowmode', retry_ms: 4_200, text: 'Slow mode.' });
		expect(outbox.waiting).toEqual([]);
		expect(outbox.refusal).toEqual({ nonce: 'n1', code: 'msg_slowmode', said: 'Slow mode.', text: 'hello', retryAt: 4_300 });
		outbox.say(5_000, 'hello');
		expect(outbox.refusal).toBeNull();
	});

	it('that waits for a moderator is told what they decide', () => {
		const deny = () => outbox.hear(2, { type: 'notice', channel: 'ada', note: 'decided', id: '9', approved: false });
		outbox.say(0, 'meh');
		deny();
		expect(outbox.refusal).toBeNull();
		outbox.hear(1, { type: 'nack', nonce: 'n1', code: 'msg_rejected', text: 'It waits.' });
		deny();
		expect(outbox.refusal?.code).toBe('denied');
		outbox.say(3, 'meh again');
		outbox.hear(4, { type: 'nack', nonce: 'n2', code: 'msg_rejected', text: 'It waits.' });
		expect(outbox.refusal?.code).toBe('msg_rejected');
		const user = { id: '7', login: 'bob', name: 'Bob', roles: [] };
		outbox.hear(5, { type: 'message', channel: 'ada', position: '1.1', at_ms: 1, nonce: 'n2', id: '1', user, text: 'meh again' });
		expect(outbox.refusal).toBeNull();
	});

	it('is sent again under its nonce after a break, and given up when the nonce is forgotten', () => {
		outbox.say(0, 'old');
		outbox.say(50_000, 'young');
		expect(outbox.rejoined(54_000).map((object) => 'nonce' in object && object.nonce)).toEqual(['n1', 'n2']);
		expect(outbox.rejoined(55_000).map((object) => 'nonce' in object && object.nonce)).toEqual(['n2']);
		expect(outbox.refusal).toMatchObject({ code: 'unanswered', text: 'old' });
	});

	it('waits and is sent again while the channel changes hubs', () => {
		outbox.say(0, 'hello');
		outbox.hear(10, { type: 'nack', nonce: 'n1', code: 'msg_paused', retry_ms: 500, text: '' });
		expect([outbox.paused, outbox.refusal]).toEqual([true, null]);
		expect(outbox.due(509)).toEqual([]);
		expect(outbox.due(510)).toEqual([{ type: 'msg', channel: 'ada', nonce: 'n1', text: 'hello' }]);
		expect(outbox.paused).toBe(false);
		outbox.hear(600, { type: 'ack', nonce: 'n1', id: '1' });
		expect(outbox.waiting).toEqual([]);
	});

	it('says which command was done', () => {
		outbox.say(0, '/clear');
		outbox.hear(1, { type: 'ack', nonce: 'n1', done: 'clear' });
		expect(outbox.done).toBe('clear');
	});
});
