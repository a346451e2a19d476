// Where a viewer goes in: the channel's multivariant playlist, with the playback token that the page was opened with.

/** `hash` is the page's fragment, which browsers tell no server: `#token=eyJ…` on a link to a private channel. */
export function entrance(origin: string, channel: string, hash: string): string {
	const token = new URLSearchParams(hash.replace(/^#/, '')).get('token');
	const query = token ? `?${new URLSearchParams({ token })}` : '';
	return `${origin}/live/${encodeURIComponent(channel)}/index.m3u8${query}`;
}
