// The player's position and the wall clock → how far behind the world the picture is, and whether to go to live.
//
// hls.js's own `latency` is the distance to the playlist's edge. What a viewer cares about is the distance to the
// camera: now − the wall clock of the picture shown (EXT-X-PROGRAM-DATE-TIME), by the server's clock.

/** Beyond the position the server asks for, the viewer is offered the way back… */
const OFFER_S = 2;
/** …until they are this near. */
const WITHDRAW_S = 1;
/** Beyond this, unless the viewer chose it, the picture goes to live by itself: no rate of catching up gets there soon. */
const JUMP_S = 4;
/** A jump that did not help is not repeated at once. */
const JUMP_AGAIN_MS = 5_000;
/** A longer latency is a wrong clock. */
const ABSURD_MS = 86_400_000;
/** And so is a picture that is farther ahead of the world than clocks can be read apart. */
const AHEAD_MS = 1_000;

/** Seconds between the camera and the picture, or null when either clock is unknown or absurd. */
export function trueLatency(nowMs: number, playingMs: number | null): number | null {
	if (playingMs === null || Number.isNaN(playingMs)) return null;
	const ms = nowMs - playingMs;
	return ms > -AHEAD_MS && ms < ABSURD_MS ? Math.max(0, ms) / 1000 : null;
}

/** "1.8 s", "12 s", "2 min 5 s". */
export function inWords(seconds: number): string {
	if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
	const whole = Math.round(seconds);
	return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}

/** Decides when to offer the live edge and when to go there. */
export class Follower {
	/** Whether the way back to live is offered. */
	offers = false;
	#jumpedAt = -Infinity;

	/**
	 * Takes where the picture is and where it should be (seconds of media; null when unknown), and whether the viewer has
	 * chosen to be behind, by seeking or pausing. True when the picture should be moved to live now.
	 */
	jumps(nowMs: number, position: number, live: number | null, chosen: boolean): boolean {
		if (live === null) return false;
		const behind = live - position;
		this.offers = behind > (this.offers ? WITHDRAW_S : OFFER_S);
		if (chosen || behind <= JUMP_S || nowMs - this.#jumpedAt < JUMP_AGAIN_MS) return false;
		this.#jumpedAt = nowMs;
		return true;
	}
}
