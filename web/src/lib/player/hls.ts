// Playback by hls.js: how it is configured, and what it is asked.
import type Hls from 'hls.js';
import type { ErrorData, HlsConfig, LevelDetails, Loader, LoaderCallbacks, LoaderConfiguration, PlaylistLoaderContext } from 'hls.js';
import type { Engine, Source } from './engine';
import { audioAlone, levelOf } from './quality';
import { Deliveries, Recent } from './split';
import { timingOf, type Timing } from './timing';
import type { Input } from './watch';

/** `liveSync*` is left alone so that the stream's PART-HOLD-BACK rules. Without a catch-up rate a stall is never made up for. */
const CONFIG = {
	lowLatencyMode: true,
	maxLiveSyncPlaybackRate: 1.25,
	backBufferLength: 90,
	capLevelToPlayerSize: true,
	liveDurationInfinity: true,
	// Fragmented MP4 passes through unchanged: a worker would only add a hop to every part.
	enableWorker: false
};
/** Who wants a stable picture has three segments of two seconds ahead, and no catch-up. */
const STABLE_S = 6;
const STABLE = { liveSyncDuration: STABLE_S, maxLiveSyncPlaybackRate: 1 };
/** Where on its timeline the origin puts a session's first picture. */
const LINE_START_S = 10;

export function playByScript(Library: typeof Hls, source: Source, video: HTMLVideoElement, clock: () => number, report: (input: Input) => void): Engine {
	const { Events } = Library;
	const alone = source.quality === 'audio' ? audioAlone(source.text) : null;
	const hls = new Library({ ...CONFIG, ...(source.stable && STABLE), pLoader: loaderOf(Library, alone ?? source.text) });
	const deliveries = new Deliveries();
	const fetches = new Recent();
	let stable = source.stable;
	let origin: string | null = null;
	let cache: string | null = null;
	let lineS: number | null = null;

	hls.on(Events.MANIFEST_PARSED, () => {
		const level = levelOf(hls.levels, source.quality);
		if (level >= 0) hls.loadLevel = level;
	});
	hls.on(Events.LEVEL_UPDATED, (_, { details }) => report({ kind: 'reloaded', advanced: details.advanced }));
	hls.on(Events.LEVEL_LOADED, (_, { details, networkDetails }) => {
		if (!details.advanced) return;
		const { cache: had, uplinkMs, queuedMs } = timing(networkDetails);
		deliveries.push({ receivedMs: clock(), edgeMs: edgeMs(details), held: had === 'held', uplinkMs, queuedMs });
	});
	hls.on(Events.FRAG_LOADED, (_, { frag, part, networkDetails }) => {
		if (frag.type !== 'main' || frag.sn === 'initSegment') return;
		const { loading } = (part ?? frag).stats;
		fetches.push(loading.end - loading.start);
		origin = networkDetails instanceof XMLHttpRequest && networkDetails.responseURL ? new URL(networkDetails.responseURL).origin : origin;
		cache = timing(networkDetails).cache ?? cache;
	});
	hls.on(Events.INIT_PTS_FOUND, (_, { id, initPTS, timescale }) => {
		if (id === 'main') lineS = initPTS / timescale;
	});
	hls.on(Events.ERROR, (_, error) => {
		const input = meaning(error);
		if (input) report(input);
	});
	hls.loadSource(source.url);
	hls.attachMedia(video);

	/** How far behind the edge to be, by the stream and by the viewer. */
	const asked = () => {
		const details = hls.latestLevelDetails;
		const least = details?.partHoldBack || details?.holdBack || 0;
		return stable ? Math.max(STABLE_S, least) : least;
	};
	return {
		playingMs: () => hls.playingDate?.getTime() ?? null,
		live: () => hls.liveSyncPosition,
		over: () => hls.latestLevelDetails?.live === false,
		levels: () => (alone ? [] : hls.levels),
		level: () => hls.currentLevel,
		choose: (quality) => (hls.nextLevel = levelOf(hls.levels, quality)),
		paces: true,
		pace: (wanted) => {
			stable = wanted;
			hls.config.maxLiveSyncPlaybackRate = stable ? 1 : CONFIG.maxLiveSyncPlaybackRate;
			if (stable) video.playbackRate = 1;
			if (asked() > 0) hls.targetLatency = asked();
		},
		facts: () => ({
			bitrate: hls.levels[hls.currentLevel]?.bitrate ?? null,
			throughput: Number.isFinite(hls.bandwidthEstimate) ? hls.bandwidthEstimate : null,
			targetS: hls.targetLatency,
			origin,
			cache,
			partLeftMs: partLeft(hls.latestLevelDetails, video.currentTime) * 1000,
			lateMs: deliveries.lateMs,
			uplinkMs: deliveries.uplinkMs,
			queuedMs: deliveries.queuedMs,
			fetchMs: fetches.median,
			uptimeS: lineS === null ? null : Math.max(0, lineS + video.currentTime - LINE_START_S)
		}),
		settle: () => {
			if (asked() > 0 && (hls.targetLatency ?? 0) > asked()) hls.targetLatency = asked();
		},
		mend: () => hls.recoverMediaError(),
		stop: () => hls.stopLoad(),
		close: () => hls.destroy()
	};
}

