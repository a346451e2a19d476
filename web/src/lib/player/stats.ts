// What the player, the network and the edges tell → what is shown to the curious.
import type { Facts } from './engine';
import { split, type Split } from './split';

/** The answer of `GET /api/watch/{channel}`: edges that have it. */
export interface Edge {
	readonly region: string;
	readonly url: string;
}

/** Reads that answer; what is missing or strange is left out. */
export function edges(body: unknown): Edge[] {
	const { edges } = Object(body) as { edges?: unknown };
	if (!Array.isArray(edges)) return [];
	return edges.flatMap((edge) => {
		const { region, url } = Object(edge) as Record<string, unknown>;
		return typeof region === 'string' && typeof url === 'string' ? [{ region, url }] : [];
	});
}

/** "fra, edge-1.example.org": where media comes from; the page's own `here` is the base of addresses without a host. */
export function edgeName(known: readonly Edge[], origin: string, here: string): string {
	const { host } = new URL(origin);
	const edge = known.find(({ url }) => new URL(url, here).host === host);
	return edge?.region ? `${edge.region}, ${host}` : host;
}

const PROTOCOLS: Record<string, string> = { 'http/1.0': 'HTTP/1.0', 'http/1.1': 'HTTP/1.1', h2: 'HTTP/2', h3: 'HTTP/3' };

/** What browsers call a protocol (ALPN) → what people do; empty where the browser doesn't tell. */
export const protocolName = (alpn: string): string => PROTOCOLS[alpn] ?? alpn;

/** The split of a latency in seconds, as far as the engine knows enough; null where it doesn't. */
export function splitOf(latency: number | null, facts: (Facts & { tripMs: number | null }) | null): Split | null {
	if (latency === null || facts === null || facts.lateMs === null || facts.tripMs === null || facts.fetchMs === null) return null;
	const { partLeftMs, lateMs, uplinkMs, queuedMs, tripMs, fetchMs } = facts;
	return split({ ageMs: latency * 1000, partLeftMs, lateMs, uplinkMs, queuedMs, tripMs, fetchMs });
}

/** The mean of some splits, at least one. Of what the newest does not know nothing is known. */
export function meanSplit(splits: readonly Split[]): Split {
	const mean = (key: keyof Split) => splits.reduce((sum, one) => sum + (one[key] ?? 0), 0) / splits.length;
	return {
		toOriginMs: splits.at(-1)?.toOriginMs === null ? null : mean('toOriginMs'),
		...{ packagingMs: mean('packagingMs'), toEdgeMs: mean('toEdgeMs'), toPlayerMs: mean('toPlayerMs') },
		...{ bufferMs: mean('bufferMs'), totalMs: mean('totalMs') }
	};
}

/** Frames a second between two counts. */
export function frameRate(before: { frames: number; atMs: number }, now: { frames: number; atMs: number }): number {
	const seconds = (now.atMs - before.atMs) / 1000;
	return seconds > 0 ? Math.max(0, now.frames - before.frames) / seconds : 0;
}
