// How the viewer likes to watch, across visits: which quality, how near to live, in which room.
import type { Quality } from './quality';

export interface Taste {
	quality: Quality;
	/** Whether to stay farther from the edge and never change the rate, so that bad networks show less. */
	stable: boolean;
	/** Whether picture and chat fill the window. */
	theatre: boolean;
	/** Whether the chat is shown beside the picture. */
	chat: boolean;
}

const KEY = 'freshet.taste';
const FIRST: Taste = { quality: 'auto', stable: false, theatre: false, chat: true };

/** Reads what `remember` wrote; what is missing or strange is as at a first visit. */
export function parse(text: string | null): Taste {
	let said: Record<string, unknown> = {};
	try {
		said = Object(JSON.parse(text ?? '')) as typeof said;
	} catch {
		// Nothing was remembered.
	}
	const taste: Record<string, unknown> = { ...FIRST };
	for (const [key, first] of Object.entries(FIRST)) if (typeof said[key] === typeof first) taste[key] = said[key];
	return taste as unknown as Taste;
}

export function recall(): Taste {
	try {
		return parse(localStorage.getItem(KEY));
	} catch {
		return { ...FIRST };
	}
}

/** Remembers what has changed; the rest stays. */
export function remember(change: Partial<Taste>): void {
	try {
		localStorage.setItem(KEY, JSON.stringify({ ...recall(), ...change }));
	} catch {
		// Storage is off or full: nothing to do about it.
	}
}
