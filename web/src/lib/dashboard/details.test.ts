import { expect, it } from 'vitest';
import { addTags, changes, follow, type Details } from './details';

const saved: Details = { title: 'Engines', category: 'Science', tags: ['live'], visibility: 'public', go_live: 'auto', takeover: 'newest' };

it('sends what differs, and nothing where nothing does', () => {
	expect(changes(saved, { ...saved, tags: ['live'] })).toBeNull();
	expect(changes(saved, { ...saved, title: 'More', tags: [] })).toEqual({ title: 'More', tags: [] });
});

it('keeps what is being edited when somebody else saves', () => {
	const after = { ...saved, title: 'Theirs', category: 'Music' };
	expect(follow(saved, after, { ...saved, title: 'Mine' })).toEqual({ ...after, title: 'Mine' });
});

it('makes tags of words, without # and without doubles, at most ten', () => {
	expect(addTags(['live'], '#Rust, live  LIVE')).toEqual(['live', 'Rust']);
	expect(addTags([], 'a b c d e f g h i j k')).toHaveLength(10);
});
