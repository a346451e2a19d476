// What moderators read over the API (docs/api.md): the log, who is silenced, which words aren't wanted; and how a time is written.
import { number, numberOrNull, fields, page, text, textOrNull } from '../api/types';

export interface Entry {
	readonly atMs: number;
	readonly actor: string | null;
	/** As the slash command is called. */
	readonly action: string;
	readonly target: string | null;
	readonly reason: string;
}

export interface Silenced {
	readonly username: string;
	/** Null for good. */
	readonly untilMs: number | null;
	readonly by: string | null;
	readonly reason: string;
}

export const entries = page<Entry>((body) => {
	const { at_ms, actor, action, target, reason } = fields(body);
	return text(action) === '' ? null : { atMs: number(at_ms), actor: textOrNull(actor), action: text(action), target: textOrNull(target), reason: text(reason) };
});

export const silenced = page<Silenced>((body) => {
	const { username, until_ms, by, reason } = fields(body);
	return text(username) === '' ? null : { username: text(username), untilMs: numberOrNull(until_ms), by: textOrNull(by), reason: text(reason) };
});

export interface Term {
	readonly term: string;
	readonly action: 'block' | 'hold';
}

export const terms = page<Term>((body) => {
	const { term, action } = fields(body);
	return text(term) !== '' && (action === 'block' || action === 'hold') ? { term: text(term), action } : null;
});

const SECONDS: Record<string, number> = { '': 1, s: 1, m: 60, h: 3_600, d: 86_400, w: 604_800 };
/** The longest timeout that hubs take. */
const MOST_S = 14 * 86_400;

/** Whether hubs take this for a timeout: `45`, `10m`, `2h`. */
export function isDuration(text: string): boolean {
	const [, digits, unit = ''] = /^(\d{1,7})([smhdw]?)$/i.exec(text.trim()) ?? [];
	const seconds = Number(digits ?? 0) * (SECONDS[unit.toLowerCase()] ?? 0);
	return seconds >= 1 && seconds <= MOST_S;
}

/** Whether a channel may be called so. */
export const isChannel = (name: string): boolean => /^[a-z0-9][a-z0-9_-]{0,31}$/.test(name);
