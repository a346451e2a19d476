// Where the lines of a graph go: values over time → paths in a box of 1000 × 100, without a DOM.
import type { Point } from './types';

/** A value at a time, ms since 1970. */
export type Sample = readonly [at: number, value: number];

export interface Frame {
	readonly fromMs: number;
	readonly toMs: number;
	readonly low: number;
	readonly high: number;
}

export const WIDTH = 1000;
export const HEIGHT = 100;

/** The leader tells a point every 4 s; after longer than this there was nobody. */
const GAP_MS = 14_000;
/** Steps that people read easily, of any power of ten. */
const STEPS = [1, 2, 5, 10];

/** The box around `lines`: the last `spanMs` of time; from 0, or from as far below as it goes, to a round number above. */
export function frame(lines: readonly (readonly Sample[])[], nowMs: number, spanMs: number, least: number): Frame {
	const values = lines.flat().map(([, value]) => value);
	const [low, high] = [Math.min(0, ...values), Math.max(0, ...values)];
	return { fromMs: nowMs - spanMs, toMs: nowMs, low: low === 0 ? 0 : -round(Math.max(-low, least)), high: round(Math.max(high, least)) };
}

/** The next of 1, 2, 5, 10, 20, … that is not below `value`. */
export function round(value: number): number {
	if (value <= 0) return 0;
	const power = 10 ** Math.floor(Math.log10(value));
	return (STEPS.find((step) => step * power >= value) ?? 10) * power;
}

export const x = ({ fromMs, toMs }: Frame, at: number) => ((at - fromMs) / (toMs - fromMs)) * WIDTH;
export const y = ({ low, high }: Frame, value: number) => HEIGHT - ((value - low) / (high - low || 1)) * HEIGHT;

/** A line's path; it breaks where nothing was told for a while. */
export function path(line: readonly Sample[], box: Frame): string {
	let before = Number.NEGATIVE_INFINITY;
	const steps = line.map(([at, value]) => {
		const verb = at - before > GAP_MS ? 'M' : 'L';
		before = at;
		return `${verb}${x(box, at).toFixed(1)} ${y(box, value).toFixed(1)}`;
	});
	return steps.join('');
}

/** The sample nearest to a time; null where there is none. */
export function nearest(line: readonly Sample[], at: number): Sample | null {
	return line.reduce<Sample | null>((best, sample) => (best === null || Math.abs(sample[0] - at) < Math.abs(best[0] - at) ? sample : best), null);
}

/** One field of each point that has it. */
export function samples(points: readonly Point[], of: (point: Point) => number | null): Sample[] {
	return points.flatMap((point) => {
		const value = of(point);
		return value === null ? [] : [[point.at_ms, value] as const];
	});
}

/** By how much what is counted grew from point to point; a new session counts from 0, and nobody knows it of the first. */
export function growth(points: readonly Point[], of: (point: Point) => number): Sample[] {
	return points.map((point, place) => {
		const before = points[place - 1];
		const since = before === undefined ? of(point) : before.session === point.session ? of(before) : 0;
		return [point.at_ms, Math.max(0, of(point) - since)];
	});
}

export interface Summary {
	readonly last: number;
	readonly low: number;
	readonly high: number;
}

/** What a line says in three numbers; null where there is none. */
export function summary(line: readonly Sample[]): Summary | null {
	const last = line.at(-1);
	if (!last) return null;
	const values = line.map(([, value]) => value);
	return { last: last[1], low: Math.min(...values), high: Math.max(...values) };
}
