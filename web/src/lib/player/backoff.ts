// Attempts → how long to wait before the next one.
//
// Doubling with "full jitter in the upper half": a crowd that lost its edge together must not come back together,
// yet nobody waits less than half of what the attempt has earned.

export interface Backoff {
	/** Wait before the first retry, ms, before jitter. */
	readonly firstMs: number;
	/** No wait is longer, ms. */
	readonly mostMs: number;
}

/** The wait before retry number `attempt` (0 is the first), ms. `random` gives [0, 1). */
export function wait(backoff: Backoff, attempt: number, random: () => number): number {
	const full = Math.min(backoff.mostMs, backoff.firstMs * 2 ** Math.min(attempt, 30));
	return Math.round(full / 2 + (random() * full) / 2);
}
