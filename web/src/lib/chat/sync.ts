// Chat in step with the picture: which lines are shown when the player shows a moment of the stream.
//
// lines, the player's clock ──show──▶ those whose stream time the picture has reached
//
// A line's stream time is what its author's picture showed when they wrote (`pdtMs`); where they had none, when it was said less
// the viewer's own distance from live: somebody like the viewer would have seen that. So it waits only for as long as the viewer is
// further behind than they were. One's own lines and what nobody has said (rules, gaps) come at once, and moderation works on all
// lines, shown or not. What was shown stays, wherever the viewer goes.
import type { Line } from './channel';

/** A post is taken to be about a picture of at most this age, ms: an author's clock can say anything. */
const OLDEST_MS = 60_000;

/** Where a player is in the stream. */
export interface Playhead {
	/** What the picture shows, ms since 1970 by the encoder's clock (`EXT-X-PROGRAM-DATE-TIME`); null without a picture. */
	readonly playingMs: number | null;
	/** Seconds between the camera and the picture; null while unknown. */
	readonly latency: number | null;
}

export class Sync {
	/** The keys of lines that were shown, of those that are still there. */
	#shown = new Set<string>();
	/** The viewer's distance from live where they are nearest to it, ms. */
	#distanceMs: number | null = null;
	/** When the next line is due, by the player's clock; null for none. */
	nextMs: number | null = null;

	/** Takes all lines, the oldest first; gives those to be shown. Without a picture, all. `me` is who reads. */
	show(lines: readonly Line[], { playingMs, latency }: Playhead, me: string | null): readonly Line[] {
		if (latency !== null) this.#distanceMs = Math.min(this.#distanceMs ?? Infinity, latency * 1000);
		let due = -Infinity;
		this.nextMs = null;
		const shown = lines.filter((line) => {
			if (playingMs === null || this.#shown.has(line.key) || comesAtOnce(line, me)) return true;
			// None overtakes another.
			due = Math.max(due, this.#streamMs(line));
			if (due <= playingMs) return true;
			this.nextMs ??= due;
			return false;
		});
		this.#shown = new Set(shown.map((line) => line.key));
		return shown.length === lines.length ? lines : shown;
	}

	#streamMs(line: Line): number {
		const pdt = line.kind === 'said' ? line.said.pdt_ms : undefined;
		const ms = pdt ?? line.atMs - (this.#distanceMs ?? 0);
		return Math.min(line.atMs, Math.max(line.atMs - OLDEST_MS, ms));
	}
}

function comesAtOnce(line: Line, me: string | null): boolean {
	return line.kind !== 'said' || line.said.user.login === me;
}
