// The shell of the chat's machines: one socket, one timer, and what the page shows of them.
import { playbackToken } from '../player/entrance';
import { address, protocols } from './address';
import { Channel, type Held, type Line, type Raid, type Silence } from './channel';
import { Link, type Output, type Status } from './link';
import { Outbox, type Post, type Refusal } from './outbox';
import { type Client, type Modes, type Nack, type Pin, type Role, type Server } from './protocol';
import { Sync, type Playhead } from './sync';

/** Who reads and writes: an `Account`, or nobody. */
export interface Reader {
	token(): Promise<string | null>;
	refused(): Promise<void>;
}
/** A reader without an account. */
export const NOBODY: Reader = { token: async () => null, refused: async () => {} };

/** How often times are looked at: countdowns, deadlines, what waits for the picture. */
const TICK_MS = 250;
/** A busy chat is drawn this often, ms, not with each frame that comes. */
const DRAW_MS = 60;
/** A post names the moment of the stream that its author's picture showed, if it showed one of the last so many ms. */
const OLDEST_PDT_MS = 3_600_000;

export class Room {
	status = $state<Status>('connecting');
	/** Whether it was joined before. */
	known = $state(false);
	/** Whether the hub said that it goes away. */
	moving = $state(false);
	lines = $state.raw<readonly Line[]>([]);
	/** How many lines wait for the picture. */
	ahead = $state(0);
	modes = $state.raw<Modes | null>(null);
	pin = $state.raw<Pin | null>(null);
	role = $state<Role>('guest');
	me = $state<string | null>(null);
	silence = $state.raw<Silence | null>(null);
	warning = $state<string | null>(null);
	held = $state.raw<readonly Held[]>([]);
	raid = $state.raw<Raid | null>(null);
	users = $state<number | null>(null);
	connections = $state<number | null>(null);
	waiting = $state.raw<readonly Post[]>([]);
	refusal = $state.raw<Refusal | null>(null);
	/** The command that was done last, and which one by count. */
	done = $state.raw<{ readonly name: string; readonly count: number } | null>(null);
	paused = $state(false);
	/** Seconds until one may write again, in slow mode or where the hub has said so; 0 for now. */
	holds = $state(0);
	/** Seconds until the connection is tried again; null when it isn't lost. */
	triesIn = $state<number | null>(null);
	nowMs = $state(Date.now());
	/** The player beside the chat, where there is one. */
	player: Playhead | null = null;

	readonly name: string;
	readonly #channel: Channel;
	readonly #link: Link;
	readonly #outbox: Outbox;
	readonly #reader: Reader;
	readonly #closing = new AbortController();
	#sync: Sync | null = null;
	#socket: WebSocket | null = null;
	/** Of the socket that is wanted now: what an older one still says is not heard. */
	#generation = 0;
	#holdUntil = 0;
	#drawing: ReturnType<typeof setTimeout> | undefined;
	#drawnAt = 0;

