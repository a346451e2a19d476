// What is told of a stream, as the API tells it: asked again for as long as somebody looks.
import type { Client } from '$lib/api/client';
import { profile, stream, type Profile, type Stream } from '$lib/api/types';

/** Nobody asks more often; with up to a fifth more, so that a crowd doesn't ask at once. */
const AGAIN_MS = 10_000;

export class About {
	stream = $state.raw<Stream | null>(null);
	/** Whose channel it is; null where it is nobody's, as an operator's. */
	owner = $state.raw<Profile | null>(null);
	/** Whether a change of what is followed is on its way, and whether the last one failed. */
	busy = $state(false);
	failed = $state(false);

	readonly #channel: string;
	readonly #api: Client;
	readonly #closing = new AbortController();
	#timer: ReturnType<typeof setTimeout> | undefined;

	constructor(channel: string, api: Client) {
		this.#channel = channel;
		this.#api = api;
		document.addEventListener('visibilitychange', () => void this.#ask(), { signal: this.#closing.signal });
		void this.#ask();
	}

	close(): void {
		this.#closing.abort();
		clearTimeout(this.#timer);
	}

	/** Asks whose channel it is, and whether who is signed in follows it. */
	async known(): Promise<void> {
		const reply = await this.#api.get(this.#path('users'), profile, {}, this.#closing.signal);
		if (reply.ok) this.owner = reply.body;
	}

	/** Follows, or no longer. */
	async follow(follows: boolean): Promise<void> {
		if (this.busy) return;
		this.busy = true;
		const path = `${this.#path('users')}/follow`;
		const reply = follows ? await this.#api.put(path) : await this.#api.delete(path);
		if (reply.ok) await this.known();
		this.failed = !reply.ok;
		this.busy = false;
	}

	async #ask(): Promise<void> {
		clearTimeout(this.#timer);
		if (document.hidden || this.#closing.signal.aborted) return;
		this.#timer = setTimeout(() => void this.#ask(), AGAIN_MS * (1 + Math.random() / 5));
		const reply = await this.#api.get(this.#path('streams'), stream, {}, this.#closing.signal);
		// What was known stays while nobody answers.
		if (reply.ok) this.stream = reply.body;
	}

	#path(what: 'streams' | 'users'): string {
		return `/api/${what}/${encodeURIComponent(this.#channel)}`;
	}
}
