// Exchanges with /api/time → how far this machine's clock is from the server's.
//
// The server's reading is taken to be from the middle of the exchange, so the error is at most half the round trip:
// of several exchanges the shortest is believed.

export interface Exchange {
	/** This machine's clock, unix ms, when asking and when answered. */
	readonly sentMs: number;
	readonly receivedMs: number;
	/** The server's clock, unix ms. */
	readonly serverMs: number;
}

export interface Skew {
	/** What to add to this machine's clock to get the server's, ms. 0 when nothing is known. */
	readonly offsetMs: number;
	/** There and back again, ms; null when nothing is known. */
	readonly tripMs: number | null;
}

/** What exchanges tell. */
export function skew(exchanges: readonly Exchange[]): Skew {
	const trip = (exchange: Exchange) => exchange.receivedMs - exchange.sentMs;
	const [shortest] = exchanges.toSorted((a, b) => trip(a) - trip(b));
	if (!shortest) return { offsetMs: 0, tripMs: null };
	return { offsetMs: shortest.serverMs - (shortest.sentMs + shortest.receivedMs) / 2, tripMs: trip(shortest) };
}

/** The unix ms in a reply of /api/time: `{"unix_ms": 1795…}`, or null. */
export function reading(body: string): number | null {
	try {
		const { unix_ms } = JSON.parse(body) as { unix_ms?: unknown };
		return typeof unix_ms === 'number' ? unix_ms : null;
	} catch {
		return null;
	}
}

const EXCHANGES = 4;

/** Asks the server for the time, a few times. Without an answer, our own clock has to do. */
export async function measure(): Promise<Skew> {
	const exchanges: Exchange[] = [];
	for (let n = 0; n < EXCHANGES; n++) {
		try {
			const sentMs = Date.now();
			const reply = await fetch('/api/time', { cache: 'no-store', signal: AbortSignal.timeout(3_000) });
			const receivedMs = Date.now();
			const serverMs = reply.ok ? reading(await reply.text()) : null;
			if (serverMs !== null) exchanges.push({ sentMs, receivedMs, serverMs });
		} catch {
			break;
		}
	}
	return skew(exchanges);
}
