// Where a viewer goes in: the channel's multivariant playlist, with the playback token that the page was opened with.

/** The playback token on a link to a private channel, in the page's fragment; null without one. */
export function playbackToken(hash: string): string | null {
	return new URLSearchParams(hash.replace(/^#/, '')).get('token') || null;
}

/** `hash` is the page's fragment, which browsers tell no server: `#token=eyJ…` on a link to a private channel. */
export function entrance(origin: string, channel: string, hash: string): string {
	const token = playbackToken(hash);
	const query = token ? `?${new URLSearchParams({ token })}` : '';
	return `${origin}/live/${encodeURIComponent(channel)}/index.m3u8${query}`;
}
