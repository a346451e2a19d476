// The REST API's part that concerns signing in (docs/api.md): requests, answers, problem details.

export interface Tokens {
	readonly access_token: string;
	readonly refresh_token: string;
	/** For how many seconds the access token is good. */
	readonly expires_in: number;
	readonly username: string;
}

/** What the API, or the lack of it, answered. */
export type Reply = { readonly ok: true; readonly body: unknown } | { readonly ok: false; readonly problem: Problem };

export interface Problem {
	/** Of HTTP; 0 where no answer came. */
	readonly status: number;
	/** The server's words; empty without. */
	readonly detail: string;
	/** What is wrong in the form; empty where the server doesn't say. */
	readonly field: string;
	/** Seconds to wait; null where the server doesn't say. */
	readonly retryAfter: number | null;
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
		return { ok: false, problem: { status: 0, detail: '', field: '', retryAfter: null } };
	}
};

/** Reads problem details (RFC 9457); what is missing or strange is empty. */
export function problem(status: number, body: string, retryAfter: string | null): Problem {
	const text = (value: unknown) => (typeof value === 'string' ? value : '');
	const seconds = Number.parseInt(retryAfter ?? '', 10);
	let said: { detail?: unknown; field?: unknown } = {};
	try {
		said = Object(JSON.parse(body)) as typeof said;
	} catch {
		// A proxy's page, or nothing.
	}
	return { status, detail: text(said.detail), field: text(said.field), retryAfter: Number.isNaN(seconds) ? null : seconds };
}

/** Reads tokens; null where it is something else. */
export function tokens(body: unknown): Tokens | null {
	const { access_token, refresh_token, expires_in, username } = Object(body) as Record<string, unknown>;
	const whole = typeof access_token === 'string' && typeof refresh_token === 'string' && typeof expires_in === 'number' && typeof username === 'string';
	return whole ? { access_token, refresh_token, expires_in, username } : null;
}
