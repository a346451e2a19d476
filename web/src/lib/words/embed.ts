// What the player says where other sites show it.

export const WORDS = {
	play: 'Play',
	watch: 'Watch on Freshet'
} as const;

/** The name of the link to the channel's page. */
export const watchName = (channel: string) => `Watch ${channel} on Freshet, in a new tab`;

/** The name of the button that loads the player. */
export const playName = (channel: string) => `Play ${channel}`;
