// When a stream went live, and until when its encoder is waited for → seconds, for a server's clock.

interface Timed {
	readonly started_ms: number | null;
	readonly reconnect_until_ms: number | null;
}

/** For how many seconds it has been on; null where nobody knows. */
export function uptime(stream: Timed | null, nowMs: number): number | null {
	const startedMs = stream?.started_ms ?? null;
	return startedMs === null ? null : Math.max(0, (nowMs - startedMs) / 1000);
}

/** How many seconds the encoder has left to come back; null where it is not waited for, or its time is over. */
export function graceLeft(stream: Timed | null, nowMs: number): number | null {
	const left = Math.ceil(((stream?.reconnect_until_ms ?? 0) - nowMs) / 1000);
	return left > 0 ? left : null;
}
