// The REST API's part that concerns signing in (docs/api.md): requests and answers.
import { problem, SILENCE, type Reply } from '$lib/api/problem';

export interface Tokens {
	readonly access_token: string;
	readonly refresh_token: string;
	/** For how many seconds the access token is good. */
	readonly expires_in: number;
	readonly username: string;
}

export type Path = '/api/auth/login' | '/api/auth/register' | '/api/auth/refresh' | '/api/auth/logout';

/** Asks; the same `key` asked again gets the same answer, for ten minutes. */
export type Ask = (path: Path, body: object, more: { key?: string; token?: string }) => Promise<Reply>;

const PATIENCE_MS = 15_000;

export const ask: Ask = async (path, body, { key, token }) => {
	const headers = {
		'content-type': 'application/json',
		...(key && { 'idempotency-key': key }),
		...(token && { authorization: `Bearer ${token}` })
	};
	try {
		const reply = await fetch(path, { method: 'POST', headers, body: JSON.stringify(body), signal: AbortSignal.timeout(PATIENCE_MS) });
		const text = await reply.text();
		if (reply.ok) return { ok: true, body: text === '' ? null : JSON.parse(text) };
		return { ok: false, problem: problem(reply.status, text, reply.headers.get('retry-after')) };
	} catch {
		return { ok: false, problem: SILENCE };
	}
};

/** Reads tokens; null where it is something else. */
export function tokens(body: unknown): Tokens | null {
	const { access_token, refresh_token, expires_in, username } = Object(body) as Record<string, unknown>;
	const whole = typeof access_token === 'string' && typeof refresh_token === 'string' && typeof expires_in === 'number' && typeof username === 'string';
	return whole ? { access_token, refresh_token, expires_in, username } : null;
}
