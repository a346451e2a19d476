import { beforeEach, describe, expect, it } from 'vitest';
import { Link, type Output } from './link';

const WELCOME = '{"type":"welcome","proto":1,"user":null,"batch":true,"heartbeat_ms":30000}';
const JOINED =
	'{"type":"joined","channel":"ada","position":"3.118","resume":"ada.3.118","role":"guest","modes":{"slow_s":0,"followers_min":null,"emote_only":false,"unique":false,"links_off":false,"shield":false},"pin":null,"follow":0}';

let resume: string | null;
let link: Link;

beforeEach(() => {
	resume = null;
	link = new Link('ada', () => resume, () => 1);
});

/** The hub's side, scripted: opens, and says this. */
function opens(now: number, ...frames: string[]): Output[] {
	const outputs = link.handle(now, { kind: 'opened', token: null });
	return [...outputs, ...frames.flatMap((text) => link.handle(now, { kind: 'frame', text }))];
}

describe('beginning', () => {
	it('says who it is and joins with history', () => {
		expect(link.handle(0, { kind: 'open' })).toEqual([{ kind: 'connect', host: null }]);
		expect(link.handle(10, { kind: 'opened', token: 'eyJ' })).toEqual([
			{ kind: 'send', object: { type: 'hello', proto: 1, batch: true, token: 'eyJ' } },
			{ kind: 'send', object: { type: 'join', channel: 'ada', history: 100 } }
		]);
		expect(link.status).toBe('connecting');
		link.handle(20, { kind: 'frame', text: `${WELCOME}\n${JOINED}` });
		expect(link.status).toBe('joined');
	});

	it('says who it is again where the token says something else, once it is joined', () => {
		const renewed = { kind: 'renewed', token: 'new' } as const;
		link.handle(0, { kind: 'open' });
		expect(link.handle(0, renewed)).toEqual([]);
		opens(0, WELCOME, JOINED);
		expect(link.handle(0, renewed)).toEqual([{ kind: 'send', object: { type: 'hello', proto: 1, batch: true, token: 'new' } }]);
		link.handle(0, { kind: 'closed' });
		expect(link.handle(0, renewed)).toEqual([]);
	});

	it('hears every object of a frame, and passes over what it does not know', () => {
		link.handle(0, { kind: 'open' });
		const heard = opens(0, `${WELCOME}\n{"type":"hologram"}\nnot JSON\n${JOINED}`).filter((output) => output.kind === 'heard');
		expect(heard.map(({ object }) => object.type)).toEqual(['welcome', 'joined']);
	});

	it('gives up a socket that does not open', () => {
		link.handle(0, { kind: 'open' });
		expect(link.handle(15_000, { kind: 'timeout' })).toEqual([{ kind: 'close' }]);
		expect(link.status).toBe('away');
	});
});

describe('coming back', () => {
	it('resumes where it was, ever less often, until it is joined again', () => {
		link.handle(0, { kind: 'open' });
		opens(0, WELCOME, JOINED);
		resume = 'ada.3.118';
		const waits: number[] = [];
		for (let attempt = 0; attempt < 3; attempt += 1) {
			link.handle(0, { kind: 'closed' });
			waits.push(link.deadline ?? 0);
			expect(link.handle(0, { kind: 'timeout' })).toEqual([{ kind: 'connect', host: null }]);
		}
		expect(waits).toEqual([1_000, 2_000, 4_000]);
		expect(opens(0, WELCOME, JOINED)).toContainEqual({ kind: 'send', object: { type: 'join', channel: 'ada', resume: 'ada.3.118' } });
		link.handle(0, { kind: 'closed' });
		expect(link.deadline).toBe(1_000);
	});

	it('does what bye says, and once more tries its own hub when the other is not there', () => {
		link.handle(0, { kind: 'open' });
		opens(0, WELCOME, JOINED, '{"type":"bye","reconnect_ms":3100,"hubs":["edge-2.example"]}');
		link.handle(5, { kind: 'closed' });
		expect([link.status, link.deadline, link.moving]).toEqual(['away', 3_105, true]);
		expect(link.handle(3_105, { kind: 'timeout' })).toEqual([{ kind: 'connect', host: 'edge-2.example' }]);
		link.handle(3_200, { kind: 'closed' });
		expect(link.moving).toBe(false);
		expect(link.handle(4_200, { kind: 'timeout' })).toEqual([{ kind: 'connect', host: null }]);
	});

	it('comes back at once when the network does', () => {
		link.handle(0, { kind: 'open' });
		link.handle(0, { kind: 'closed' });
		expect(link.handle(1, { kind: 'online' })).toEqual([{ kind: 'connect', host: null }]);
		expect(link.handle(2, { kind: 'online' })).toEqual([]);
	});

	it('comes back as somebody else after a login, and is not joined until it is answered', () => {
		link.handle(0, { kind: 'open' });
		opens(0, WELCOME, JOINED);
		expect(link.handle(9, { kind: 'reidentify' })).toEqual([{ kind: 'close' }, { kind: 'connect', host: null }]);
		opens(10, WELCOME);
		expect(link.status).toBe('connecting');
		opens(10, JOINED);
		expect(link.status).toBe('joined');
	});

	it('tells of a token that was not taken', () => {
		link.handle(0, { kind: 'open' });
		expect(opens(0, '{"type":"error","code":"bad_token","text":"no"}')).toContainEqual({ kind: 'refused' });
	});
});

describe('silence', () => {
	it('asks after each heartbeat, and leaves who does not answer', () => {
		link.handle(0, { kind: 'open' });
		opens(0, WELCOME, JOINED);
		expect(link.deadline).toBe(30_000);
		expect(link.handle(30_000, { kind: 'timeout' })).toEqual([{ kind: 'send', object: { type: 'ping' } }]);
		link.handle(30_100, { kind: 'frame', text: '{"type":"pong"}' });
		expect(link.deadline).toBe(60_100);
		link.handle(60_100, { kind: 'timeout' });
		expect(link.handle(75_100, { kind: 'timeout' })).toEqual([{ kind: 'close' }]);
		expect(link.status).toBe('away');
	});
});
