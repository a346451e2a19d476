// The connection to a hub: what happens → what to do. A machine: no socket, no timer; the time is told to it.
//
//   open ──▶ connect ──▶ opened ──▶ hello, join (with history, or from where we were) ──▶ joined
//              ▲                                                                          │
//              └── back-off with jitter, or what `bye` says ◀── closed, silent too long ◀─┘
//
// Comes back for ever, ever less often. The token is asked for by the shell, anew for each connection.
import { wait, type Backoff } from '../player/backoff';
import { parse, type Client, type Server } from './protocol';

export type Status =
	/** No answer yet. */
	| 'connecting'
	/** Messages come. */
	| 'joined'
	/** The connection was lost, or never came; it is tried again at `Link.deadline`. */
	| 'away';

export type Input =
	| { kind: 'open' }
	/** The socket is open; `token` says who we are. */
	| { kind: 'opened'; token: string | null }
	| { kind: 'frame'; text: string }
	| { kind: 'closed' }
	/** Somebody logged in or out: come back as who they are now. */
	| { kind: 'reidentify' }
	/** The token says something else of the same person: tell the hub, without coming anew. */
	| { kind: 'renewed'; token: string | null }
	/** The browser has a network again: don't wait. */
	| { kind: 'online' }
	| { kind: 'timeout' };

export type Output =
	/** Open a socket to `host`, or to the page's own hub; `opened` or `closed` follows. */
	| { kind: 'connect'; host: string | null }
	| { kind: 'send'; object: Client }
	/** Let go of the socket; no `closed` follows. */
	| { kind: 'close' }
	/** From the hub, for the channel's model and the outbox. */
	| { kind: 'heard'; object: Server }
	/** The token was not taken: get another one, or go on without. */
	| { kind: 'refused' };

/** As many messages of before are asked for. */
export const HISTORY = 100;
const LOST: Backoff = { firstMs: 1_000, mostMs: 30_000 };
/** A socket that is not open, or not joined, after so long is given up. */
const OPENING_MS = 15_000;
/** After a ping, the answer or anything else must come within this. */
const SILENT_MS = 15_000;
const HEARTBEAT_MS = 30_000;

export class Link {
	status: Status = 'connecting';
	/** When `timeout` is due, in the caller's ms; null for never. */
	deadline: number | null = null;
	/** Whether the hub said that it goes away, and where to: the connection is not lost by accident. */
	moving = false;

	readonly #channel: string;
	readonly #resume: () => string | null;
	readonly #random: () => number;
	#phase: 'idle' | 'opening' | 'open' | 'pinged' = 'idle';
	#attempt = 0;
	#heartbeatMs = HEARTBEAT_MS;
	/** Where `bye` sent us, and when. */
	#bye: { reconnectMs: number; hubs: readonly string[] } | null = null;
	#host: string | null = null;

	/** `resume` gives the newest position, `CHANNEL.EPOCH.SEQ`, where there is one; `random` gives [0, 1). */
	constructor(channel: string, resume: () => string | null, random: () => number) {
		this.#channel = channel;
		this.#resume = resume;
		this.#random = random;
	}

	/** Takes what happened at `now` (ms, any origin); gives what to do, in order. */
	handle(now: number, input: Input): Output[] {
		switch (input.kind) {
			case 'open':
				return this.#connect(now);
			case 'opened':
				return this.#opened(now, input.token);
			case 'frame':
				return this.#frame(now, input.text);
			case 'closed':
				return this.#lost(now);
			case 'reidentify':
				return this.#again(now);
			case 'renewed':
				return this.status === 'joined' && input.token !== null ? [hello(input.token)] : [];
			case 'online':
				return this.#phase === 'idle' && this.status === 'away' ? this.#connect(now) : [];
			case 'timeout':
				return this.#timeout(now);
		}
	}

	#connect(now: number): Output[] {
		this.#phase = 'opening';
		this.deadline = now + OPENING_MS;
		return [{ kind: 'connect', host: this.#host }];
	}

	#opened(now: number, token: string | null): Output[] {
		if (this.#phase !== 'opening') return [];
		this.deadline = now + OPENING_MS;
		const resume = this.#resume();
		const from = resume === null ? { history: HISTORY } : { resume };
		return [
			hello(token),
			{ kind: 'send', object: { type: 'join', channel: this.#channel, ...from } }
		];
	}

	#frame(now: number, text: string): Output[] {
		if (this.#phase === 'idle') return [];
		if (this.#phase !== 'opening') {
			this.#phase = 'open';
			this.deadline = now + this.#heartbeatMs;
		}
		return parse(text).flatMap((object) => this.#object(now, object));
	}

	#object(now: number, object: Server): Output[] {
		const heard: Output = { kind: 'heard', object };
		switch (object.type) {
			case 'welcome':
				this.#heartbeatMs = object.heartbeat_ms;
				return [heard];
			case 'joined':
				this.status = 'joined';
				this.#phase = 'open';
				this.#attempt = 0;
				this.deadline = now + this.#heartbeatMs;
				return [heard];
			case 'bye':
				this.#bye = { reconnectMs: object.reconnect_ms, hubs: object.hubs };
				return [];
			case 'error':
				return object.code === 'bad_token' ? [{ kind: 'refused' }] : [heard];
			default:
				return [heard];
		}
	}

	#lost(now: number): Output[] {
		if (this.#phase === 'idle') return [];
		this.#phase = 'idle';
		this.status = 'away';
		this.moving = this.#bye !== null;
		if (this.#bye) {
			this.deadline = now + this.#bye.reconnectMs;
			this.#host = this.#bye.hubs[0] ?? null;
			this.#bye = null;
		} else {
			// A hub that `bye` has named is tried once; after that, the page's own.
			this.#host = null;
			this.deadline = now + wait(LOST, this.#attempt, this.#random);
			this.#attempt += 1;
		}
		return [];
	}

	#again(now: number): Output[] {
		const close: Output[] = this.#phase === 'idle' ? [] : [{ kind: 'close' }];
		this.#attempt = 0;
		this.status = 'connecting';
		return [...close, ...this.#connect(now)];
	}

	#timeout(now: number): Output[] {
		switch (this.#phase) {
			case 'idle':
				return this.#connect(now);
			case 'open':
				this.#phase = 'pinged';
				this.deadline = now + SILENT_MS;
				return [{ kind: 'send', object: { type: 'ping' } }];
			default:
				return [{ kind: 'close' }, ...this.#lost(now)];
		}
	}
}

function hello(token: string | null): Output {
	return { kind: 'send', object: { type: 'hello', proto: 1, batch: true, ...(token !== null && { token }) } };
}
