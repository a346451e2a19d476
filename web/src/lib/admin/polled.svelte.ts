// Something that is asked for again and again while somebody looks: not while the page is hidden, and not while an answer is awaited.
import type { Problem, Reply } from '$lib/api/problem';

export class Polled<T> {
	/** What was answered last; null before. */
	value = $state.raw<T | null>(null);
	/** Why there is nothing newer; null where all is well. */
	problem = $state.raw<Problem | null>(null);
	/** When it was answered last, in ms since the page began. */
	atMs = $state(0);

	readonly #ask: () => Promise<Reply<T>>;
	readonly #everyMs: number;
	#asking: Promise<void> | null = null;

	constructor(ask: () => Promise<Reply<T>>, everyMs: number) {
		this.#ask = ask;
		this.#everyMs = everyMs;
	}

	/** Asks until what it returns is called: for `$effect`. */
	start(): () => void {
		const look = () => {
			if (document.visibilityState === 'visible') void this.load();
		};
		look();
		const timer = setInterval(look, this.#everyMs);
		document.addEventListener('visibilitychange', look);
		return () => {
			clearInterval(timer);
			document.removeEventListener('visibilitychange', look);
		};
	}

	/** Asks now. */
	load(): Promise<void> {
		this.#asking ??= this.#load().finally(() => (this.#asking = null));
		return this.#asking;
	}

	async #load(): Promise<void> {
		const reply = await this.#ask();
		if (reply.ok) {
			this.value = reply.body;
			this.atMs = performance.now();
		}
		this.problem = reply.ok ? null : reply.problem;
	}
}
