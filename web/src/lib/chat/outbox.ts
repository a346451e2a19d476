// What one has said → what stands, what was refused and why, what must be sent again. No socket; the time is told to it.
//
// A post keeps its nonce until it is answered: sent again after a break, on any hub, it is the same post (for a minute).
import type { Client, Nack, Server } from './protocol';

/** A hub knows a nonce for so long, ms; after that, a post that is sent again could be said twice. */
const KNOWN_MS = 55_000;
/** Where the hub doesn't say when to try again. */
const PAUSED_MS = 1_000;

export interface Post {
	readonly nonce: string;
	readonly text: string;
	readonly replyTo: string | null;
	readonly pdtMs: number | null;
	readonly atMs: number;
	/** When it is sent again although connected: the channel was changing hubs. */
	readonly againAt: number | null;
}

/** Why the last post does not stand. */
export interface Refusal {
	readonly nonce: string;
	/** A code of the protocol, `denied` or `unanswered`. */
	readonly code: string;
	/** The hub's own words. */
	readonly said: string;
	/** What was refused, to be put right. */
	readonly text: string;
	/** When it may be tried again, in the caller's ms. */
	readonly retryAt: number | null;
}

export class Outbox {
	readonly #channel: string;
	readonly #nonce: () => string;
	/** What has no answer yet, the oldest first. */
	waiting: readonly Post[] = [];
	refusal: Refusal | null = null;
	/** The commands that were done last, for a word of confirmation. */
	done: string | null = null;

	/** `nonce` draws one that nobody else draws, 1 to 64 bytes. */
	constructor(channel: string, nonce: () => string) {
		this.#channel = channel;
		this.#nonce = nonce;
	}

	/** Says something at `now`; gives what to send, if connected. */
	say(now: number, text: string, replyTo: string | null = null, pdtMs: number | null = null): Client {
		const post: Post = { nonce: this.#nonce(), text, replyTo, pdtMs, atMs: now, againAt: null };
		this.waiting = [...this.waiting, post];
		this.refusal = null;
		this.done = null;
		return this.#object(post);
	}

	/** Takes what the hub sent. */
	hear(now: number, object: Server): void {
		if (object.type === 'nack') this.#refused(now, object);
		else if (object.type === 'notice' && object.note === 'decided' && !object.approved) this.#denied();
		else if (object.type === 'ack') {
			this.done = object.done ?? null;
			this.#answered(object.nonce);
		} else if ('nonce' in object && object.nonce) this.#answered(object.nonce);
	}

	/** All without an answer, after a new connection; what is too old is given up. */
	rejoined(now: number): Client[] {
		this.#forget(now);
		return this.waiting.map((post) => this.#object(post));
	}

	/** What is due again while connected. */
	due(now: number): Client[] {
		const due = this.waiting.filter((post) => post.againAt !== null && post.againAt <= now);
		this.waiting = this.waiting.map((post) => (due.includes(post) ? { ...post, againAt: null } : post));
		this.#forget(now);
		return due.filter((post) => this.#find(post.nonce)).map((post) => this.#object(post));
	}

	/** Whether a post waits for the channel to have a hub again. */
	get paused(): boolean {
		return this.waiting.some((post) => post.againAt !== null);
	}

	#refused(now: number, nack: Nack): void {
		const post = this.#find(nack.nonce);
		if (!post) return;
		if (nack.code === 'msg_paused' && now - post.atMs < KNOWN_MS) {
			const againAt = now + (nack.retry_ms ?? PAUSED_MS);
			this.waiting = this.waiting.map((other) => (other === post ? { ...post, againAt } : other));
			return;
		}
		this.#answered(nack.nonce);
		this.refusal = { nonce: nack.nonce, code: nack.code, said: nack.text, text: post.text, retryAt: nack.retry_ms === undefined ? null : now + nack.retry_ms };
	}

	/** A moderator has not let through what waited for one. */
	#denied(): void {
		if (this.refusal?.code === 'msg_rejected') this.refusal = { ...this.refusal, code: 'denied' };
	}

	#forget(now: number): void {
		const old = this.waiting.find((post) => now - post.atMs >= KNOWN_MS);
		if (!old) return;
		this.waiting = this.waiting.filter((post) => now - post.atMs < KNOWN_MS);
		this.refusal = { nonce: old.nonce, code: 'unanswered', said: '', text: old.text, retryAt: null };
	}

	#find(nonce: string): Post | undefined {
		return this.waiting.find((post) => post.nonce === nonce);
	}

	#answered(nonce: string): void {
		// What waited for a moderator comes as an event when it is let through.
		if (this.refusal?.nonce === nonce && this.refusal.code === 'msg_rejected') this.refusal = null;
		if (this.#find(nonce)) this.waiting = this.waiting.filter((post) => post.nonce !== nonce);
	}

	#object(post: Post): Client {
		const more = { ...(post.replyTo !== null && { reply_to: post.replyTo }), ...(post.pdtMs !== null && { pdt_ms: post.pdtMs }) };
		return { type: 'msg', channel: this.#channel, nonce: post.nonce, text: post.text, ...more };
	}
}