	constructor(channel: string, reader: Reader) {
		this.name = channel;
		this.#channel = new Channel(channel);
		this.#link = new Link(channel, () => this.#channel.resume, Math.random);
		this.#outbox = new Outbox(channel, drawNonce);
		this.#reader = reader;
		const timer = setInterval(() => this.#tick(), TICK_MS);
		const online = () => this.#handle(this.#link.handle(performance.now(), { kind: 'online' }));
		addEventListener('online', online, { signal: this.#closing.signal });
		this.#closing.signal.addEventListener('abort', () => clearInterval(timer));
		this.#handle(this.#link.handle(performance.now(), { kind: 'open' }));
	}

	close(): void {
		this.#closing.abort();
		clearTimeout(this.#drawing);
		this.#drop();
	}

	/** Somebody logged in or out. */
	reidentify(): void {
		this.#handle(this.#link.handle(performance.now(), { kind: 'reidentify' }));
	}

	/** What the token says of who is signed in has changed, their colour for one. */
	async renewed(): Promise<void> {
		const token = await this.#reader.token();
		if (!this.#closing.signal.aborted) this.#handle(this.#link.handle(performance.now(), { kind: 'renewed', token }));
	}

	get moderates(): boolean {
		return this.role === 'moderator' || this.owns;
	}

	/** Whether one runs the channel: appoints, and sends its viewers on. */
	get owns(): boolean {
		return this.role === 'owner' || this.role === 'admin';
	}

	/** Says something, or has something done where it begins with a slash. */
	say(text: string, replyTo: string | null = null): void {
		const object = this.#outbox.say(performance.now(), text, replyTo, this.#pictureMs());
		const slow = text.startsWith('/') || this.moderates || this.role === 'vip' ? 0 : this.#channel.modes.slow_s;
		this.#holdUntil = performance.now() + slow * 1000;
		if (this.status === 'joined') this.#send(object);
		this.#show();
	}

	/** Whether lines wait for the picture. */
	synchronise(wanted: boolean): void {
		if (wanted === (this.#sync !== null)) return;
		this.#sync = wanted ? new Sync() : null;
		// What is shown already stays.
		this.#sync?.show(this.lines, { playingMs: null, latency: null }, this.me);
		this.#show();
	}

	/** The warning was read. */
	warned(): void {
		this.#channel.warned();
		this.#show();
	}

	#pictureMs(): number | null {
		const at = Math.round(this.player?.playingMs ?? NaN);
		return Math.abs(Date.now() - at) < OLDEST_PDT_MS ? at : null;
	}

	#handle(outputs: Output[]): void {
		for (const output of outputs) this.#perform(output);
		this.#draw();
	}

	#perform(output: Output): void {
		switch (output.kind) {
			case 'connect':
				return void this.#connect(output.host);
			case 'send':
				return this.#send(output.object);
			case 'close':
				return this.#drop();
			case 'heard':
				return this.#heard(output.object);
			case 'refused':
				return void this.#reader.refused();
		}
	}

	async #connect(host: string | null): Promise<void> {
		const generation = ++this.#generation;
		const current = () => generation === this.#generation && !this.#closing.signal.aborted;
		const token = await this.#reader.token();
		if (!current()) return;
		const socket = new WebSocket(address(location, host, this.#channel.name), protocols(playbackToken(location.hash)));
		this.#socket = socket;
		const tell = (input: Parameters<Link['handle']>[1]) => {
			if (current()) this.#handle(this.#link.handle(performance.now(), input));
		};
		socket.onopen = () => tell({ kind: 'opened', token });
		socket.onmessage = ({ data }) => typeof data === 'string' && tell({ kind: 'frame', text: data });
		socket.onclose = () => tell({ kind: 'closed' });
	}

	#drop(): void {
		this.#generation += 1;
		this.#socket?.close();
		this.#socket = null;
	}

	#send(object: Client): void {
		if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(object));
	}

	#heard(object: Server): void {
		const now = performance.now();
		this.#channel.apply(object);
		this.#outbox.hear(now, object);
		if (object.type === 'joined') this.known = true;
		if (object.type === 'joined') for (const post of this.#outbox.rejoined(now)) this.#send(post);
		if (object.type === 'nack') this.#refused(now, object);
		if (object.type === 'ack' && object.done) this.done = { name: object.done, count: (this.done?.count ?? 0) + 1 };
	}

	#refused(now: number, { code, retry_ms }: Nack): void {
		if (code === 'msg_timedout') this.#channel.silenced(Date.now() + (retry_ms ?? 0));
		if (code === 'msg_banned') this.#channel.silenced(null);
		if (code !== 'msg_paused') this.#holdUntil = now + (retry_ms ?? 0);
	}

	#tick(): void {
		const now = performance.now();
		const { deadline } = this.#link;
		if (deadline !== null && now >= deadline) this.#handle(this.#link.handle(now, { kind: 'timeout' }));
		if (this.status === 'joined') for (const post of this.#outbox.due(now)) this.#send(post);
		this.#channel.expire();
		this.#show();
	}

	/** Shows it now, or soon where it was shown a moment ago. */
	#draw(): void {
		const wait = this.#drawnAt + DRAW_MS - performance.now();
		if (wait <= 0) return this.#show();
		clearTimeout(this.#drawing);
		this.#drawing = setTimeout(() => this.#show(), wait);
	}

	#show(): void {
		clearTimeout(this.#drawing);
		const now = (this.#drawnAt = performance.now());
		const { deadline, status, moving } = this.#link;
		this.triesIn = status === 'away' && deadline !== null ? Math.max(0, Math.ceil((deadline - now) / 1000)) : null;
		const { modes, pin, role, me, silence, warning, held, raid, users, connections } = this.#channel;
		this.nowMs = Date.now();
		const past = (ms: number | null | undefined) => typeof ms === 'number' && ms <= this.nowMs;
		Object.assign(this, { status, moving, modes, role, me, warning, held, raid, users, connections });
		Object.assign(this, { silence: past(silence?.untilMs) ? null : silence, pin: past(pin?.until_ms) ? null : pin });
		const { waiting, refusal, paused } = this.#outbox;
		Object.assign(this, { waiting, refusal, paused });
		this.holds = Math.max(0, Math.ceil((this.#holdUntil - now) / 1000));
		this.#showLines(me);
	}

	#showLines(me: string | null): void {
		const { lines } = this.#channel;
		this.lines = this.#sync?.show(lines, this.player ?? { playingMs: null, latency: null }, me) ?? lines;
		this.ahead = lines.length - this.lines.length;
	}
}

/** 128 random bits; `crypto.randomUUID` is not there on pages without TLS. */
function drawNonce(): string {
	return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}
