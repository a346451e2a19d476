// A player's status → what the page says. Plain words, and what happens next.
import type { Status } from './watch';

export interface Words {
	readonly title: string;
	readonly detail: string;
}

const WORDS: Record<Exclude<Status, 'live'>, Words> = {
	connecting: { title: 'Connecting', detail: '' },
	offline: { title: 'Offline', detail: 'When the stream starts, it plays here by itself.' },
	starting: { title: 'Starting', detail: 'The first pictures are on their way.' },
	reconnecting: {
		title: 'Waiting for the encoder',
		detail: 'The connection from the streamer has dropped. The picture goes on by itself when it is back.'
	},
	unreachable: { title: 'No connection to the server', detail: 'Your network or the server is away.' },
	ended: { title: 'The stream has ended', detail: 'If it starts again, it plays here by itself.' },
	private: { title: 'This channel is private', detail: 'Ask its owner for a link that lets you watch.' },
	unplayable: {
		title: 'This browser can’t play the stream',
		detail: 'It lacks a decoder for its format. The streamer can choose H.264 with 4:2:0 colour, and AAC, which play everywhere.'
	}
};

/** What to say over the picture; nothing while it is live. */
export function words(status: Status): Words | null {
	return status === 'live' ? null : WORDS[status];
}

/** The one word beside the channel's name. */
export function badge(status: Status): string {
	const names: Record<Status, string> = {
		connecting: 'Connecting',
		offline: 'Offline',
		starting: 'Starting',
		live: 'Live',
		reconnecting: 'Interrupted',
		unreachable: 'No connection',
		ended: 'Ended',
		private: 'Private',
		unplayable: 'Not playable'
	};
	return names[status];
}
