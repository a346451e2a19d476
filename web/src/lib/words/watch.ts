// What people read where they watch: the player, what is said over the picture, and what is told of the stream.
import type { Action } from '$lib/player/keys';
import { inWords } from '$lib/player/latency';
import type { Status } from '$lib/player/watch';

export interface Notice {
	readonly title: string;
	readonly detail: string;
}

const NOTICES: Record<Exclude<Status, 'live'>, Notice> = {
	connecting: { title: 'Connecting', detail: '' },
	offline: { title: 'Offline', detail: 'When the stream starts, it plays here by itself.' },
	starting: { title: 'Starting', detail: 'The first pictures are on their way.' },
	reconnecting: {
		title: 'Reconnecting',
		detail: 'The connection from the streamer has dropped. The picture goes on by itself when it is back.'
	},
	unreachable: { title: 'No connection to the server', detail: 'Your network or the server is away.' },
	overloaded: { title: 'The server is full', detail: 'More people want to watch than it can serve. You get in as soon as there is room.' },
	ended: { title: 'The stream has ended', detail: 'If it starts again, it plays here by itself.' },
	private: { title: 'This channel is private', detail: 'Ask its owner for a link that lets you watch.' },
	unplayable: {
		title: 'This browser can’t play the stream',
		detail: 'It lacks a decoder for its format. The streamer can choose H.264 with 4:2:0 colour, and AAC, which play everywhere.'
	},
	broken: { title: 'The picture is damaged', detail: 'This browser could not decode what it was sent. It is being loaded anew.' }
};

/** Nothing new is shown, though the streamer is there: it may be anything between. */
const STALLED: Notice = { title: 'Waiting for the picture', detail: 'Nothing new has come for a moment. It goes on by itself.' };

/** What to say over the picture; nothing while it is live. `there` is whether the streamer is known to be. */
export function notice(status: Status, there = false): Notice | null {
	if (status === 'reconnecting' && there) return STALLED;
	return status === 'live' ? null : NOTICES[status];
}

const BADGES: Record<Status, string> = {
	connecting: 'Connecting',
	offline: 'Offline',
	starting: 'Starting',
	live: 'Live',
	reconnecting: 'Interrupted',
	unreachable: 'No connection',
	overloaded: 'Full',
	ended: 'Ended',
	private: 'Private',
	unplayable: 'Not playable',
	broken: 'Damaged'
};

/** The one word beside the channel's name. */
export const badge = (status: Status): string => BADGES[status];

export const WORDS = {
	player: 'Player',
	picture: (channel: string) => `Live picture of ${channel}`,
	play: 'Play',
	pause: 'Pause',
	soundOn: 'Turn the sound on',
	soundOff: 'Turn the sound off',
	tapForSound: 'Tap for sound',
	volume: 'Volume',
	live: 'Live',
	goLive: 'Go live',
	full: 'Full screen',
	leaveFull: 'Leave full screen',
	float: 'Picture in picture',
	unfloat: 'Back into the page',
	theatre: 'Theatre',
	leaveTheatre: 'Leave the theatre',
	hideChat: 'Hide the chat',
	showChat: 'Show the chat',
	seek: 'Go back in the stream',
	settings: 'Settings',
	quality: 'Quality',
	auto: (level: string) => (level ? `Auto (${level})` : 'Auto'),
	audioOnly: 'Sound only',
	onlySound: 'You hear the sound alone',
	distance: 'Distance to live',
	near: 'Low latency',
	stable: 'Stable',
	nearHint: 'As near to the camera as can be',
	stableHint: 'Some seconds more, for shaky networks',
	statistics: 'Stats for nerds',
	keys: 'Keyboard',
	tryNow: 'Try again now',
	listen: 'Listen only',
	tryingIn: (seconds: number) => (seconds > 0 ? `Trying again in ${seconds} s` : 'Trying again…'),
	waiting: (seconds: number) => `Waiting for ${seconds < 60 ? `${seconds} s` : inWords(seconds)}`,
	lastTime: (title: string) => `Last on: ${title}`,
	behindCamera: 'Behind the camera',
	latencyUnknown: 'Latency unknown',
	latency: (seconds: number) => `${inWords(seconds)} behind the camera`,
	now: 'now'
};

/** What each key does, for the help. */
export const ACTIONS: Record<Action, string> = {
	toggle: 'Play or pause',
	sound: 'Sound on or off',
	louder: 'Louder',
	quieter: 'Quieter',
	back: '5 seconds back',
	forward: '5 seconds on',
	live: 'Go live',
	full: 'Full screen',
	theatre: 'Theatre',
	float: 'Picture in picture',
	chat: 'Show or hide the chat',
	help: 'These keys'
};

const KEY_NAMES: Record<string, string> = { ' ': 'space', ArrowLeft: '←', ArrowRight: '→', ArrowUp: '↑', ArrowDown: '↓' };

/** What is written on a key. */
export const keyName = (key: string): string => KEY_NAMES[key] ?? key;

/** What is told of the stream under the picture. */
export const ABOUT = {
	untitled: 'Untitled stream',
	noSuchChannel: 'There is no channel of this name',
	noSuchChannelHint: 'Names are written with small letters, digits, _ and -.',
	tags: 'Tags',
	uptime: (time: string) => `On for ${time}`,
	share: 'Share',
	shareTitle: 'Share this channel',
	link: 'Link',
	embed: 'HTML for a page of yours',
	copy: (what: string) => `Copy: ${what}`
};

/** What is told to the curious. */
export const STATS = {
	title: 'Stats for nerds',
	split: 'Glass to glass',
	toOrigin: 'Encoder to origin',
	packaging: 'Into a part, at the origin',
	toEdge: 'Origin to edge',
	toPlayer: 'Edge to you',
	buffer: 'In your player',
	total: 'Together',
	edge: 'Edge',
	cache: 'It had the latest piece',
	protocol: 'Protocol',
	picture: 'Picture',
	frames: 'Frames',
	bitrate: 'Bitrate',
	throughput: 'Your network',
	ahead: 'Buffer',
	target: 'Target behind the edge',
	rate: 'Rate',
	clock: 'Your clock is off by',
	milliseconds: (ms: number) => `${Math.round(ms) || 0} ms`,
	seconds: (seconds: number) => `${seconds.toFixed(2)} s`,
	perSecond: (frames: number, dropped: number) => `${frames.toFixed(0)}/s, ${dropped} dropped`,
	times: (rate: number) => `${rate.toFixed(2)} ×`,
	unknown: '–'
};

const CACHES: Record<string, string> = {
	hit: 'in its memory',
	assembled: 'put together from parts',
	miss: 'fetched for you',
	coalesced: 'was fetching it already',
	held: 'held until it came',
	stalled: 'nothing came in time'
};

/** How an edge had a piece, from its `Server-Timing`. */
export const cacheWords = (cache: string | null): string => (cache === null ? STATS.unknown : (CACHES[cache] ?? cache));
