// Short words on what has just happened, which leave by themselves.

export interface Toast {
	readonly id: number;
	readonly text: string;
	readonly tone: 'good' | 'bad';
}

/** As long as a sentence takes to be read twice. */
const SHOWN_MS = 6_000;
/** More at once would hide the page; the oldest leaves first. */
const MOST = 3;

class Toasts {
	shown = $state<readonly Toast[]>([]);
	#next = 0;

	/** Tells that something went well, or didn't. */
	tell(text: string, tone: Toast['tone'] = 'good'): void {
		const id = (this.#next += 1);
		this.shown = [...this.shown, { id, text, tone }].slice(-MOST);
		setTimeout(() => this.close(id), SHOWN_MS);
	}

	close(id: number): void {
		this.shown = this.shown.filter((toast) => toast.id !== id);
	}
}

export const toasts = new Toasts();
