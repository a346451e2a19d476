// Where the chat of a channel is, and how a page shows that it may read a private one.

/** The address of a hub's socket: on `host` (a name, or a name and a port), or where the page comes from. */
export function address(page: { protocol: string; host: string }, host: string | null, channel: string): string {
	return `${page.protocol === 'https:' ? 'wss' : 'ws'}://${host ?? page.host}/chat/${encodeURIComponent(channel)}`;
}

/** The subprotocols that carry a playback token, which pages can't send in a header field. Tokens never go into addresses: those end up in logs. */
export function protocols(playback: string | null): string[] {
	return playback === null ? [] : ['freshet.chat.v1', `bearer.${playback}`];
}
