// Which server is nearest, by what this very browser measures: a page speaks no RTMP, so it asks an edge in the same region.
import type { Ingest } from './types';

/** A server and the way there. */
export interface Near extends Ingest {
	/** The shortest round trip that was measured, ms; null where none could be. */
	readonly tripMs: number | null;
}

/** The first request opens the connection, and is not counted. */
const TRIES = 4;

/** The shortest of some round trips; null where any of them fails. */
export async function measure(ping: () => Promise<void>, now: () => number): Promise<number | null> {
	const trips: number[] = [];
	for (let attempt = 0; attempt < TRIES; attempt += 1) {
		const begun = now();
		try {
			await ping();
		} catch {
			return null;
		}
		if (attempt > 0) trips.push(now() - begun);
	}
	return Math.min(...trips);
}

/** The nearest first: what was measured before what is estimated; where both are the same, as the platform ordered them. */
export function byNearness(servers: readonly Near[]): Near[] {
	const trip = ({ tripMs, estMs }: Near) => Math.round(tripMs ?? estMs);
	return [...servers].sort((one, other) => Number(one.tripMs === null) - Number(other.tripMs === null) || trip(one) - trip(other));
}

/** Measures the way to each of `ingests`, once for all that are measured by the same address. */
export async function nearest(ingests: readonly Ingest[], measured: (url: string) => Promise<number | null>): Promise<Near[]> {
	const urls = [...new Set(ingests.flatMap(({ pingUrl }) => pingUrl ?? []))];
	const trips = new Map(await Promise.all(urls.map(async (url) => [url, await measured(url)] as const)));
	return byNearness(ingests.map((ingest) => ({ ...ingest, tripMs: ingest.pingUrl === null ? null : (trips.get(ingest.pingUrl) ?? null) })));
}
