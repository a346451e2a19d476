// What an edge says in `Server-Timing`: how it had something, and how the newest media of a playlist came to the origin.

export interface Timing {
	/** How the edge had it: hit, held, … */
	readonly cache: string | null;
	/** On the way from the encoder to the origin: half a round trip, ms. */
	readonly uplinkMs: number | null;
	/** How much later the origin got it than its date says, ms. */
	readonly queuedMs: number | null;
}

/** Reads the header; `edge;desc=held, uplink;dur=21, late;dur=130`. What isn't there is null. */
export function timingOf(header: string): Timing {
	const field = (name: string, key: string) => new RegExp(`(?:^|,)\\s*${name}\\s*;\\s*${key}=([a-z0-9.]+)`).exec(header)?.[1] ?? null;
	const ms = (name: string) => {
		const told = Number(field(name, 'dur') ?? NaN);
		return Number.isFinite(told) ? told : null;
	};
	return { cache: field('edge', 'desc'), uplinkMs: ms('uplink'), queuedMs: ms('late') };
}
