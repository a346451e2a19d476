// A list that comes in pieces, by what it is asked for; an answer to what is asked for no more is dropped.
import { theApi } from '$lib/api';
import type { Query, Reader } from '$lib/api/client';
import type { Problem } from '$lib/api/problem';
import { page } from '$lib/api/types';

export class Listed<T> {
	/** What has come; null before anything has. */
	items = $state.raw<readonly T[] | null>(null);
	/** Whether there is more. */
	more = $state(false);
	busy = $state(false);
	problem = $state.raw<Problem | null>(null);

	readonly #path: string;
	readonly #read: Reader<T>;
	#query: Query = {};
	#next: string | null = null;
	#turn = 0;

	constructor(path: string, read: Reader<T>) {
		this.#path = path;
		this.#read = read;
	}

	/** Asks anew, from the beginning. */
	load(query: Query = this.#query): Promise<void> {
		this.#query = query;
		return this.#piece(null);
	}

	/** Asks for the piece that follows. */
	loadMore(): Promise<void> {
		return this.#next === null ? Promise.resolve() : this.#piece(this.#next);
	}

	async #piece(cursor: string | null): Promise<void> {
		const turn = (this.#turn += 1);
		this.busy = true;
		const reply = await theApi().get(this.#path, page(this.#read), { limit: 50, ...this.#query, cursor });
		if (turn !== this.#turn) return;
		this.busy = false;
		this.problem = reply.ok ? null : reply.problem;
		if (!reply.ok) return;
		this.items = cursor === null ? reply.body.items : [...(this.items ?? []), ...reply.body.items];
		this.#next = reply.body.next;
		this.more = reply.body.next !== null;
	}
}
