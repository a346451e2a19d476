// One playback of one URL into a <video>: by hls.js, or by the browser itself where that is better.
//
// hls.js wherever it runs: Chromium says that it plays HLS natively and then plays whole segments, 8 s behind. Safari,
// told by its ManagedMediaSource, plays low latency by itself, preload hints included.
import type Hls from 'hls.js';
import type { ErrorData } from 'hls.js';
import type { Input } from './watch';

export interface Engine {
	/** The wall clock of the picture shown, unix ms; null while unknown. */
	playingMs(): number | null;
	/** Where in the media the picture should be to be live, s; null while unknown. */
	live(): number | null;
	/** Whether the session is over, so that the media has an end. */
	over(): boolean;
	/** After a calm time: forget the distance that earlier stalls have added. */
	settle(): void;
	/** Rebuild the decoder. */
	mend(): void;
	/** Load no more; the last picture stays. */
	stop(): void;
	/** Let go of the element. */
	close(): void;
}

/** Plays `url`; what happens goes to `report`. Loads hls.js first, where it is needed. */
export async function play(url: string, video: HTMLVideoElement, report: (input: Input) => void): Promise<Engine> {
	const native = video.canPlayType('application/vnd.apple.mpegurl') !== '';
	if (native && ('ManagedMediaSource' in window || !('MediaSource' in window))) return playNatively(url, video, report);
	const { default: Library } = await import('hls.js');
	if (Library.isSupported()) return playByScript(new Library(CONFIG), Library, url, video, report);
	report({ kind: 'fatal', cause: 'codec' });
	return playNatively('', video, () => {});
}

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

function playByScript(hls: Hls, { Events }: typeof Hls, url: string, video: HTMLVideoElement, report: (input: Input) => void): Engine {
	hls.on(Events.LEVEL_UPDATED, (_, { details }) => report({ kind: 'reloaded', advanced: details.advanced }));
	hls.on(Events.ERROR, (_, error) => {
		const input = meaning(error);
		if (input) report(input);
	});
	hls.loadSource(url);
	hls.attachMedia(video);
	return {
		playingMs: () => hls.playingDate?.getTime() ?? null,
		live: () => hls.liveSyncPosition,
		over: () => hls.latestLevelDetails?.live === false,
		settle: () => {
			const details = hls.latestLevelDetails;
			const asked = details?.partHoldBack || details?.holdBack;
			if (asked && (hls.targetLatency ?? asked) > asked) hls.targetLatency = asked;
		},
		mend: () => hls.recoverMediaError(),
		stop: () => hls.stopLoad(),
		close: () => hls.destroy()
	};
}

const CODEC_ERRORS = ['manifestIncompatibleCodecsError', 'bufferIncompatibleCodecsError', 'bufferAddCodecError'];
const LOAD_ERRORS = /(level|frag|audioTrack|manifest)(Load)(Error|TimeOut)/;

/** What an error of hls.js means to the machine; null for one that it handles by itself. */
export function meaning(error: Pick<ErrorData, 'fatal' | 'type' | 'details'>): Input | null {
	if (error.fatal && CODEC_ERRORS.includes(error.details)) return { kind: 'fatal', cause: 'codec' };
	if (error.fatal) return { kind: 'fatal', cause: error.type === 'mediaError' ? 'media' : 'network' };
	return LOAD_ERRORS.test(error.details) ? { kind: 'failed' } : null;
}

function playNatively(url: string, video: HTMLVideoElement, report: (input: Input) => void): Engine {
	const failed = () => {
		const code = video.error?.code;
		report({ kind: 'fatal', cause: code === MediaError.MEDIA_ERR_DECODE ? 'media' : code === MediaError.MEDIA_ERR_SRC_NOT_SUPPORTED ? 'codec' : 'network' });
	};
	const heard = () => report({ kind: 'reloaded', advanced: true });
	video.addEventListener('error', failed);
	video.addEventListener('progress', heard);
	if (url) video.src = url;
	return {
		playingMs: () => startDate(video) + video.currentTime * 1000 || null,
		live: () => (video.seekable.length > 0 ? video.seekable.end(video.seekable.length - 1) : null),
		over: () => Number.isFinite(video.duration),
		settle: () => {},
		mend: () => video.load(),
		stop: () => {},
		close: () => {
			video.removeEventListener('error', failed);
			video.removeEventListener('progress', heard);
			video.removeAttribute('src');
			video.load();
		}
	};
}

/** The wall clock of media time 0, where the browser says (Safari does): unix ms, or NaN. */
function startDate(video: HTMLVideoElement): number {
	const { getStartDate } = video as { getStartDate?: () => Date };
	return getStartDate ? getStartDate.call(video).getTime() : NaN;
}
