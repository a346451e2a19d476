// The list of live channels: what stays where it is when the list is read anew, and what comes first.
import type { Stream } from '$lib/api/types';

/** What is looked for; empty for everything. */
export interface Asked {
	readonly search: string;
	readonly category: string;
	readonly tag: string;
}

/** Whether not everything is looked for. */
export const isFiltered = ({ search, category, tag }: Asked): boolean => search !== '' || category !== '' || tag !== '';

/** The query of the page that shows it. */
export function queryOf({ search, category, tag }: Asked): string {
	const set = Object.entries({ q: search, category, tag }).filter(([, value]) => value !== '');
	return new URLSearchParams(set).toString();
}

/**
 * What was read before, brought up to date: who is live still keeps their place, so that nothing moves under the pointer; who
 * has come is put after them, who has gone is taken out.
 */
export function merge(shown: readonly Stream[], fresh: readonly Stream[]): Stream[] {
	const now = new Map(fresh.map((stream) => [stream.id, stream]));
	const stayed = shown.flatMap(({ id }) => now.get(id) ?? []);
	const before = new Set(stayed.map(({ id }) => id));
	return [...stayed, ...fresh.filter(({ id }) => !before.has(id))];
}

/** A further piece of the list, after what there is. Who was counted up meanwhile may be in both. */
export function append(shown: readonly Stream[], more: readonly Stream[]): Stream[] {
	const there = new Set(shown.map(({ id }) => id));
	return [...shown, ...more.filter(({ id }) => !there.has(id))];
}

/** The followed channels that are on, and the rest. `elsewhere` are followed ones that the list doesn't reach. */
export function divide(shown: readonly Stream[], elsewhere: readonly Stream[], followed: readonly string[]): { mine: Stream[]; others: Stream[] } {
	const names = new Set(followed);
	const mine = append(
		shown.filter(({ id }) => names.has(id)),
		elsewhere.filter(({ id, state }) => names.has(id) && isOn(state))
	);
	return { mine, others: shown.filter(({ id }) => !names.has(id)) };
}

/** Whether there is something to see, now or in a moment. */
export function isOn(state: Stream['state']): boolean {
	return state === 'live' || state === 'starting' || state === 'reconnecting';
}

/** The followed channels that the list has not reached. */
export function missing(shown: readonly Stream[], followed: readonly string[]): string[] {
	const reached = new Set(shown.map(({ id }) => id));
	return followed.filter((id) => !reached.has(id));
}

/** The categories of these channels, the most frequent first. */
export function categories(shown: readonly Stream[]): string[] {
	const counts = new Map<string, number>();
	for (const { category } of shown) if (category !== '') counts.set(category, (counts.get(category) ?? 0) + 1);
	return [...counts].sort(([a, m], [b, n]) => n - m || a.localeCompare(b)).map(([category]) => category);
}

/** These categories, and the one that is asked for. */
export function withAsked(known: readonly string[], asked: string): readonly string[] {
	return asked === '' || known.some((category) => category.toLowerCase() === asked.toLowerCase()) ? known : [asked, ...known];
}

/** The channel that a search may mean; empty where there is none of such a name. */
export function channelName(search: string): string {
	const name = search.toLowerCase().replace(/^@/, '');
	return /^[a-z0-9][a-z0-9_-]{0,31}$/.test(name) ? name : '';
}
