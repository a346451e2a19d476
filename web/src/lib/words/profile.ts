// What somebody's public page says, in English, in one place.

export const WORDS = {
	follow: 'Follow',
	following: 'Following',
	noSuchPerson: 'There is nobody of that name',
	offline: 'Not live right now',
	offlineHint: 'Follow the channel, and it comes first on your first page when it is live.',
	openChannel: 'Open the channel',
	watch: 'Watch',
	settings: 'Edit your profile',
	itsYou: 'This is how others see you.'
} as const;

export const memberSince = (date: string) => `Here since ${date}`;
export const liveWith = (title: string) => title || 'Untitled stream';
export const unfollow = (name: string) => `Following ${name}: stop`;
export const followName = (name: string) => `Follow ${name}`;
