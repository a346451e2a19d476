// The shell of `list.ts`: asks the API for the live channels, again and again while the page is seen.
import { theAccount } from '$lib/account/account.svelte';
import { theApi } from '$lib/api';
import type { Problem } from '$lib/api/problem';
import { name, page, stream, type Stream } from '$lib/api/types';
import { append, divide, isFiltered, isOn, merge, missing, type Asked } from './list';

const AGAIN_MS = 15_000;
/** How many are asked for at once. */
const PIECE = 48;
/** The most that one request gives: how many are brought up to date. */
const MOST = 100;
/** Of followed channels that the list doesn't reach, so many are asked for one by one. */
const MOST_ELSEWHERE = 20;

export class Live {
	/** Null until the first answer. */
	shown = $state<readonly Stream[] | null>(null);
	/** Why there was no answer last time. */
	problem = $state<Problem | null>(null);
	next = $state<string | null>(null);
	loadingMore = $state(false);

	#followed = $state<readonly string[]>([]);
	#elsewhere = $state<readonly Stream[]>([]);
	readonly #asked: Asked;
	readonly #timer: ReturnType<typeof setInterval>;
	readonly #closed = new AbortController();

	readonly divided = $derived(divide(this.shown ?? [], this.#elsewhere, this.#followed));

	constructor(asked: Asked) {
		this.#asked = asked;
		this.#timer = setInterval(() => document.hidden || void this.load(), AGAIN_MS);
		document.addEventListener('visibilitychange', () => document.hidden || void this.load(), { signal: this.#closed.signal });
		void this.load();
	}

	close(): void {
		clearInterval(this.#timer);
		this.#closed.abort();
	}

	/** Asks for as many as are shown. */
	async load(): Promise<void> {
		const had = this.shown?.length ?? 0;
		const reply = await this.#ask({ limit: Math.min(MOST, Math.max(PIECE, had)) });
		if (this.#closed.signal.aborted) return;
		this.problem = reply.ok ? null : reply.problem;
		if (!reply.ok) return;
		// What is beyond one answer stays as it was.
		const beyond = had > MOST ? (this.shown ?? []).slice(MOST) : [];
		this.shown = append(merge((this.shown ?? []).slice(0, MOST), reply.body.items), beyond);
		if (beyond.length === 0) this.next = reply.body.next;
		await this.#loadFollowed();
	}

	async more(): Promise<void> {
		if (this.next === null || this.loadingMore) return;
		this.loadingMore = true;
		const reply = await this.#ask({ cursor: this.next, limit: PIECE });
		this.loadingMore = false;
		this.problem = reply.ok ? null : reply.problem;
		if (!reply.ok) return;
		this.shown = append(this.shown ?? [], reply.body.items);
		this.next = reply.body.next;
	}

	#ask(piece: { limit: number; cursor?: string }) {
		return theApi().get('/api/streams/live', page(stream), { ...this.#asked, ...piece }, this.#closed.signal);
	}

	async #loadFollowed(): Promise<void> {
		if (theAccount().username === null) {
			this.#followed = [];
			return;
		}
		const reply = await theApi().get('/api/me/following', page(name), {}, this.#closed.signal);
		if (!reply.ok) return;
		this.#followed = reply.body.items;
		const whole = this.next === null || isFiltered(this.#asked);
		const beyond = whole ? [] : missing(this.shown ?? [], reply.body.items);
		const asked = beyond.slice(0, MOST_ELSEWHERE).map((id) => theApi().get(`/api/streams/${id}`, stream, {}, this.#closed.signal));
		this.#elsewhere = (await Promise.all(asked)).flatMap((answer) => (answer.ok && isOn(answer.body.state) ? answer.body : []));
	}
}
