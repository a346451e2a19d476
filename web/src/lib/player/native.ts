// Playback by the browser itself: Safari.
import { audioAlone } from './quality';
import type { Engine, Source } from './engine';
import type { Input } from './watch';

/** Plays `source`; null for nothing. */
export function playNatively(source: Source | null, video: HTMLVideoElement, report: (input: Input) => void): Engine {
	const failed = () => {
		const code = video.error?.code;
		report({ kind: 'fatal', cause: code === MediaError.MEDIA_ERR_DECODE ? 'media' : code === MediaError.MEDIA_ERR_SRC_NOT_SUPPORTED ? 'codec' : 'network' });
	};
	const heard = () => report({ kind: 'reloaded', advanced: true });
	video.addEventListener('error', failed);
	video.addEventListener('progress', heard);
	if (source) video.src = address(source);
	return {
		playingMs: () => startDate(video) + video.currentTime * 1000 || null,
		live: () => (video.seekable.length > 0 ? video.seekable.end(video.seekable.length - 1) : null),
		over: () => Number.isFinite(video.duration),
		levels: () => [],
		level: () => -1,
		choose: () => {},
		paces: false,
		pace: () => {},
		facts: () => ({
			...{ bitrate: null, throughput: null, targetS: null, cache: null, partLeftMs: 0, lateMs: null, uplinkMs: null, queuedMs: null, fetchMs: null, uptimeS: null },
			origin: source && new URL(source.url).origin
		}),
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

/** The playlist to play: that of the sound, where it is wanted alone. */
function address({ url, text, quality }: Source): string {
	const alone = quality === 'audio' ? audioAlone(text) : null;
	const rendition = alone?.trimEnd().split('\n').at(-1);
	return rendition ? new URL(rendition, url).href : url;
}

/** The wall clock of media time 0, where the browser says (Safari does): unix ms, or NaN. */
function startDate(video: HTMLVideoElement): number {
	const { getStartDate } = video as { getStartDate?: () => Date };
	return getStartDate ? getStartDate.call(video).getTime() : NaN;
}
