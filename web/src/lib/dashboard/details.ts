// What a channel is called and who may watch it, while somebody edits it.
import type { Stream } from '$lib/api/types';

export type Details = Pick<Stream, 'title' | 'category' | 'tags' | 'visibility' | 'go_live' | 'takeover'>;
export type Detail = keyof Details;

export const DETAILS: readonly Detail[] = ['title', 'category', 'tags', 'visibility', 'go_live', 'takeover'];

export const MAX_TITLE = 140;
export const MAX_CATEGORY = 64;
export const MAX_TAGS = 10;

export const detailsOf = ({ title, category, tags, visibility, go_live, takeover }: Details): Details => ({ title, category, tags, visibility, go_live, takeover });

const same = (one: Details[Detail], other: Details[Detail]) => JSON.stringify(one) === JSON.stringify(other);

/** What differs; null where nothing does. */
export function changes(saved: Details, draft: Details): Partial<Details> | null {
	const changed = DETAILS.filter((field) => !same(saved[field], draft[field]));
	return changed.length === 0 ? null : (Object.fromEntries(changed.map((field) => [field, draft[field]])) as Partial<Details>);
}

/** What somebody else has saved meanwhile comes into the draft where it is not being edited. */
export function follow(before: Details, after: Details, draft: Details): Details {
	const own = changes(before, draft) ?? {};
	return { ...after, ...own };
}

/** Adds what was typed as tags: words, split at spaces and commas; as the API has them, without a # and without doubles. */
export function addTags(tags: readonly string[], typed: string): string[] {
	const all = [...tags];
	for (const word of typed.split(/[\s,]+/u)) {
		const tag = word.replace(/^#/, '');
		if (tag !== '' && !all.some((known) => known.toLowerCase() === tag.toLowerCase())) all.push(tag);
	}
	return all.slice(0, MAX_TAGS);
}
