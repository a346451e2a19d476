// What is told of a stream, as the API tells it: asked again for as long as somebody looks.
import type { Client } from '$lib/api/client';
import type { Problem } from '$lib/api/problem';
import { profile, stream, type Profile, type Stream } from '$lib/api/types';

/** Nobody asks more often; with up to a fifth more, so that a crowd doesn't ask at once. */
const AGAIN_MS = 10_000;

export class About {
	stream = $state.raw<Stream | null>(null);
	/** Whose channel it is; null where it is nobody's, as an operator's. */
	owner = $state.raw<Profile | null>(null);
	#nothing = $state(false);
	#nobody = $state(false);
	/** Whether there is neither a channel nor anybody of this name. */
	readonly missing = $derived(this.#nothing && this.#nobody);

	readonly #channel: string;
	readonly #api: Client;
	readonly #closing = new AbortController();
	/** Whether who it is could not be had. */
	#unknown = false;
	/** How often that was asked. */
	#asked = 0;
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

	/** Asks how the stream is now rather than later: something has happened to it. */
	refresh(): Promise<void> {
		return this.#ask();
	}

	/** Asks whose channel it is, and whether who is signed in follows it. */
	async known(): Promise<void> {
		const asked = ++this.#asked;
		const reply = await this.#api.get(this.#path('users'), profile, {}, this.#closing.signal);
		// It may have changed since: only the newest question's reply counts.
		if (asked !== this.#asked) return;
		if (reply.ok) this.owner = reply.body;
		else this.#nobody = isNone(reply.problem);
		this.#unknown = !reply.ok && !this.#nobody;
	}

	async #ask(): Promise<void> {
		clearTimeout(this.#timer);
		if (document.hidden || this.missing || this.#closing.signal.aborted) return;
		this.#timer = setTimeout(() => void this.#ask(), AGAIN_MS * (1 + Math.random() / 5));
		const reply = await this.#api.get(this.#path('streams'), stream, {}, this.#closing.signal);
		// What was known stays while nobody answers.
		if (reply.ok) this.stream = reply.body;
		else this.#nothing = isNone(reply.problem);
		if (this.#unknown) await this.known();
	}

	#path(what: 'streams' | 'users'): string {
		return `/api/${what}/${encodeURIComponent(this.#channel)}`;
	}
}

/** Whether the API says that there is no such thing. An edge that has no API says nothing. */
const isNone = ({ status, detail }: Problem): boolean => status === 404 && detail !== '';
