// What the site that shows the player wants of it: `?muted=0&autoplay=0`.

export interface Wishes {
	/** Whether it begins without sound. Browsers let few frames begin with it. */
	readonly muted: boolean;
	/** Whether it begins by itself. */
	readonly autoplay: boolean;
}

/** `0`, `no`, `off` and `false` are no; anything else, and nothing, is yes. */
export function wishes(query: URLSearchParams): Wishes {
	const wanted = (name: string) => !['0', 'no', 'off', 'false'].includes(query.get(name)?.toLowerCase() ?? '');
	return { muted: wanted('muted'), autoplay: wanted('autoplay') };
}
