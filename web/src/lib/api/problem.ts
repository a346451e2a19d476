// What went wrong with a request: problem details (RFC 9457), or no answer.

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

/** What the API, or the lack of it, answered. */
export type Reply<T = unknown> = { readonly ok: true; readonly body: T } | { readonly ok: false; readonly problem: Problem };

/** No answer came. */
export const SILENCE: Problem = { status: 0, detail: '', field: '', retryAfter: null };

/** Reads problem details; what is missing or strange is empty. */
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
