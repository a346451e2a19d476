// The shell of `cmcd.ts`: reads the player every second and posts what is to be told to the edge that it plays from.
import { Cmcd, type Reading } from './cmcd';

const TICK_MS = 1_000;
const PATH = '/api/cmcd';
/** What edges that don't take reports answer. */
const NOT_HERE = [404, 405, 501];

export class Reporter {
	readonly #cmcd: Cmcd;
	readonly #read: () => Reading;
	readonly #origin: () => string;
	readonly #closing = new AbortController();

	/** `read` gives a reading; `origin` is where reports go now. */
	constructor(channel: string, video: HTMLVideoElement, read: () => Reading, origin: () => string) {
		this.#cmcd = new Cmcd(drawSession(), channel, performance.now());
		this.#read = read;
		this.#origin = origin;
		const { signal } = this.#closing;
		const timer = setInterval(() => this.tell(), TICK_MS);
		signal.addEventListener('abort', () => clearInterval(timer));
		addEventListener('pagehide', () => this.#leave(), { signal });
		video.addEventListener('waiting', () => !video.seeking && this.#cmcd.starves(performance.now()), { signal });
		for (const name of ['playing', 'pause', 'seeking']) video.addEventListener(name, () => this.#cmcd.recovers(performance.now()), { signal });
	}

	/** Tells what there is to tell; at once, where the state has changed. */
	tell(): void {
		if (this.#closing.signal.aborted) return;
		const lines = this.#cmcd.read(performance.now(), Date.now(), this.#read());
		if (lines.length > 0) void this.#post(lines);
	}

	close(): void {
		if (this.#closing.signal.aborted) return;
		this.#leave();
		this.#closing.abort();
	}

	/** The viewer leaves; and may come back, where the browser keeps the page. */
	#leave(): void {
		const lines = this.#cmcd.quit(performance.now(), Date.now(), this.#read());
		if (lines.length > 0) void this.#post(lines);
	}

	/** A report that doesn't arrive is lost: the next one says more. */
	async #post(lines: string[]): Promise<void> {
		try {
			const url = new URL(PATH, this.#origin());
			const headers = { 'content-type': 'application/cmcd' };
			const reply = await fetch(url, { method: 'POST', headers, body: `${lines.join('\n')}\n`, keepalive: true });
			if (NOT_HERE.includes(reply.status)) this.#closing.abort();
		} catch {
			// The edge is away.
		}
	}
}

/** 128 random bits; `crypto.randomUUID` is not there on pages without TLS. */
function drawSession(): string {
	return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}
