// The shell of `watch.ts`: asks, plays and keeps time for one channel on one <video>, and shows the state to the page.
import { measure, type Skew } from './clock';
import type { Reading } from './cmcd';
import { play, type Engine, type Facts } from './engine';
import { entrance } from './entrance';
import { Follower, trueLatency } from './latency';
import { warm } from './library';
import { probe, type Found } from './probe';
import { audioAlone, names, type Quality } from './quality';
import type { Reach } from './reach';
import { Reporter } from './reporter';
import { recall, remember } from './taste';
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
	/** Seconds for which the picture has stood; null while it moves. */
	stands = $state<number | null>(null);
	/** Seconds that the encoder has left to come back, where whoever shows the session knows them. */
	graceLeft = $state<number | null>(null);
	/** Whether whoever shows the session knows that the encoder is there, though the picture may stand. */
	there = $state(false);
	/** Whether the browser refuses to start by itself, even without sound. */
	blocked = $state(false);
	/** Pixels of the picture, "1280 × 720"; empty without one. */
	size = $state('');
	/** The names of the levels that can be chosen, best first. */
	levels = $state.raw<readonly string[]>([]);
	/** The name of the one that plays; empty while unknown. */
	level = $state('');
	/** Whether the sound can be had alone. */
	hasAudio = $state(false);
	quality = $state<Quality>('auto');
	/** Whether the distance to live can be chosen, and whether the larger one was. */
	paces = $state(false);
	stable = $state(false);
	/** What can be watched now, and where the viewer is in it; seconds of media. */
	reach = $state.raw<Reach | null>(null);
	position = $state(0);

	/** Set when the viewer pauses or seeks: being behind is then their wish. */
	chosen = false;

	readonly #url: string;
	readonly #invite: () => Promise<string | null>;
	readonly #video: HTMLVideoElement;
	readonly #watch = new Watch(Math.random);
	readonly #follower = new Follower();
	readonly #reporter: Reporter;
	readonly #closing = new AbortController();
	#engine: Engine | null = null;
	#found: Found;
	/** Of the player that is wanted now: what an older one still reports is not heard. */
	#generation = 0;
	#position = -1;
	#movedAt = 0;
	#calmSince = 0;
	#skew: Skew = { offsetMs: 0, tripMs: null };

	/** `invite` gives a playback token, where the channel is private and the viewer is somebody there. */
	constructor(channel: string, video: HTMLVideoElement, invite: () => Promise<string | null>) {
		this.#url = entrance(location.origin, channel, location.hash);
		this.#invite = async () => {
			const token = await invite();
			return token && entrance(location.origin, channel, `#token=${encodeURIComponent(token)}`);
		};
		this.#found = { answer: 'offline', url: this.#url, text: '' };
		this.#video = video;
		const { quality, stable } = recall();
		Object.assign(this, { quality, stable });
		this.#reporter = new Reporter(channel, video, () => this.#reading(), () => this.#engine?.facts().origin ?? location.origin);
		const every = (ms: number, act: () => void) => {
			const timer = setInterval(act, ms);
			this.#closing.signal.addEventListener('abort', () => clearInterval(timer));
		};
		const clock = async () => (this.#skew = await measure());
		every(TICK_MS, () => this.#tick());
		every(CLOCK_AGAIN_MS, () => void clock());
		void clock();
		addEventListener('online', () => this.again(), { signal: this.#closing.signal });
		this.#handle({ kind: 'open' });
	}

	/** What the picture shows, ms since 1970 by the encoder's clock; null without one. */
	get playingMs(): number | null {
		return this.#engine?.playingMs() ?? null;
	}

	/** Ends playback and everything that was begun. */
	close(): void {
		this.#closing.abort();
		this.#reporter.close();
		this.#generation += 1;
		this.#engine?.close();
	}

	/** Goes to the live edge, and stays there. */
	goLive(): void {
		this.chosen = false;
		this.#jump();
		void this.start();
	}

	/** Goes to a place that can be reached, and stays behind. */
	seek(position: number): void {
		if (!this.reach) return;
		this.chosen = true;
		this.#video.currentTime = Math.max(this.reach.start, position);
	}

	/** Goes so many seconds on, or back; to live, where that is nearer. */
	skip(seconds: number): void {
		if (!this.reach) return;
		const to = this.#video.currentTime + seconds;
		if (to < this.reach.end) this.seek(to);
		else if (this.chosen) this.goLive();
	}

	/** Plays at another quality, now and at the next visit. */
	choose(quality: Quality): void {
		const other = (quality === 'audio') !== (this.quality === 'audio');
		this.quality = quality;
		remember({ quality });
		if (other) this.#handle({ kind: 'renewed' });
		else this.#engine?.choose(quality);
	}

	/** Asks the server now, where the next question would come later. */
	again(): void {
		if (this.#watch.asksAt !== null) this.#handle({ kind: 'timeout' });
	}

	/** Plays the sound alone of a picture that can't be shown here; at the next visit it is tried again. */
	listen(): void {
		this.quality = 'audio';
		this.again();
	}

	/** Stays farther from live, at one rate; or near. Now and at the next visit. */
	pace(stable: boolean): void {
		this.stable = stable;
		remember({ stable });
		this.#engine?.pace(stable);
		if (!this.chosen && !this.#video.paused) this.#jump();
	}

	/** What the engine tells of itself, and how far away the server is; null without an engine. */
	facts(): (Facts & { tripMs: number | null; skewMs: number }) | null {
		const { tripMs, offsetMs } = this.#skew;
		return this.#engine && { ...this.#engine.facts(), tripMs, skewMs: offsetMs };
	}

	/** The server's clock, unix ms. */
	now(): number {
		return Date.now() + this.#skew.offsetMs;
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
		if (this.status === this.#watch.status) return;
		this.status = this.#watch.status;
		this.#reporter.tell();
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
		let found = await probe(this.#url, this.#closing.signal, warm);
		// The token of the link is traded within minutes of its making; what it was traded for is good for hours.
		if (found.answer === 'private' && this.#found.url !== this.#url) found = await probe(this.#found.url, this.#closing.signal, warm);
		const invited = found.answer === 'private' ? await this.#invite() : null;
		if (invited !== null) found = await probe(invited, this.#closing.signal, warm);
		if (found.answer !== 'private') this.#found = found;
		this.hasAudio = audioAlone(found.text) !== null;
		if (!this.#closing.signal.aborted) this.#handle({ kind: 'answer', answer: found.answer });
	}

	async #attach(): Promise<void> {
		const generation = ++this.#generation;
		const current = () => generation === this.#generation;
		this.#engine?.close();
		this.#engine = null;
		const { url, text } = this.#found;
		const source = { url, text, quality: this.quality, stable: this.stable };
		const report = (input: Input) => {
			if (current()) this.#handle(input);
		};
		const engine = await play(source, this.#video, () => this.now(), report).catch(() => null);
		if (!current()) return engine?.close();
		if (!engine) return report({ kind: 'fatal', cause: 'network' });
		this.#engine = engine;
		this.paces = engine.paces;
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
		this.#show();
		if (this.#watch.deadline !== null && now >= this.#watch.deadline) this.#handle({ kind: 'timeout' });
		const { asksAt } = this.#watch;
		this.asksIn = asksAt === null ? null : Math.max(0, Math.ceil((asksAt - now) / 1000));
		this.stands = this.status === 'reconnecting' ? Math.floor((now - this.#movedAt) / 1000) : null;
	}

	/** Looks at the element: moving, standing, or at the end. */
	#observe(now: number): void {
		const { paused, currentTime, readyState } = this.#video;
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
		this.latency = playing ? trueLatency(this.now(), this.playingMs) : null;
		const live = playing ? (this.#engine?.live() ?? null) : null;
		if (this.#follower.jumps(now, this.#position, live, this.chosen || this.#video.paused)) this.#jump();
		this.behind = playing && this.#follower.offers;
		if (now - this.#calmSince > CALM_MS) {
			this.#calmSince = now;
			this.#engine?.settle();
		}
	}

	/** Mirrors what can be chosen and where the viewer is. */
	#show(): void {
		const { seekable, currentTime, videoWidth, videoHeight } = this.#video;
		this.size = videoWidth > 0 ? `${videoWidth} × ${videoHeight}` : '';
		const levels = this.#engine?.levels() ?? [];
		const all = names(levels);
		this.level = all[this.#engine?.level() ?? -1] ?? '';
		const best = all.filter((name, at) => name !== '' && all.indexOf(name) === at).toReversed();
		if (best.join() !== this.levels.join()) this.levels = best;
		this.position = currentTime;
		const live = this.status === 'live' ? (this.#engine?.live() ?? null) : null;
		this.reach = live !== null && seekable.length > 0 ? { start: seekable.start(0), end: live } : null;
	}

	#reading(): Reading {
		const { paused, buffered, currentTime, playbackRate } = this.#video;
		const facts = this.#engine?.facts();
		const latency = this.status === 'live' ? trueLatency(this.now(), this.playingMs) : null;
		return {
			...{ status: this.status, paused, rate: playbackRate },
			bufferMs: buffered.length > 0 ? Math.max(0, buffered.end(buffered.length - 1) - currentTime) * 1000 : null,
			bitrate: facts?.bitrate ?? null,
			throughput: facts?.throughput ?? null,
			latencyMs: latency === null ? null : latency * 1000,
			dropped: this.#video.getVideoPlaybackQuality().droppedVideoFrames
		};
	}
}
