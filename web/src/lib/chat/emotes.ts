// Emotes: names between colons that are shown as pictures of ours, and emoji, which are shown as they are.
//
// The hub takes both for emotes (emote-only mode, chat-mesh/src/moderation/emotes.rs), and any name of the right form, so that
// other clients may have pictures of their own. Here a name without a picture stays text.

export interface Emote {
	/** As it is written, without the colons; for an emoji, as it is found. */
	readonly name: string;
	/** Further words by which it is found. */
	readonly words: string;
	/** What is written where it is no name: the emoji itself. */
	readonly emoji?: string;
}

const of = (...lines: string[]): Emote[] =>
	lines.map((line) => {
		const [name = '', ...words] = line.split(' ');
		return { name, words: words.join(' ') };
	});

/** Those of static/emotes, in the order of the picker. */
export const EMOTES: readonly Emote[] = [
	...of('wave hello hi water freshet', 'heart love like', 'fire hot lit ember', 'star good gold'),
	...of('laugh lol haha happy', 'cry sad tears', 'wow surprised gasp', 'think hmm wonder'),
	...of('cool sunglasses easy', 'angry mad rage', 'sleep tired zzz bored', 'eyes look watching'),
	...of('thumb yes up agree', 'party celebrate tada confetti', 'fish trout catch', 'frog green pepe', 'duck rubber yellow', 'ghost boo spooky', 'rocket launch ship fast', 'gg good game')
];

/** The emoji of the picker, each with the words by which it is found. */
export const EMOJI: readonly Emote[] = Object.entries({
	...{ '😀': 'grin smile', '😂': 'joy tears laugh', '🥹': 'touched', '😍': 'adore love', '😎': 'shades', '🤔': 'thinking', '😴': 'asleep', '😭': 'sob' },
	...{ '😱': 'scream', '🤯': 'mindblown', '🙄': 'rolleyes', '😅': 'sweat', '🙃': 'upsidedown', '🥳': 'partying', '🤝': 'handshake', '👏': 'clap' },
	...{ '👍': 'thumbsup yes', '👎': 'thumbsdown no', '🙌': 'hooray', '🙏': 'please thanks', '💪': 'strong', '👋': 'hand bye', '💯': 'hundred', '✨': 'sparkles' },
	...{ '🔥': 'flame', '🎉': 'tada', '💀': 'skull dead', '👀': 'look', '🎮': 'game controller', '🎵': 'music note', '☕': 'coffee', '🌊': 'ocean' }
}).map(([emoji, line]) => ({ emoji, name: line.split(' ')[0] ?? '', words: line }));

const NAMED = /^:[A-Za-z0-9_]{1,32}:$/;
const KEYCAP = '\u20e3';
const PICTURES = new Map(EMOTES.map((emote) => [emote.name, emote]));

/** Whether a name, without its colons, has a picture here. */
export const isPictured = (name: string): boolean => PICTURES.has(name);

/** What is written to have it. */
export const written = ({ name, emoji }: Emote): string => emoji ?? `:${name}:`;

/** Those whose name or words begin with `typed`; those by name first. */
export function find(typed: string, among: readonly Emote[]): Emote[] {
	const begun = typed.toLowerCase();
	const named = among.filter(({ name }) => name.startsWith(begun));
	const worded = among.filter((emote) => !named.includes(emote) && emote.words.split(' ').some((word) => word.startsWith(begun)));
	return [...named, ...worded];
}

/** Whether a text has emotes and nothing else, by the hub's own rules. */
export function onlyEmotes(text: string): boolean {
	const words = text.split(/\s+/u).filter((word) => word !== '');
	return words.length > 0 && words.every((word) => NAMED.test(word) || isEmoji(word));
}

/** Digits, `#` and `*` are parts of emoji (keycaps) and by themselves none. */
function isEmoji(word: string): boolean {
	const ascii = (character: string) => character <= '\u007f';
	const all = [...word];
	const some = all.some((one) => one === KEYCAP || (!ascii(one) && /\p{Emoji}/u.test(one)));
	return some && all.every((one) => /[\p{Emoji}\p{Emoji_Component}]/u.test(one) && (!ascii(one) || word.includes(KEYCAP)));
}
