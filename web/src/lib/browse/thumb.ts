// When a thumbnail is asked for anew.

/** How old a picture may get while it is seen. */
export const AGE_MS = 12_000;
/** After a failure: the channel may be starting. */
export const RETRY_MS = 4_000;

export interface Seen {
	/** In the window, in a tab that is shown. */
	readonly seen: boolean;
	readonly loading: boolean;
	/** When the picture was asked for last; null for never. */
	readonly askedMs: number | null;
	readonly failed: boolean;
}

/** In how many ms to ask; null while nobody sees it, or an answer is awaited. */
export function dueIn({ seen, loading, askedMs, failed }: Seen, nowMs: number): number | null {
	if (!seen || loading) return null;
	if (askedMs === null) return 0;
	return Math.max(0, askedMs + (failed ? RETRY_MS : AGE_MS) - nowMs);
}
