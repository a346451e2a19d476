// What is typed → how it may go on: a command, somebody's name, an emote.
import { commands, hint, type Command } from './commands';
import { EMOJI, EMOTES, find, written, type Emote } from './emotes';
import type { Role } from './protocol';

export type Offer =
	| { readonly kind: 'command'; readonly key: string; readonly insert: string; readonly command: Command }
	| { readonly kind: 'person'; readonly key: string; readonly insert: string; readonly login: string }
	| { readonly kind: 'emote'; readonly key: string; readonly insert: string; readonly emote: Emote };

export interface Completion {
	/** What of the text an offer takes the place of. */
	readonly from: number;
	readonly to: number;
	readonly offers: readonly Offer[];
}

/** More would be searched longer than typed. */
const MOST = 8;
const NOTHING: Completion = { from: 0, to: 0, offers: [] };

/** `caret` is where one types; `people` are the logins of who has spoken, the latest first. */
export function complete(text: string, caret: number, role: Role, people: readonly string[]): Completion {
	const before = text.slice(0, caret);
	const [, command] = /^\/([a-z]*)$/i.exec(before) ?? [];
	if (command !== undefined) return { from: 0, to: caret, offers: commands(command, role).map(toCommand) };
	const [, word = ''] = /(?:^|\s)(\S*)$/u.exec(before) ?? [];
	const from = caret - word.length;
	if (takesUser(before, role)) return { from, to: caret, offers: toPeople(word.replace(/^@/, ''), people, '') };
	if (word.startsWith('@')) return { from, to: caret, offers: toPeople(word.slice(1), people, '@') };
	const [, emote] = /^:([a-z0-9_]{2,32})$/i.exec(word) ?? [];
	if (emote === undefined) return NOTHING;
	return { from, to: caret, offers: find(emote, [...EMOTES, ...EMOJI]).slice(0, MOST).map(toEmote) };
}

/** The text with an offer in it, and where one goes on typing. */
export function completed(text: string, { from, to }: Completion, { insert }: Offer): { text: string; caret: number } {
	return { text: text.slice(0, from) + insert + text.slice(to).replace(/^ /, insert.endsWith(' ') ? '' : ' '), caret: from + insert.length };
}

function takesUser(before: string, role: Role): boolean {
	const going = hint(before, role);
	return going !== null && going.at === 0 && going.command.takes[0] === 'USER';
}

const toCommand = (command: Command): Offer => ({ kind: 'command', key: command.name, insert: `/${command.name}${command.takes.length === 0 ? '' : ' '}`, command });
const toEmote = (emote: Emote): Offer => ({ kind: 'emote', key: emote.emoji ?? emote.name, insert: `${written(emote)} `, emote });

function toPeople(begun: string, people: readonly string[], sign: string): Offer[] {
	const meant = people.filter((login) => login.startsWith(begun.toLowerCase()));
	return meant.slice(0, MOST).map((login) => ({ kind: 'person', key: login, insert: `${sign}${login} `, login }));
}
