// A message's text → pieces: plain, a mention, an emote, a link. Text stays text; nothing here is ever HTML.
import { isPictured, onlyEmotes } from './emotes';

/** The longest text of a message, in characters. */
export const MOST_CHARACTERS = 500;
/** Emotes by themselves, and no more than so many, are shown large. */
const MOST_LARGE = 4;

export interface Piece {
	readonly text: string;
	readonly kind: 'plain' | 'mention' | 'me' | 'emote' | 'link';
	/** Of a mention the login, of an emote the name, of a link the address. */
	readonly of?: string;
}

/** How many characters a text has, as the hub counts them: not in UTF-16 units. */
export function characters(text: string): number {
	return [...text].length;
}

const SPECIAL = /(?<![\w@])@([a-z0-9][a-z0-9_-]{0,31})|:([a-z0-9_]{1,32}):|\bhttps?:\/\/[^\s<>"]+/gi;

/** Cuts a text at its mentions (`@login`), emotes (`:name:`) and web addresses; `me` is who reads. */
export function pieces(text: string, me: string | null): Piece[] {
	const found: Piece[] = [];
	let from = 0;
	for (const match of text.matchAll(SPECIAL)) {
		const piece = special(match, me);
		if (!piece) continue;
		if (match.index > from) found.push({ text: text.slice(from, match.index), kind: 'plain' });
		found.push(piece);
		from = match.index + piece.text.length;
	}
	if (from < text.length) found.push({ text: text.slice(from), kind: 'plain' });
	return found;
}

function special([whole, login, name]: RegExpMatchArray, me: string | null): Piece | null {
	if (login) return { text: whole, kind: login.toLowerCase() === me ? 'me' : 'mention', of: login.toLowerCase() };
	if (name) return isPictured(name) ? { text: whole, kind: 'emote', of: name } : null;
	// A full stop after an address ends the sentence.
	const text = whole.replace(/[.,;:!?)\]}'’]+$/u, '');
	return URL.canParse(text) ? { text, kind: 'link', of: text } : null;
}

/** Whether a text is a few emotes and nothing else. */
export function isLarge(text: string): boolean {
	return onlyEmotes(text) && text.trim().split(/\s+/u).length <= MOST_LARGE && characters(text) <= 60;
}

/** Whether a message calls the reader: by a mention, or as an answer to them. */
export function calls(text: string, replyTo: string | null, me: string | null): boolean {
	return me !== null && (replyTo === me || pieces(text, me).some(({ kind }) => kind === 'me'));
}
