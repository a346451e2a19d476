import { existsSync, readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { EMOJI, EMOTES, find, onlyEmotes, written } from './emotes';

const FOLDER = new URL('../../../static/emotes/', import.meta.url);

describe('the emotes', () => {
	it('each have a picture, and each picture is one', () => {
		expect(readdirSync(FOLDER).toSorted()).toEqual(EMOTES.map(({ name }) => `${name}.svg`).toSorted());
		expect(existsSync(new URL('wave.svg', FOLDER))).toBe(true);
	});
	it('are emotes to the hub as they are written', () => {
		expect([...EMOTES, ...EMOJI].filter((emote) => !onlyEmotes(written(emote)))).toEqual([]);
	});
	it('are found by name first, then by what they are about', () => {
		expect(find('la', EMOTES).map(({ name }) => name)).toEqual(['laugh', 'rocket']);
		expect(find('lol', EMOTES).map(({ name }) => name)).toEqual(['laugh']);
		expect(find('', EMOTES)).toHaveLength(EMOTES.length);
	});
});

describe('a text of emotes alone', () => {
	// The hub's own examples, of chat-mesh/src/moderation/emotes.rs.
	it.each(['😀', '👩‍👩‍👧 ❤️', ':wave:', '🇫🇷', '1️⃣', ':a_1: 😀😀'])('%s is one', (text) => expect(onlyEmotes(text)).toBe(true));
	it.each(['', ' ', 'hi', '1', '#', '😀hi', ':)', '::', ':a b:', '😀 hi', '12 😀'])('"%s" is none', (text) => expect(onlyEmotes(text)).toBe(false));
});
