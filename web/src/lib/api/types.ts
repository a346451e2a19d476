// The API's objects (docs/api.md, /api/openapi.json) and their readers: an answer → an object, or null where it is something else.
import type { Reader } from './client';

/** A channel as a broadcast. */
export interface Stream {
	/** The channel's name, its owner's username. */
	readonly id: string;
	readonly display_name: string;
	readonly avatar_url: string | null;
	readonly title: string;
	readonly category: string;
	readonly tags: readonly string[];
	readonly visibility: 'public' | 'unlisted' | 'private';
	readonly go_live: 'auto' | 'manual';
	readonly takeover: 'newest' | 'silent' | 'reject';
	readonly state: StreamState;
	/** The session that goes on, or went on last. */
	readonly session: string | null;
	/** When the session that goes on went live; null where none does. */
	readonly started_ms: number | null;
	/** While `reconnecting`: until when the encoder may come back. */
	readonly reconnect_until_ms: number | null;
	/** Started by hand, and no session goes on: the next publish begins one. */
	readonly awaits_encoder: boolean;
	readonly viewers: number;
	readonly hls_url: string;
}

export type StreamState = 'offline' | 'starting' | 'live' | 'reconnecting' | 'ended';

/** An account as its owner, or an administrator, sees it. */
export interface Me {
	readonly id: string;
	readonly username: string;
	readonly email: string | null;
	readonly display_name: string;
	readonly bio: string;
	/** The colour of their name in chat, `#rrggbb`; null where they have chosen none. */
	readonly color: string | null;
	readonly avatar_url: string | null;
	readonly role: 'user' | 'admin';
	readonly created_ms: number;
	readonly disabled_ms: number | null;
	readonly has_password: boolean;
}

/** Somebody, as everybody may know them. */
export interface Profile {
	readonly username: string;
	readonly display_name: string;
	readonly bio: string;
	readonly avatar_url: string | null;
	readonly created_ms: number;
	readonly followers: number;
	/** Null where nobody is signed in. */
	readonly following: boolean | null;
}

/** Somebody as those see them who keep order in a channel. */
export interface Standing {
	readonly created_ms: number;
	/** Since when they follow the channel; null where they don't. */
	readonly follows_since_ms: number | null;
}

/** A session on some device. */
export interface Login {
	readonly id: string;
	readonly created_ms: number;
	readonly seen_ms: number;
	readonly expires_ms: number;
	readonly address: string;
	readonly agent: string;
	readonly current: boolean;
}

/** A stream key as it is listed: without its secret. */
export interface StreamKey {
	readonly id: string;
	readonly label: string;
	readonly last_four: string;
	readonly created_ms: number;
}

/** A piece of a list. */
export interface Page<T> {
	readonly items: readonly T[];
	/** To be given as `cursor` for what follows; null at the end. */
	readonly next: string | null;
}

type Fields = Readonly<Record<string, unknown>>;
export const fields = (body: unknown): Fields => (typeof body === 'object' && body !== null ? (body as Fields) : {});
export const text = (value: unknown): string => (typeof value === 'string' ? value : '');
export const textOrNull = (value: unknown): string | null => (typeof value === 'string' && value !== '' ? value : null);
export const number = (value: unknown): number => (typeof value === 'number' && Number.isFinite(value) ? value : 0);
export const numberOrNull = (value: unknown): number | null => (typeof value === 'number' && Number.isFinite(value) ? value : null);
export const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);
/** One of these words; the first for anything else. */
export const oneOf = <T extends string>(value: unknown, words: readonly [T, ...T[]]): T => words.find((word) => word === value) ?? words[0];

/** Reads each of a list; what can't be read is left out. */
export function each<T>(value: unknown, read: Reader<T>): T[] {
	return list(value).flatMap((item) => read(item) ?? []);
}

/** Reads a piece of a list of what `read` reads. */
export function page<T>(read: Reader<T>): Reader<Page<T>> {
	return (body) => (Array.isArray(fields(body)['items']) ? { items: each(fields(body)['items'], read), next: textOrNull(fields(body)['next']) } : null);
}

export const name: Reader<string> = textOrNull;

export const stream: Reader<Stream> = (body) => {
	const of = fields(body);
	const id = text(of['id']);
	if (id === '') return null;
	return {
		id,
		display_name: text(of['display_name']) || id,
		avatar_url: textOrNull(of['avatar_url']),
		title: text(of['title']),
		category: text(of['category']),
		tags: each(of['tags'], textOrNull),
		visibility: oneOf(of['visibility'], ['private', 'unlisted', 'public']),
		go_live: oneOf(of['go_live'], ['auto', 'manual']),
		takeover: oneOf(of['takeover'], ['newest', 'silent', 'reject']),
		state: oneOf(of['state'], ['offline', 'starting', 'live', 'reconnecting', 'ended']),
		session: textOrNull(of['session']),
		started_ms: numberOrNull(of['started_ms']),
		reconnect_until_ms: numberOrNull(of['reconnect_until_ms']),
		awaits_encoder: of['awaits_encoder'] === true,
		viewers: number(of['viewers']),
		hls_url: text(of['hls_url'])
	};
};

export const me: Reader<Me> = (body) => {
	const of = fields(body);
	const username = text(of['username']);
	if (username === '') return null;
	return {
		id: text(of['id']),
		username,
		email: textOrNull(of['email']),
		display_name: text(of['display_name']) || username,
		bio: text(of['bio']),
		color: textOrNull(of['color']),
		avatar_url: textOrNull(of['avatar_url']),
		role: oneOf(of['role'], ['user', 'admin']),
		created_ms: number(of['created_ms']),
		disabled_ms: numberOrNull(of['disabled_ms']),
		has_password: of['has_password'] === true
	};
};

export const profile: Reader<Profile> = (body) => {
	const of = fields(body);
	const username = text(of['username']);
	if (username === '') return null;
	return {
		username,
		display_name: text(of['display_name']) || username,
		bio: text(of['bio']),
		avatar_url: textOrNull(of['avatar_url']),
		created_ms: number(of['created_ms']),
		followers: number(of['followers']),
		following: typeof of['following'] === 'boolean' ? of['following'] : null
	};
};

export const standing: Reader<Standing> = (body) => {
	const { username, created_ms, follows_since_ms } = fields(body);
	return text(username) === '' ? null : { created_ms: number(created_ms), follows_since_ms: numberOrNull(follows_since_ms) };
};

export const login: Reader<Login> = (body) => {
	const of = fields(body);
	const id = text(of['id']);
	if (id === '') return null;
	const { created_ms, seen_ms, expires_ms, address, agent } = of;
	return { id, created_ms: number(created_ms), seen_ms: number(seen_ms), expires_ms: number(expires_ms), address: text(address), agent: text(agent), current: of['current'] === true };
};

export const logins: Reader<Login[]> = (body) => (Array.isArray(body) ? each(body, login) : null);

export const streamKey: Reader<StreamKey> = (body) => {
	const { id, label, last_four, created_ms } = fields(body);
	return text(id) === '' ? null : { id: text(id), label: text(label), last_four: text(last_four), created_ms: number(created_ms) };
};
