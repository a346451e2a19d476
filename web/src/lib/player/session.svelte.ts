// The shell of `watch.ts`: asks, plays and keeps time for one channel on one <video>, and shows the state to the page.
import { measure } from './clock';
import { play, type Engine } from './engine';
import { entrance } from './entrance';
import { Follower, trueLatency } from './latency';
import { probe } from './probe';
import { Watch, type Input, type Output, type Status } from './watch';

/** How often positions are looked at. A background tab is called less often, which harms nothing. */
const TICK_MS = 250;
/** Standing for so long is a stall. */
const STALL_MS = 1_000;
/** Playing for so long without a stall earns the distance back that stalls have cost. */
const CALM_MS = 60_000;
const CLOCK_AGAIN_MS = 300_000;

export class Session {
	status = $state<Status>('connecting');
	/** Seconds between the camera and the picture; null while unknown. */
	latency = $state<number | null>(null);
	/** Whether the picture is so far behind that the way to live is offered. */
	behind = $state(false);
	/** Seconds until the server is asked again; null when that is not what we wait for. */
	asksIn = $state<number | null>(null);
	/** Whether the browser refuses to start by itself, even without sound. */
	blocked = $state(false);
	/** Pixels of the picture, "1280 × 720"; empty without one. */
	size = $state('');

	/** Set when the viewer pauses or seeks: being behind is then their wish. */
	chosen = false;

	readonly #url: string;
	readonly #video: HTMLVideoElement;
	readonly #watch = new Watch(Math.random);
	readonly #follower = new Follower();
	readonly #closing = new AbortController();
	#engine: Engine | null = null;
	#found: string;
	/** Of the player that is wanted now: what an older one still reports is not heard. */
	#generation = 0;
	#position = -1;
	#movedAt = 0;
	#calmSince = 0;
	#skewMs = 0;

	/** `hash` may hold a playback token, as the page's own fragment does. */
	constructor(channel: string, video: HTMLVideoElement, hash = location.hash) {
		this.#url = entrance(location.origin, channel, hash);
		this.#found = this.#url;
		this.#video = video;
		const every = (ms: number, act: () => void) => {
			const timer = setInterval(act, ms);
			this.#closing.signal.addEventListener('abort', () => clearInterval(timer));
		};
		const clock = async () => (this.#skewMs = await measure());
		every(TICK_MS, () => this.#tick());
		every(CLOCK_AGAIN_MS, () => void clock());
		void clock();
		this.#handle({ kind: 'open' });
	}

	/** Ends playback and everything that was begun. */
	close(): void {
		this.#closing.abort();
		this.#generation += 1;
		this.#engine?.close();
	}

	/** Goes to the live edge, and stays there. */
	goLive(): void {
		this.chosen = false;
		this.#jump();
		void this.start();
	}

	/** Starts the picture. A browser that wants to be asked first for sound gets it without; `blocked` when it refuses even that. */
	async start(): Promise<void> {
		try {
			await this.#video.play().catch((error: unknown) => {
				if (!(error instanceof DOMException) || error.name !== 'NotAllowedError' || this.#video.muted) throw error;
				this.#video.muted = true;
				return this.#video.play();
			});
			this.blocked = false;
		} catch (error) {
			this.blocked = error instanceof DOMException && error.name === 'NotAllowedError';
		}
	}

	#handle(input: Input): void {
		for (const output of this.#watch.handle(performance.now(), input)) this.#perform(output);
		this.status = this.#watch.status;
	}

	#perform(output: Output): void {
		switch (output) {
			case 'ask':
				return void this.#ask();
			case 'attach':
				return void this.#attach();
			case 'stop':
				return this.#engine?.stop();
			case 'mend':
				this.#engine?.mend();
				return void this.start();
			case 'jump':
				return this.#jump();
		}
	}

	async #ask(): Promise<void> {
		let found = await probe(this.#url, this.#closing.signal);
		// The token of the link is traded within minutes of its making; what it was traded for is good for hours.
		if (found.answer === 'private' && this.#found !== this.#url) found = await probe(this.#found, this.#closing.signal);
		if (found.answer !== 'private') this.#found = found.url;
		if (!this.#closing.signal.aborted) this.#handle({ kind: 'answer', answer: found.answer });
	}

	async #attach(): Promise<void> {
		const generation = ++this.#generation;
		const current = () => generation === this.#generation;
		this.#engine?.close();
		this.#engine = null;
		const engine = await play(this.#found, this.#video, (input) => {
			if (current()) this.#handle(input);
		});
		if (!current()) return engine.close();
		this.#engine = engine;
		this.#movedAt = this.#calmSince = performance.now();
		if (!this.chosen) await this.start();
	}

	#jump(): void {
		const live = this.#engine?.live() ?? null;
		if (live !== null) this.#video.currentTime = live;
	}

	#tick(): void {
		const now = performance.now();
		this.#observe(now);
		if (this.#watch.deadline !== null && now >= this.#watch.deadline) this.#handle({ kind: 'timeout' });
		const { asksAt } = this.#watch;
		this.asksIn = asksAt === null ? null : Math.max(0, Math.ceil((asksAt - now) / 1000));
	}

	/** Looks at the element: moving, standing, or at the end. */
	#observe(now: number): void {
		const { paused, currentTime, readyState, videoWidth, videoHeight } = this.#video;
		this.size = videoWidth > 0 ? `${videoWidth} × ${videoHeight}` : '';
		const moved = currentTime !== this.#position;
		this.#position = currentTime;
		if (this.#engine?.over() && (this.#video.ended || currentTime >= this.#video.duration - 0.3)) {
			if (this.status !== 'ended') this.#handle({ kind: 'finished' });
		} else if (paused ? readyState >= HTMLMediaElement.HAVE_CURRENT_DATA : moved) {
			this.#movedAt = now;
			if (this.status !== 'live' && (paused || currentTime > 0)) this.#handle({ kind: 'playing' });
		} else if (now - this.#movedAt > STALL_MS) {
			this.#calmSince = now;
			if (this.status === 'live') this.#handle({ kind: 'stalled' });
		}
		this.#follow(now);
	}

	#follow(now: number): void {
		const playing = this.status === 'live' && this.#engine !== null;
		this.latency = playing ? trueLatency(Date.now() + this.#skewMs, this.#engine?.playingMs() ?? null) : null;
		const live = playing ? (this.#engine?.live() ?? null) : null;
		if (this.#follower.jumps(now, this.#position, live, this.chosen || this.#video.paused)) this.#jump();
		this.behind = playing && this.#follower.offers;
		if (now - this.#calmSince > CALM_MS) {
			this.#calmSince = now;
			this.#engine?.settle();
		}
	}
}
