// When a thumbnail is asked for anew.

/** How old a picture may get while it is seen. */
export const AGE_MS = 12_000;
/** After a failure: the channel may be starting. After each further one twice as long, for what can never be shown here. */
export const RETRY_MS = 4_000;
const MOST_RETRY_MS = 60_000;

export interface Seen {
	/** In the window, in a tab that is shown. */
	readonly seen: boolean;
	readonly loading: boolean;
	/** When the picture was asked for last; null for never. */
	readonly askedMs: number | null;
	/** In a row. */
	readonly failures: number;
}

/** In how many ms to ask; null while nobody sees it, or an answer is awaited. */
export function dueIn({ seen, loading, askedMs, failures }: Seen, nowMs: number): number | null {
	if (!seen || loading) return null;
	if (askedMs === null) return 0;
	const wait = failures === 0 ? AGE_MS : Math.min(MOST_RETRY_MS, RETRY_MS * 2 ** (failures - 1));
	return Math.max(0, askedMs + wait - nowMs);
}
