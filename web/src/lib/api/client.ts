// The door to the REST API (docs/api.md), for whoever is signed in, and for those who aren't.
//
// path, what to send ──▶ bearer of the account, Idempotency-Key for changes ──▶ the answer, read, or what went wrong
//
// A token that is refused was revoked, or the clock is wrong: the account gets another one, and the same is asked once more,
// under the same key.
import { problem, SILENCE, type Reply } from './problem';

/** Whose requests they are. `Account` is one. */
export interface Credentials {
	token(): Promise<string | null>;
	refused(): Promise<void>;
}

/** Makes an object of an answer; null where it is something else. */
export type Reader<T> = (body: unknown) => T | null;
/** What a URL asks beside its path; what is null, undefined or empty is left out. */
export type Query = Readonly<Record<string, string | number | null | undefined>>;

interface Asked {
	readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
	readonly body?: object;
	readonly signal?: AbortSignal;
}

const PATIENCE_MS = 15_000;

export class Client {
	readonly #who: Credentials;
	readonly #send: typeof fetch;
	readonly #key: () => string;

	/** `key` draws what nobody else draws. */
	constructor(who: Credentials, send: typeof fetch, key: () => string) {
		this.#who = who;
		this.#send = send;
		this.#key = key;
	}

	get<T>(path: string, read: Reader<T>, query: Query = {}, signal?: AbortSignal): Promise<Reply<T>> {
		return this.#ask(withQuery(path, query), { method: 'GET', signal }, read);
	}

	post<T = null>(path: string, body?: object, read?: Reader<T>): Promise<Reply<T>> {
		return this.#ask(path, { method: 'POST', body }, read);
	}

	/** A `Blob` is sent as it is, anything else as JSON. */
	put<T = null>(path: string, body?: object, read?: Reader<T>): Promise<Reply<T>> {
		return this.#ask(path, { method: 'PUT', body }, read);
	}

	patch<T = null>(path: string, body: object, read?: Reader<T>): Promise<Reply<T>> {
		return this.#ask(path, { method: 'PATCH', body }, read);
	}

	delete<T = null>(path: string, body?: object, read?: Reader<T>): Promise<Reply<T>> {
		return this.#ask(path, { method: 'DELETE', body }, read);
	}

	async #ask<T>(path: string, asked: Asked, read?: Reader<T>): Promise<Reply<T>> {
		const key = asked.method === 'GET' ? null : this.#key();
		const first = await this.#who.token();
		const reply = await this.#once(path, asked, key, first, read);
		if (reply.ok || reply.problem.status !== 401 || first === null) return reply;
		await this.#who.refused();
		const second = await this.#who.token();
		return second === null ? reply : this.#once(path, asked, key, second, read);
	}

	async #once<T>(path: string, { method, body, signal }: Asked, key: string | null, token: string | null, read?: Reader<T>): Promise<Reply<T>> {
		const file = body instanceof Blob;
		const headers = {
			...(body && { 'content-type': file ? body.type : 'application/json' }),
			...(key !== null && { 'idempotency-key': key }),
			...(token !== null && { authorization: `Bearer ${token}` })
		};
		const patience = AbortSignal.timeout(PATIENCE_MS);
		try {
			const reply = await this.#send(path, { method, headers, body: file ? body : body && JSON.stringify(body), signal: signal ? AbortSignal.any([signal, patience]) : patience });
			const text = await reply.text();
			if (!reply.ok) return { ok: false, problem: problem(reply.status, text, reply.headers.get('retry-after')) };
			const got = read ? read(parse(text)) : (null as T);
			// An answer that can't be read is as a gateway's that has none.
			return got === null && read ? { ok: false, problem: { ...SILENCE, status: 502 } } : { ok: true, body: got as T };
		} catch {
			return { ok: false, problem: SILENCE };
		}
	}
}

function parse(text: string): unknown {
	try {
		return JSON.parse(text) as unknown;
	} catch {
		return null;
	}
}

/** A path with what is asked of it. */
export function withQuery(path: string, query: Query): string {
	const set = Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== '');
	if (set.length === 0) return path;
	return `${path}?${new URLSearchParams(set.map(([name, value]) => [name, String(value)])).toString()}`;
}
