// Is the channel live? → one of seven answers, from the playlists that any player would read.
//
// A channel that is known but offline, or unknown, is 404; one that is starting is held (or 503); one that is over
// keeps its ended form for a while, which only the media playlist's EXT-X-ENDLIST tells from a live one. A private channel is
// 403 without a good token, live or not.
import type { Answer } from './watch';

/** The edge holds a starting channel's playlist for 12 s. */
const PATIENCE_MS = 20_000;

export interface Found {
	readonly answer: Answer;
	/** Where the multivariant playlist was found, after redirects: each viewer is sent to a path of their own. */
	readonly url: string;
	/** That playlist; empty where there is nothing to play. */
	readonly text: string;
}

/** The first media playlist that a multivariant playlist names; null if it names none. */
export function firstRendition(playlist: string): string | null {
	return playlist.split('\n').map((line) => line.trim()).find((line) => line && !line.startsWith('#')) ?? null;
}

/** Whether a media playlist will never grow again. */
export function hasEnded(playlist: string): boolean {
	return playlist.split('\n').some((line) => line.trim() === '#EXT-X-ENDLIST');
}

/** What a status other than 200 means. */
export function meaning(status: number): Answer {
	if (status === 404 || status === 410) return 'offline';
	if (status === 403) return 'private';
	if (status === 429) return 'overloaded';
	return status === 503 ? 'starting' : 'unreachable';
}

/**
 * Asks for the channel whose multivariant playlist is at `url`; calls `likely` as soon as it is likely that it can be played.
 * Never throws; takes at most 20 s.
 */
export async function probe(url: string, signal: AbortSignal, likely: () => void, get: typeof fetch = fetch): Promise<Found> {
	const none = (answer: Answer): Found => ({ answer, url, text: '' });
	const options = { cache: 'no-store', signal: AbortSignal.any([signal, AbortSignal.timeout(PATIENCE_MS)]) } as const;
	try {
		const index = await get(url, options);
		if (!index.ok) return none(meaning(index.status));
		likely();
		const text = await index.text();
		const rendition = firstRendition(text);
		if (rendition === null) return none('starting');
		const media = await get(new URL(rendition, index.url), options);
		if (!media.ok) return none(meaning(media.status));
		return { answer: hasEnded(await media.text()) ? 'ended' : 'live', url: index.url, text };
	} catch {
		return none('unreachable');
	}
}
