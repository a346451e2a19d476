// The shell of the chat's machines: one socket, one timer, and what the page shows of them.
import type { Account } from '../account/account.svelte';
import { playbackToken } from '../player/entrance';
import { Channel, type Line, type Silence } from './channel';
import { address, protocols } from './address';
import { Link, type Output, type Status } from './link';
import { Outbox, type Post, type Refusal } from './outbox';
import { type Client, type Modes, type Nack, type Pin, type Role, type Server } from './protocol';

/** How often times are looked at: countdowns, deadlines. */
const TICK_MS = 500;

export class Room {
	status = $state<Status>('connecting');
	lines = $state.raw<readonly Line[]>([]);
	modes = $state.raw<Modes | null>(null);
	pin = $state.raw<Pin | null>(null);
	role = $state<Role>('guest');
	me = $state<string | null>(null);
	silence = $state.raw<Silence | null>(null);
	users = $state<number | null>(null);
	connections = $state<number | null>(null);
	waiting = $state.raw<readonly Post[]>([]);
	refusal = $state.raw<Refusal | null>(null);
	paused = $state(false);
	/** Seconds until one may write again, in slow mode or where the hub has said so; 0 for now. */
	holds = $state(0);
	/** Seconds until the connection is tried again; null when it isn't lost. */
	triesIn = $state<number | null>(null);
	nowMs = $state(Date.now());

	readonly #channel: Channel;
	readonly #link: Link;
	readonly #outbox: Outbox;
	readonly #account: Account;
	readonly #closing = new AbortController();
	#socket: WebSocket | null = null;
	/** Of the socket that is wanted now: what an older one still says is not heard. */
	#generation = 0;
	#holdUntil = 0;

	constructor(channel: string, account: Account) {
		this.#channel = new Channel(channel);
		this.#link = new Link(channel, () => this.#channel.resume, Math.random);
		this.#outbox = new Outbox(channel, drawNonce);
		this.#account = account;
		const timer = setInterval(() => this.#tick(), TICK_MS);
		const online = () => this.#handle(this.#link.handle(performance.now(), { kind: 'online' }));
		addEventListener('online', online, { signal: this.#closing.signal });
		this.#closing.signal.addEventListener('abort', () => clearInterval(timer));
		this.#handle(this.#link.handle(performance.now(), { kind: 'open' }));
	}

	close(): void {
		this.#closing.abort();
		this.#drop();
	}

	/** Somebody logged in or out. */
	reidentify(): void {
		this.#handle(this.#link.handle(performance.now(), { kind: 'reidentify' }));
	}

	get moderates(): boolean {
		return this.role === 'moderator' || this.role === 'owner' || this.role === 'admin';
	}

	/** Says something, or has something done where it begins with a slash. */
	say(text: string, replyTo: string | null = null): void {
		const object = this.#outbox.say(performance.now(), text, replyTo);
		const slow = text.startsWith('/') || this.moderates || this.role === 'vip' ? 0 : this.#channel.modes.slow_s;
		this.#holdUntil = performance.now() + slow * 1000;
		if (this.status === 'joined') this.#send(object);
		this.#show();
	}

	#handle(outputs: Output[]): void {
		for (const output of outputs) this.#perform(output);
		this.#show();
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
				return void this.#account.refused();
		}
	}

	async #connect(host: string | null): Promise<void> {
		const generation = ++this.#generation;
		const current = () => generation === this.#generation && !this.#closing.signal.aborted;
		const token = await this.#account.token();
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
		if (object.type === 'joined') for (const post of this.#outbox.rejoined(now)) this.#send(post);
		if (object.type === 'nack') this.#refused(now, object);
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
		this.#show();
	}

	#show(): void {
		const now = performance.now();
		const { deadline, status } = this.#link;
		this.status = status;
		this.triesIn = status === 'away' && deadline !== null ? Math.max(0, Math.ceil((deadline - now) / 1000)) : null;
		const { lines, modes, pin, role, me, silence, users, connections } = this.#channel;
		this.nowMs = Date.now();
		const past = (ms: number | null | undefined) => typeof ms === 'number' && ms <= this.nowMs;
		const over = past(silence?.untilMs);
		const unpinned = past(pin?.until_ms);
		Object.assign(this, { lines, modes, role, me, users, connections, silence: over ? null : silence, pin: unpinned ? null : pin });
		const { waiting, refusal, paused } = this.#outbox;
		Object.assign(this, { waiting, refusal, paused });
		this.holds = Math.max(0, Math.ceil((this.#holdUntil - now) / 1000));
	}
}

/** 128 random bits; `crypto.randomUUID` is not there on pages without TLS. */
function drawNonce(): string {
	return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}
