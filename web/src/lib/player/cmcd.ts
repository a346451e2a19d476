// What a viewer's player goes through → lines of CMCD v2 (CTA-5004-B, event mode) for the edge. A machine.
//
//   states, starvation, a reading a second ──▶ Cmcd ──▶ `bl=(2100),br=(928),cid="ada",…,e=t,…,v=2`
//
// hls.js has a reporter of its own. It knows neither latency nor startup delay, nothing of Safari's player, begins a new session
// whenever the player is replaced, and writes on media URLs, which caches are keyed by.
import type { Status } from './watch';

/** A reading of the player. What is null isn't known, and isn't sent. */
export interface Reading {
	readonly status: Status;
	readonly paused: boolean;
	/** Media ahead in the buffer, ms. */
	readonly bufferMs: number | null;
	/** Of the level that plays, bits a second. */
	readonly bitrate: number | null;
	/** What the network carries, bits a second. */
	readonly throughput: number | null;
	readonly rate: number;
	/** Between the camera and the picture, ms. */
	readonly latencyMs: number | null;
	readonly dropped: number;
}

/** How often is told how it goes. */
const INTERVAL_MS = 10_000;

/** CTA-5004-B's tokens for `sta`; null where nothing plays that one could speak of. */
function state({ status, paused }: Pick<Reading, 'status' | 'paused'>, hasPlayed: boolean): string | null {
	switch (status) {
		case 'live':
			return paused ? 'a' : 'p';
		case 'connecting':
		case 'starting':
			return 's';
		case 'reconnecting':
		case 'unreachable':
		case 'broken':
			return hasPlayed ? 'r' : 's';
		case 'ended':
			return hasPlayed ? 'e' : null;
		case 'unplayable':
			return 'f';
		case 'offline':
		case 'private':
		case 'overloaded':
			return null;
	}
}

type Value = string | number | boolean | null;

export class Cmcd {
	readonly #session: string;
	readonly #channel: string;
	readonly #openedAt: number;
	#state: string | null = null;
	#bitrate: number | null = null;
	#toldAt = -Infinity;
	/** How long until the first picture, ms; null before it, and once it has been told. */
	#startupMs: number | null = null;
	#hasPlayed = false;
	#starvingSince: number | null = null;
	#starvedMs = 0;

	/** `now` is when the viewer asked for the channel. Times here are in ms, of one clock with any origin. */
	constructor(session: string, channel: string, now: number) {
		this.#session = session;
		this.#channel = channel;
		this.#openedAt = now;
	}

	/** The picture stands though it should move: the buffer is empty. */
	starves(now: number): void {
		if (this.#hasPlayed) this.#starvingSince ??= now;
	}

	/** It moves, or the viewer wants it to stand. */
	recovers(now: number): void {
		if (this.#starvingSince !== null) this.#starvedMs += now - this.#starvingSince;
		this.#starvingSince = null;
	}

	/** Takes a reading, at least once a second; `unixMs` is the wall clock. Gives what is to be told now, a line for each event. */
	read(now: number, unixMs: number, reading: Reading): string[] {
		const next = state(reading, this.#hasPlayed);
		if (next === 'p' && !this.#hasPlayed) {
			this.#hasPlayed = true;
			this.#startupMs = now - this.#openedAt;
		}
		const events: string[] = [];
		if (next !== null && next !== this.#state) events.push('ps');
		if (this.#bitrate !== null && reading.bitrate !== null && reading.bitrate !== this.#bitrate) events.push('bc');
		if (events.length === 0 && next !== null && this.#hasPlayed && now - this.#toldAt >= INTERVAL_MS) events.push('t');
		this.#state = next;
		this.#bitrate = reading.bitrate ?? this.#bitrate;
		return events.map((event) => this.#line(now, unixMs, event, reading));
	}

	/** The viewer leaves: the last line, where anything was told before. */
	quit(now: number, unixMs: number, reading: Reading): string[] {
		if (this.#state === null || this.#state === 'q') return [];
		this.#state = 'q';
		return [this.#line(now, unixMs, 'ps', reading)];
	}

	#line(now: number, unixMs: number, event: string, reading: Reading): string {
		const starving = this.#starvingSince !== null;
		// What is still going on is told as far as it has come.
		if (starving) {
			this.recovers(now);
			this.#starvingSince = now;
		}
		const latency = reading.latencyMs === null ? null : Math.round(reading.latencyMs);
		const line = encode({
			bl: list(reading.bufferMs, 100),
			br: list(reading.bitrate === null ? null : reading.bitrate / 1000, 1),
			bs: starving || this.#starvedMs > 0,
			bsd: this.#starvedMs > 0 ? list(this.#starvedMs, 1) : null,
			cid: text(this.#channel),
			'com.freshet-df': reading.dropped,
			'com.freshet-g2g': latency,
			e: event,
			ltc: latency,
			msd: this.#startupMs === null ? null : Math.round(this.#startupMs),
			mtp: list(reading.throughput === null ? null : reading.throughput / 1000, 100),
			pr: reading.rate === 1 ? null : Number(reading.rate.toFixed(3)),
			sf: 'h',
			sid: text(this.#session),
			st: 'll',
			sta: this.#state,
			ts: Math.round(unixMs),
			v: 2
		});
		this.#toldAt = now;
		this.#starvedMs = 0;
		this.#startupMs = null;
		return line;
	}
}

/** One line: keys in order; what is true by its key alone, what is null or false not at all. */
function encode(values: Record<string, Value>): string {
	const told = Object.entries(values).filter(([, value]) => value !== null && value !== false);
	return told.map(([key, value]) => (value === true ? key : `${key}=${value}`)).join(',');
}

const list = (value: number | null, unit: number) => (value === null ? null : `(${Math.round(value / unit) * unit})`);

/** A string of RFC 8941: printable ASCII, with quotes and backslashes escaped. */
const text = (value: string) => `"${value.replace(/[^\x20-\x7e]/g, '').replace(/["\\]/g, '\\$&')}"`;
