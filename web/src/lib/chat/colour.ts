// A name's colour, made readable on the page's ground (WCAG 2.2, 1.4.3: 4.5 to 1), also while the line is pointed at.

type Rgb = readonly [number, number, number];

/** For who has chosen none: by their login, always the same. */
const OWN = ['#1e90ff', '#2e8b57', '#d2691e', '#b8860b', '#c71585', '#6a5acd', '#008b8b', '#cd5c5c', '#7a8b1f', '#9a5fd0'];
/** More than 4.5, for the ground of a line that is pointed at is nearer to the text. */
const ENOUGH = 6;
/** A little of white or black is mixed in, step by step, until it is enough. */
const STEPS = 20;

/** The ground that text stands on, by day and by night: those of app.css. */
export const GROUND = { light: '#eef2ec', dark: '#0a1417' } as const;

/** The colour of somebody's name, `#rrggbb`, readable on the ground. */
export function nameColour(login: string, chosen: string | undefined, dark: boolean): string {
	const first = read(chosen ?? '') ?? read(OWN[hash(login) % OWN.length] ?? '') ?? [128, 128, 128];
	const ground = read(dark ? GROUND.dark : GROUND.light) ?? [0, 0, 0];
	const goal: Rgb = dark ? [255, 255, 255] : [0, 0, 0];
	for (let step = 0; step <= STEPS; step += 1) {
		const mixed = mix(first, goal, step / STEPS);
		if (contrast(mixed, ground) >= ENOUGH) return write(mixed);
	}
	return write(goal);
}

/** How far two colours are apart in light, 1 to 21; null where one is not `#rrggbb`. */
export function contrastOf(one: string, other: string): number | null {
	const [a, b] = [read(one), read(other)];
	return a && b ? contrast(a, b) : null;
}

function hash(text: string): number {
	let sum = 7;
	for (const character of text) sum = (sum * 31 + (character.codePointAt(0) ?? 0)) % 1_000_003;
	return sum;
}

function read(colour: string): Rgb | null {
	const [, red, green, blue] = /^#([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})$/i.exec(colour) ?? [];
	return red && green && blue ? [parseInt(red, 16), parseInt(green, 16), parseInt(blue, 16)] : null;
}

function write(colour: Rgb): string {
	return `#${colour.map((part) => Math.round(part).toString(16).padStart(2, '0')).join('')}`;
}

function mix([r, g, b]: Rgb, [gr, gg, gb]: Rgb, share: number): Rgb {
	const between = (from: number, to: number) => Math.round(from + (to - from) * share);
	return [between(r, gr), between(g, gg), between(b, gb)];
}

function contrast(one: Rgb, other: Rgb): number {
	const [a, b] = [luminance(one), luminance(other)];
	return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
}

function luminance(colour: Rgb): number {
	const linear = (part: number) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
	const [r, g, b] = [linear(colour[0] / 255), linear(colour[1] / 255), linear(colour[2] / 255)];
	return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
