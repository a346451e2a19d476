// The channel of whoever broadcasts, kept up to date while a page of the dashboard is open: its state, how it does, how it did.
import { getContext, setContext } from 'svelte';
import { theApi } from '$lib/api';
import { stream, type Stream } from '$lib/api/types';
import type { Problem, Reply } from '$lib/api/problem';
import { detailsOf, type Details } from './details';
import { health, history, type Health, type History } from './types';

const STATE_EVERY_MS = 3_000;
const HEALTH_EVERY_MS = 2_000;
const HISTORY_EVERY_MS = 4_000;
const KEY = Symbol('desk');

export class Desk {
	readonly channel: string;
	/** Null until the API has answered. */
	stream = $state.raw<Stream | null>(null);
	health = $state.raw<Health | null>(null);
	history = $state.raw<History | null>(null);
	/** Why nothing is known; null while it goes well. */
	problem = $state.raw<Problem | null>(null);

	readonly #closing = new AbortController();
	/** Changes that are under way: what is read meanwhile may be older. */
	#changing = 0;
	/** How often in a row nobody said how it does. */
	#silences = 0;

	constructor(channel: string) {
		this.channel = channel;
		this.#every(STATE_EVERY_MS, () => this.#readState());
		this.#every(HEALTH_EVERY_MS, () => this.#readHealth());
		this.#every(HISTORY_EVERY_MS, () => this.#readHistory());
	}

	close(): void {
		this.#closing.abort();
	}

	/** Whether somebody publishes, or did a moment ago. */
	get goesOn(): boolean {
		return this.stream !== null && ['starting', 'live', 'reconnecting'].includes(this.stream.state);
	}

	/** Shows `change` at once and saves it; gives what was wrong, and shows what was before. */
	async change(change: Partial<Details>): Promise<Problem | null> {
		const before = this.stream;
		if (!before) return null;
		this.#changing += 1;
		this.stream = { ...before, ...change };
		const reply = await theApi().patch(this.#path(), change, stream);
		this.#changing -= 1;
		if (reply.ok) this.stream = { ...reply.body, state: before.state };
		else this.stream = { ...this.stream, ...detailsOf(before) };
		return reply.ok ? null : reply.problem;
	}

	async start(): Promise<Reply<null>> {
		const reply = await theApi().post(`${this.#path()}/start`);
		await this.#readState();
		return reply;
	}

	async end(): Promise<Reply<null>> {
		const reply = await theApi().post(`${this.#path()}/end`);
		await this.#readState();
		return reply;
	}

	#path = () => `/api/streams/${encodeURIComponent(this.channel)}`;

	async #readState(): Promise<void> {
		if (this.#changing > 0) return;
		const reply = await theApi().get(this.#path(), stream, {}, this.#closing.signal);
		if (this.#closing.signal.aborted || this.#changing > 0) return;
		this.problem = reply.ok ? null : reply.problem;
		if (reply.ok) this.stream = reply.body;
	}

	async #readHealth(): Promise<void> {
		if (this.stream !== null && !this.goesOn) {
			this.health = null;
			return;
		}
		const reply = await theApi().get(`${this.#path()}/health`, health, {}, this.#closing.signal);
		this.#silences = reply.ok ? 0 : this.#silences + 1;
		if (reply.ok) this.health = reply.body.health;
		// What was told before says nothing of now.
		else if (this.#silences > 1) this.health = null;
	}

	async #readHistory(): Promise<void> {
		const reply = await theApi().get(`${this.#path()}/health/history`, history, {}, this.#closing.signal);
		if (reply.ok) this.history = reply.body;
	}

	/** Does `act` now and `ms` after each time that it was done; not while nobody looks. */
	#every(ms: number, act: () => Promise<void>): void {
		const { signal } = this.#closing;
		const turn = async () => {
			if (!document.hidden) await act();
			if (!signal.aborted) setTimeout(() => void turn(), ms);
		};
		void turn();
	}
}

/** Gives the desk to what stands inside. */
export const provideDesk = (desk: Desk) => setContext(KEY, desk);
export const theDesk = () => getContext<Desk>(KEY);
