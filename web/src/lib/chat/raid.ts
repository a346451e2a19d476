// A raid → how long until a viewer goes along. No clock; the time is told.
import type { Raid } from './channel';

/** So long a viewer has to stay. */
export const RAID_MS = 15_000;
/** A raid that was ordered longer ago, as told after a break, is over. */
const OVER_MS = 120_000;

export interface Departure {
	readonly raid: Raid;
	/** When this page leaves, in the caller's ms. */
	readonly atMs: number;
}

/** What there is to go along with: the raid that is told, unless it is the one that was seen before. `nowMs` is ms since 1970. */
export function departure(raid: Raid | null, before: Departure | null, nowMs: number): Departure | null {
	if (!raid) return null;
	if (before?.raid.key === raid.key) return before;
	return nowMs - raid.atMs < OVER_MS ? { raid, atMs: nowMs + RAID_MS } : null;
}

export const secondsLeft = ({ atMs }: Departure, nowMs: number): number => Math.max(0, Math.ceil((atMs - nowMs) / 1000));
