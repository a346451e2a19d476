// hls.js, which is most of what a viewer loads: asked for once, as early as somebody is likely to watch.
import type Library from 'hls.js';

let loading: Promise<{ default: typeof Library }> | null = null;

/** Loads it, the first time. */
export function library(): Promise<{ default: typeof Library }> {
	loading ??= import('hls.js').catch((error: unknown) => {
		// The network was away: the next one who asks tries again.
		loading = null;
		throw error;
	});
	return loading;
}

/** Begins to load it where it is needed, so that it is there when it is wanted: on the way to a channel, or while its playlist comes. */
export function warm(): void {
	if (!isNative(document.createElement('video'))) library().catch(() => {});
}

/** Whether the browser's own player is the better one. */
export function isNative(video: HTMLVideoElement): boolean {
	const plays = video.canPlayType('application/vnd.apple.mpegurl') !== '';
	return plays && ('ManagedMediaSource' in window || !('MediaSource' in window));
}
