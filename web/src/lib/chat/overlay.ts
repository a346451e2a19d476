// The chat over a picture, for broadcasting software: what its address asks for, and which lines it shows when.

export interface Overlay {
	/** Seconds for which a line stays; null for as long as there is room. */
	readonly fade: number | null;
	/** At most so many lines. */
	readonly max: number;
	/** Of the text, in pixels. */
	readonly size: number;
	readonly badges: boolean;
}

/** The last part of a line's time, in which it goes, seconds. */
export const GOING = 1;

/** Reads the address's query; what is missing or strange is as for everybody. */
export function readOverlay(query: URLSearchParams): Overlay {
	const number = (name: string, least: number, most: number) => {
		const value = Number(query.get(name) || NaN);
		return Number.isNaN(value) ? null : Math.min(most, Math.max(least, value));
	};
	const fade = number('fade', 0, 3_600);
	return { fade: fade === 0 ? null : fade, max: Math.round(number('max', 1, 100) ?? 12), size: number('size', 10, 120) ?? 26, badges: query.get('badges') !== '0' };
}

/** The query that asks for this; what is as for everybody is left out. */
export function overlayQuery({ fade, max, size, badges }: Overlay): string {
	const plain = readOverlay(new URLSearchParams());
	const query = new URLSearchParams();
	if (fade !== null) query.set('fade', `${fade}`);
	if (max !== plain.max) query.set('max', `${max}`);
	if (size !== plain.size) query.set('size', `${size}`);
	if (!badges) query.set('badges', '0');
	const text = query.toString();
	return text === '' ? '' : `?${text}`;
}

interface Keyed {
	readonly key: string;
	/** Whether it was said before the page was opened. */
	readonly past: boolean;
}

/** Knows since when each line is there: by this page's clock alone, for that of a machine in a studio may be wrong. */
export class Fader {
	readonly #options: Overlay;
	#since = new Map<string, number>();

	constructor(options: Overlay) {
		this.#options = options;
	}

	/** Takes all lines, the oldest first, at `now` (ms); gives those to be shown, and whether each is going. Where lines fade, those from before are not shown. */
	show<T extends Keyed>(lines: readonly T[], now: number): { line: T; going: boolean }[] {
		const { fade, max } = this.#options;
		this.#since = new Map(lines.map(({ key, past }) => [key, this.#since.get(key) ?? (past ? -Infinity : now)]));
		const age = ({ key }: T) => (now - (this.#since.get(key) ?? now)) / 1000;
		return lines
			.filter((line) => fade === null || age(line) < fade)
			.slice(-max)
			.map((line) => ({ line, going: fade !== null && age(line) >= fade - GOING }));
	}
}
