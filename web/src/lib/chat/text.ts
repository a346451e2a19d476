// A message's text → pieces: plain, or a mention. Text stays text; nothing here is ever HTML.

/** The longest text of a message, in characters. */
export const MOST_CHARACTERS = 500;

export interface Piece {
	readonly text: string;
	readonly kind: 'plain' | 'mention' | 'me';
}

/** How many characters a text has, as the hub counts them: not in UTF-16 units. */
export function characters(text: string): number {
	return [...text].length;
}

/** Cuts a text at its mentions (`@login`); `me` is who reads. */
export function pieces(text: string, me: string | null): Piece[] {
	const found: Piece[] = [];
	let from = 0;
	for (const match of text.matchAll(/(?<![\w@])@([a-z0-9][a-z0-9_-]{0,31})/gi)) {
		if (match.index > from) found.push({ text: text.slice(from, match.index), kind: 'plain' });
		found.push({ text: match[0], kind: match[1]?.toLowerCase() === me ? 'me' : 'mention' });
		from = match.index + match[0].length;
	}
	if (from < text.length) found.push({ text: text.slice(from), kind: 'plain' });
	return found;
}

/** Whether a message calls the reader: by a mention, or as an answer to them. */
export function calls(text: string, replyTo: string | null, me: string | null): boolean {
	return me !== null && (replyTo === me || pieces(text, me).some(({ kind }) => kind === 'me'));
}
