// What the first page says, in English, in one place.
import type { Asked } from '$lib/browse/list';

export const WORDS = {
	title: 'Live now',
	mine: 'Channels you follow',
	others: 'Everybody else',
	channels: 'Channels',
	all: 'All',
	categories: 'Categories',
	untitled: 'Untitled stream',
	starting: 'Starting',
	reconnecting: 'Interrupted',
	nothingFound: 'Nothing that is live has this in it',
	nothingFoundHint: 'Names, titles and tags of what is live are searched.',
	nothingTagged: 'Nothing that is live has this tag',
	nothingTaggedHint: 'Tags are matched as a whole. A search finds parts of them, too.',
	showAll: 'Show everything',
	emptyTitle: 'Nothing is on right now.',
	emptyHint: 'Point an encoder here, and the picture is on this site in about two seconds.',
	openDashboard: 'Get your stream key',
	makeAccount: 'Make your channel',
	service: 'Service',
	custom: 'Custom…',
	server: 'Server',
	noServer: 'the RTMP URL that Freshet printed when it started',
	streamKey: 'Stream key',
	keyHint: 'in your dashboard, once you are logged in',
	keyframes: 'Keyframe interval',
	video: 'Video',
	audio: 'Audio',
	encoderHint: 'In OBS Studio these are under Settings, Stream and Output.',
	stale: 'The list can’t be brought up to date at present.',
	away: 'The list of channels can’t be reached at present.',
	searchTitle: 'Search'
} as const;

export const copyServer = (server: string) => `Copy ${server}`;

/** What is shown, as the heading of the first page. */
export function titleOf({ search, category, tag }: Asked): string {
	if (search !== '') return `Live, with “${search}”`;
	if (tag !== '') return `Live, tagged ${tag}`;
	return category !== '' ? `Live in ${category}` : WORDS.title;
}

/** The way to a channel that may be off. */
export const openChannel = (channel: string) => `Open the channel ${channel}`;
export const watchChannel = (channel: string) => `Watch ${channel}`;
export const waitsFor = (channel: string) => `${channel} shows its stream as soon as it begins.`;
/** Until when an interrupted stream is waited for, in the room of a badge. */
export const graceShort = (seconds: number) => `${seconds} s left`;
export const onFor = (time: string) => `on for ${time}`;
export const tagged = (tag: string) => `Tag ${tag}`;
export const withoutTag = (tag: string) => `Show those without the tag ${tag}, too`;