/** A loader of playlists that has the multivariant one already. */
function loaderOf({ DefaultConfig }: typeof Hls, playlist: string): HlsConfig['pLoader'] {
	const Base = DefaultConfig.loader as new (config: HlsConfig) => Loader<PlaylistLoaderContext>;
	return class extends Base {
		load(context: PlaylistLoaderContext, config: LoaderConfiguration, callbacks: LoaderCallbacks<PlaylistLoaderContext>): void {
			if (context.type !== 'manifest') return super.load(context, config, callbacks);
			const { loading } = this.stats;
			loading.start = loading.first = loading.end = performance.now();
			this.context = context;
			queueMicrotask(() => callbacks.onSuccess({ url: context.url, data: playlist, code: 200 }, this.stats, context, null));
		}
	} as unknown as HlsConfig['pLoader'];
}

/** The wall clock of the end of the newest media, unix ms; NaN while unknown. */
function edgeMs({ partList, fragments }: LevelDetails): number {
	const part = partList?.at(-1);
	if (part) return (part.fragment.programDateTime ?? NaN) + (part.fragOffset + part.duration) * 1000;
	const last = fragments.at(-1);
	return last ? (last.programDateTime ?? NaN) + last.duration * 1000 : NaN;
}

/** From a position to the end of the part that it is in, s; 0 where no part is known. */
function partLeft(details: LevelDetails | null, position: number): number {
	const part = details?.partList?.find(({ start, end }) => start <= position && position < end);
	return part ? part.end - position : 0;
}

/** What the edge says of this reply. */
const timing = (networkDetails: unknown): Timing => timingOf((networkDetails instanceof XMLHttpRequest && networkDetails.getResponseHeader('server-timing')) || '');

const CODEC_ERRORS = ['manifestIncompatibleCodecsError', 'bufferIncompatibleCodecsError', 'bufferAddCodecError'];
const LOAD_ERRORS = /(level|frag|audioTrack|manifest)(Load)(Error|TimeOut)/;

/** What an error of hls.js means to the machine; null for one that it handles by itself. */
export function meaning(error: Pick<ErrorData, 'fatal' | 'type' | 'details'>): Input | null {
	if (error.fatal && CODEC_ERRORS.includes(error.details)) return { kind: 'fatal', cause: 'codec' };
	if (error.fatal) return { kind: 'fatal', cause: error.type === 'mediaError' ? 'media' : 'network' };
	return LOAD_ERRORS.test(error.details) ? { kind: 'failed' } : null;
}
