// Where the seconds between the camera's origin and the viewer's eye go: into a part, to the edge, to the player, and in it.
//
//   PROGRAM-DATE-TIME ──▶ when the origin took a picture        ┐
//   the part that it is in ──▶ when the origin could give it on ├──▶ four spans that add up to the latency shown
//   held reloads (Server-Timing) ──▶ when the edge had it       │
//   round trip, transfer ──▶ when the player had it             ┘
//
// An edge answers a held reload at the moment that the new part comes. Only those replies tell when that was: others had been
// there before they were asked for.

/** A reload of a playlist that brought new media. */
export interface Delivery {
	/** When it was here, by the server's clock, unix ms. */
	readonly receivedMs: number;
	/** The wall clock of the end of the newest media in it, unix ms. */
	readonly edgeMs: number;
	/** Whether the edge held the request until there was something new. */
	readonly held: boolean;
}

export interface Split {
	/** Until the part that the picture is in was whole, at the origin; ms, like all. */
	readonly packagingMs: number;
	readonly toEdgeMs: number;
	readonly toPlayerMs: number;
	readonly bufferMs: number;
	/** The sum of the four. */
	readonly totalMs: number;
}

/** So many of the latest are looked at: some ten seconds' worth. */
const KEPT = 20;

/** The latest of some measurements. */
export class Recent {
	#values: number[] = [];

	push(value: number): void {
		this.#values.push(value);
		if (this.#values.length > KEPT) this.#values.shift();
	}

	/** Null while there was none. */
	get median(): number | null {
		const sorted = this.#values.toSorted((a, b) => a - b);
		return sorted[Math.floor(sorted.length / 2)] ?? null;
	}
}

/** How late the newest media is when it is heard of. */
export class Deliveries {
	readonly #late = new Recent();

	push({ receivedMs, edgeMs, held }: Delivery): void {
		if (held && Number.isFinite(edgeMs)) this.#late.push(receivedMs - edgeMs);
	}

	/** In most cases, ms; null while nothing was heard. */
	get lateMs(): number | null {
		return this.#late.median;
	}
}

export interface Known {
	/** How old the picture is, ms. */
	readonly ageMs: number;
	/** From the picture to the end of its part, ms of media. */
	readonly partLeftMs: number;
	/** From the end of the newest media to when the player heard of it, ms. */
	readonly lateMs: number;
	/** There and back between player and edge, ms. */
	readonly tripMs: number;
	/** What fetching a part takes, ms. */
	readonly fetchMs: number;
}

/** Divides a picture's age. What clocks that disagree would make negative is taken from the next span. */
export function split({ ageMs, partLeftMs, lateMs, tripMs, fetchMs }: Known): Split {
	let left = Math.max(0, ageMs);
	const take = (ms: number) => {
		const taken = Math.min(left, Math.max(0, ms));
		left -= taken;
		return taken;
	};
	const packagingMs = take(partLeftMs);
	const toEdgeMs = take(lateMs - tripMs / 2);
	const toPlayerMs = take(tripMs / 2 + fetchMs);
	return { packagingMs, toEdgeMs, toPlayerMs, bufferMs: left, totalMs: Math.max(0, ageMs) };
}
