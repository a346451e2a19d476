// What the player says where other sites show it.

export const WORDS = {
	watch: 'Watch on Freshet'
} as const;

/** The name of the button that loads the player. */
export const playName = (channel: string) => `Play ${channel}`;
