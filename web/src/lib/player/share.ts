// A channel → what others are given of it.

/** Where it is watched. */
export const link = (origin: string, channel: string): string => `${origin}/c/${encodeURIComponent(channel)}`;

/** HTML that shows the player in another page. */
export function embed(origin: string, channel: string, title: string): string {
	const name = title.replace(/&/g, '&amp;').replace(/"/g, '&quot;').replace(/</g, '&lt;');
	return `<iframe src="${origin}/embed/${encodeURIComponent(channel)}" title="${name}" width="640" height="360" allow="autoplay; fullscreen; picture-in-picture" allowfullscreen></iframe>`;
}
