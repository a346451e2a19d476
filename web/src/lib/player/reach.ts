// The part of the stream that can still be watched → a bar to seek in, and words for its places.

export interface Reach {
	/** Seconds of media. */
	readonly start: number;
	readonly end: number;
}

/** A shorter window isn't worth a bar: the arrow keys go through it. */
const WORTH_S = 20;
/** Whoever lets go this near to live wants live. */
const LIVE_S = 2;

export function isWorth(reach: Reach | null): reach is Reach {
	return reach !== null && reach.end - reach.start >= WORTH_S;
}

/** Where a position is on the bar, 0 to 1; `end` is where live is, which is before the end of what is known. */
export function share(reach: Reach, position: number): number {
	return Math.min(1, Math.max(0, (position - reach.start) / (reach.end - reach.start)));
}

/** The position that a place on the bar means; null for live. */
export function position(reach: Reach, share: number): number | null {
	const at = reach.start + share * (reach.end - reach.start);
	return reach.end - at < LIVE_S ? null : at;
}

/** "−03:12", "−1:02:09"; "00:00" is live. */
export function behind(seconds: number): string {
	const whole = Math.max(0, Math.round(seconds));
	return `${whole > 0 ? '−' : ''}${time(whole)}`;
}

/** "03:12", "1:02:09". */
export function time(seconds: number): string {
	const whole = Math.max(0, Math.floor(seconds));
	const two = (number: number) => String(number).padStart(2, '0');
	const hours = Math.floor(whole / 3600);
	const rest = `${two(Math.floor(whole / 60) % 60)}:${two(whole % 60)}`;
	return hours > 0 ? `${hours}:${rest}` : rest;
}
