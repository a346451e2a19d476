// Where the seconds between the encoder and the viewer's eye go: to the origin, into a part, to the edge, to the player, and in it.
//
//   uplink (Server-Timing) ──▶ how long it took to the origin       ┐ before the latency shown
//   PROGRAM-DATE-TIME ──▶ when the origin should have had a picture ┤
//   late (Server-Timing) ──▶ when it did                            ├──▶ five spans: the latency shown, and the way to the origin
//   the part that it is in ──▶ when the origin could give it on     │
//   held reloads (Server-Timing) ──▶ when the edge had it           │
//   round trip, transfer ──▶ when the player had it                 ┘
//
// Dates are those of the least delayed frames (`media/src/timeline/wall.rs`): a frame that waited in the encoder's network is later
// than its date, so that wait is within the latency shown already. The way itself is not: the quickest frame takes it too.
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
	/** Half a round trip between encoder and origin, ms; null while unknown. */
	readonly uplinkMs: number | null;
	/** How much later the origin got that media than its date says, ms; null while unknown. */
	readonly queuedMs: number | null;
}

export interface Split {
	/** From the encoder to the origin; null where nothing is known of it. */
	readonly toOriginMs: number | null;
	/** Until the part that the picture is in was whole, at the origin; ms, like all. */
	readonly packagingMs: number;
	readonly toEdgeMs: number;
	readonly toPlayerMs: number;
	readonly bufferMs: number;
	/** The sum of all. */
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

/** How late the newest media is when it is heard of, and for how much of that at the origin already. All in most cases, ms. */
export class Deliveries {
	readonly #late = new Recent();
	readonly #uplink = new Recent();
	readonly #queued = new Recent();

	push({ receivedMs, edgeMs, held, uplinkMs, queuedMs }: Delivery): void {
		if (!held || !Number.isFinite(edgeMs)) return;
		this.#late.push(receivedMs - edgeMs - (queuedMs ?? 0));
		if (uplinkMs !== null) this.#uplink.push(uplinkMs);
		if (queuedMs !== null) this.#queued.push(queuedMs);
	}

	/** Since the origin had it; null while nothing was heard. */
	get lateMs(): number | null {
		return this.#late.median;
	}

	/** Null while the origin says nothing of it. */
	get uplinkMs(): number | null {
		return this.#uplink.median;
	}

	/** Null while the origin says nothing of it. */
	get queuedMs(): number | null {
		return this.#queued.median;
	}
}

export interface Known {
	/** How old the picture is, ms. */
	readonly ageMs: number;
	/** From the picture to the end of its part, ms of media. */
	readonly partLeftMs: number;
	/** From when the origin had the newest media to when the player heard of it, ms. */
	readonly lateMs: number;
	/** Half a round trip between encoder and origin, ms; null where it is unknown. */
	readonly uplinkMs: number | null;
	/** How much later than its date media comes to the origin, ms; null where it is unknown. */
	readonly queuedMs: number | null;
	/** There and back between player and edge, ms. */
	readonly tripMs: number;
	/** What fetching a part takes, ms. */
	readonly fetchMs: number;
}

/** Divides a picture's age and the way before it. What clocks that disagree would make negative is taken from the next span. */
export function split({ ageMs, partLeftMs, lateMs, uplinkMs, queuedMs, tripMs, fetchMs }: Known): Split {
	let left = Math.max(0, ageMs);
	const take = (ms: number) => {
		const taken = Math.min(left, Math.max(0, ms));
		left -= taken;
		return taken;
	};
	const waitedMs = take(queuedMs ?? 0);
	const toOriginMs = uplinkMs === null && queuedMs === null ? null : waitedMs + (uplinkMs ?? 0);
	const packagingMs = take(partLeftMs);
	const toEdgeMs = take(lateMs - tripMs / 2);
	const toPlayerMs = take(tripMs / 2 + fetchMs);
	return { toOriginMs, packagingMs, toEdgeMs, toPlayerMs, bufferMs: left, totalMs: Math.max(0, ageMs) + (uplinkMs ?? 0) };
}
