// Lines → who has spoken, and what somebody has said.
import type { Line } from './channel';
import type { Author } from './protocol';

type Spoken = Line & { readonly kind: 'said' };

/** The logins of who has spoken, the latest first. */
export function speakers(lines: readonly Line[]): string[] {
	const logins = new Set<string>();
	for (const line of lines.toReversed()) if (line.kind === 'said') logins.add(line.said.user.login);
	return [...logins];
}

/** What somebody has said and nobody has taken back, the latest last, at most `most`. */
export function saidBy(lines: readonly Line[], login: string, most: number): Spoken[] {
	return lines.filter((line): line is Spoken => line.kind === 'said' && line.said.user.login === login && !line.said.deleted).slice(-most);
}

/** Somebody as their last message shows them; null where there is none. */
export function author(lines: readonly Line[], login: string): Author | null {
	const last = lines.findLast((line): line is Spoken => line.kind === 'said' && line.said.user.login === login);
	return last?.said.user ?? null;
}
