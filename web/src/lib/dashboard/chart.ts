// Where the lines of a graph go: values over time → paths in a box of 1000 × 100, without a DOM.
import type { Point } from './types';

/** A value at a time, ms since 1970, and of what session: lines don't go from one to the next. */
export type Sample = readonly [at: number, value: number, session?: string];

export interface Frame {
	readonly fromMs: number;
	readonly toMs: number;
	readonly low: number;
	readonly high: number;
}

export const WIDTH = 1000;
export const HEIGHT = 100;

/** The leader tells a point every 4 s; after longer than this there was nobody. */
const GAP_MS = 10_000;
/** Steps whose halves people read easily, of any power of ten. */
const STEPS = [1, 2, 3, 4, 6, 8, 10];
/** What is left free above the highest value. */
const HEADROOM = 1.05;
/** A scale is kept until what it shows fills less than this of it. */
const KEPT = 0.25;

/** The box around `lines`: the last `spanMs` of time; from 0 to a round number above, or as far below 0 where values are `signed`. */
export function frame(lines: readonly (readonly Sample[])[], nowMs: number, spanMs: number, least: number, signed = false): Frame {
	const most = Math.max(0, ...lines.flat().map(([, value]) => (signed ? Math.abs(value) : value)));
	const high = round(Math.max(most * HEADROOM, least));
	return { fromMs: nowMs - spanMs, toMs: nowMs, low: signed ? -high : 0, high };
}

/** `now`, with the scale of `before` as long as it does: lines that jump with every new value can't be read. */
export function steady(before: Frame | null, now: Frame): Frame {
	if (before === null || now.high > before.high || now.high <= before.high * KEPT) return now;
	return { ...now, low: before.low, high: before.high };
}

/** The next of 1, 2, 3, 4, 6, 8, 10, 20, … that is not below `value`. */
export function round(value: number): number {
	if (value <= 0) return 0;
	const power = 10 ** Math.floor(Math.log10(value));
	return Number(((STEPS.find((step) => step * power >= value) ?? 10) * power).toPrecision(3));
}

const MINUTE_MS = 60_000;

/** Whole minutes inside a box, four to six of them. */
export function ticks({ fromMs, toMs }: Frame): number[] {
	const step = Math.max(1, Math.round((toMs - fromMs) / MINUTE_MS / 5)) * MINUTE_MS;
	const first = Math.ceil(fromMs / step) * step;
	return Array.from({ length: Math.max(0, Math.floor((toMs - first) / step) + 1) }, (_, place) => first + place * step);
}

export const x = ({ fromMs, toMs }: Frame, at: number) => ((at - fromMs) / (toMs - fromMs)) * WIDTH;
export const y = ({ low, high }: Frame, value: number) => HEIGHT - ((value - low) / (high - low || 1)) * HEIGHT;

/** A line's path; it breaks where nothing was told for a while, and between sessions. What stands alone is a dot. */
export function path(line: readonly Sample[], box: Frame): string {
	const steps = line.map(([at, value, session], place) => {
		const before = line[place - 1];
		const goesOn = before !== undefined && at - before[0] <= GAP_MS && session === before[2];
		const to = `${x(box, at).toFixed(1)} ${y(box, value).toFixed(1)}`;
		return goesOn ? `L${to}` : `M${to}h0`;
	});
	return steps.join('');
}

/** The sample nearest to a time; null where there is none. */
export function nearest(line: readonly Sample[], at: number): Sample | null {
	return line.reduce<Sample | null>((best, sample) => (best === null || Math.abs(sample[0] - at) < Math.abs(best[0] - at) ? sample : best), null);
}

/** The time of the sample that a key leads to from the one at `at`; null where the key leads nowhere. */
export function stepped(line: readonly Sample[], at: number, key: string): number | null {
	const here = line.findIndex(([when]) => when >= at);
	const from = here < 0 ? line.length - 1 : here;
	const to: Readonly<Record<string, number>> = { ArrowLeft: from - 1, ArrowRight: from + 1, PageUp: from - 10, PageDown: from + 10, Home: 0, End: line.length - 1 };
	const place = to[key];
	return place === undefined ? null : (line[Math.min(Math.max(place, 0), line.length - 1)]?.[0] ?? null);
}

/** One field of each point that has it. */
export function samples(points: readonly Point[], of: (point: Point) => number | null): Sample[] {
	return points.flatMap((point) => {
		const value = of(point);
		return value === null ? [] : [[point.at_ms, value, point.session] as const];
	});
}

/** By how much what is counted grew from point to point; a new session counts from 0, and nobody knows it of the first. */
export function growth(points: readonly Point[], of: (point: Point) => number): Sample[] {
	return points.map((point, place) => {
		const before = points[place - 1];
		const since = before === undefined ? of(point) : before.session === point.session ? of(before) : 0;
		return [point.at_ms, Math.max(0, of(point) - since), point.session];
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
