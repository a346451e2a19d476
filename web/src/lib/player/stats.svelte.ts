// The shell of `stats.ts`: looks at the player twice a second for as long as somebody wants to know.
import { edgeName, edges, frameRate, meanSplit, protocolName, splitOf, type Edge } from './stats';
import type { Session } from './session.svelte';
import type { Split } from './split';

const TICK_MS = 500;
/** The split moves with each part; its mean over so many looks is what people can read. */
const SMOOTHED = 8;

export class Stats {
	split = $state.raw<Split | null>(null);
	edge = $state('');
	cache = $state<string | null>(null);
	protocol = $state('');
	frames = $state(0);
	dropped = $state(0);
	bitrate = $state<number | null>(null);
	throughput = $state<number | null>(null);
	bufferS = $state(0);
	targetS = $state<number | null>(null);
	rate = $state(1);
	skewMs = $state(0);

	readonly #session: Session;
	readonly #video: HTMLVideoElement;
	readonly #observer: PerformanceObserver;
	readonly #timer: ReturnType<typeof setInterval>;
	#edges: Edge[] = [];
	#splits: Split[] = [];
	#counted = { frames: 0, atMs: performance.now() };

	constructor(channel: string, session: Session, video: HTMLVideoElement) {
		this.#session = session;
		this.#video = video;
		this.#counted.frames = video.getVideoPlaybackQuality().totalVideoFrames;
		this.#observer = new PerformanceObserver((list) => this.#observe(list.getEntries() as PerformanceResourceTiming[]));
		this.#observer.observe({ type: 'resource', buffered: true });
		this.#timer = setInterval(() => this.#tick(), TICK_MS);
		void this.#ask(channel);
		this.#tick();
	}

	close(): void {
		clearInterval(this.#timer);
		this.#observer.disconnect();
	}

	async #ask(channel: string): Promise<void> {
		try {
			const reply = await fetch(`/api/watch/${encodeURIComponent(channel)}`, { signal: AbortSignal.timeout(10_000) });
			if (reply.ok) this.#edges = edges(await reply.json());
		} catch {
			// Then the edge has no more than an address.
		}
	}

	#observe(entries: readonly PerformanceResourceTiming[]): void {
		const media = entries.filter(({ name }) => /\.m4s(\?|$)/.test(name)).at(-1);
		if (media) this.protocol = protocolName(media.nextHopProtocol);
	}

	#tick(): void {
		const facts = this.#session.facts();
		const { buffered, currentTime, playbackRate } = this.#video;
		const { totalVideoFrames, droppedVideoFrames } = this.#video.getVideoPlaybackQuality();
		const counted = { frames: totalVideoFrames, atMs: performance.now() };
		if (counted.atMs - this.#counted.atMs > 900) {
			this.frames = frameRate(this.#counted, counted);
			this.#counted = counted;
		}
		this.dropped = droppedVideoFrames;
		this.rate = playbackRate;
		this.bufferS = buffered.length > 0 ? Math.max(0, buffered.end(buffered.length - 1) - currentTime) : 0;
		const { bitrate = null, throughput = null, targetS = null, cache = null, skewMs = 0 } = facts ?? {};
		Object.assign(this, { bitrate, throughput, targetS, cache, skewMs });
		this.edge = facts?.origin ? edgeName(this.#edges, facts.origin, location.href) : '';
		this.#smooth(splitOf(this.#session.latency, facts));
	}

	#smooth(split: Split | null): void {
		this.#splits = split ? [...this.#splits, split].slice(-SMOOTHED) : [];
		this.split = split && meanSplit(this.#splits);
	}
}
