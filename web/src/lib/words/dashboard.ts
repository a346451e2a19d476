// What the dashboard says: in English, in one place.
import type { Picture } from '$lib/dashboard/encoders';
import type { Grade, Light, Subject } from '$lib/dashboard/verdict';

export const WORDS = {
	title: 'Dashboard',
	parts: 'Parts of the dashboard',
	stream: 'Stream',
	setup: 'Set up',
	health: 'Health',
	people: 'People & links',
	watch: 'Open the channel',
	stateUnknown: 'Not known',
	unknown: 'Your channel can’t be read at present',

	// What goes on.
	goLive: 'Start',
	end: 'End stream',
	endTitle: 'End the stream?',
	endDetail: 'Your encoder is told to stop, and viewers see the end. Stop it yourself as well: one that reconnects by itself begins a new stream.',
	endNow: 'End it',
	ended: 'The stream has ended.',
	started: 'Ready: the next time your encoder connects, you are live.',
	startHint: 'You go live by hand: press Start, then start your encoder.',
	preview: 'Preview',
	previewOff: 'Nothing is on',
	previewOffHint: 'Start your encoder: the picture comes within seconds.',
	previewStartHint: 'Press Start, then start your encoder: until then it is refused.',
	waiting: 'Waiting for your encoder',
	unstart: 'Stop waiting',
	unstartHint: 'The encoder is refused again, until you press Start.',
	unstarted: 'Your encoder is refused until you press Start.',
	previewGrace: 'The encoder is away',
	previewGraceHint: 'Viewers see “reconnecting”. If it comes back in time the stream goes on.',
	onFor: (time: string) => `On for ${time}`,
	previewStarting: 'The first picture is on its way',
	tryItOut: 'How do I stream?',
	previewNote: 'You count as a viewer while this plays.',

	// What the channel is called.
	details: 'About the stream',
	titleLabel: 'Title',
	titleHint: 'What is on. Viewers see a change within seconds.',
	category: 'Category',
	tags: 'Tags',
	tagsHint: 'Up to 10, of letters, digits, - and _. Enter, comma or space adds one.',
	addTag: 'Add a tag',
	visibility: 'Who may watch',
	going: 'Going live',
	takeover: 'A second encoder',
	save: 'Save changes',
	discard: 'Discard',
	saved: 'Saved.',
	privateLink: 'Make a link to watch',
	privateLinkHint: 'Owner, moderators and VIPs watch a private channel as they are. Anybody else needs a link, which opens it for a few minutes.',
	privateLinkLabel: 'Copy the link to the private channel',

	// Keys.
	keys: 'Stream keys',
	keysDetail: 'A key lets an encoder publish to your channel. Treat it like a password. Give each device its own, and take it away when you need to.',
	secretOnce: 'This is the only time that the key is shown. Put it into your encoder now: when it is lost, reset it and get another.',
	show: 'Show',
	hide: 'Hide',
	showKey: 'Show the key',
	hideKey: 'Hide the key',
	copyKey: 'Copy the stream key',
	addKey: 'Add a key',
	keyLabel: 'What it is for',
	keyLabelHint: 'As in “laptop”. Each key has another.',
	make: 'Make the key',
	made: 'Your new stream key',
	done: 'I have put it in',
	reset: 'Reset',
	resetTitle: 'Reset this key?',
	resetDetail: 'It gets another secret. Whoever publishes with it now is stopped at once, and the old one opens nothing any more.',
	resetNow: 'Reset the key',
	remove: 'Remove',
	removeTitle: 'Remove this key?',
	removeDetail: 'Whoever publishes with it now is stopped at once.',
	removeNow: 'Remove the key',
	keyRemoved: 'The key is gone.',
	noKeys: 'There is no key. Add one to stream.',
	keyHidden: 'A key is shown once, when it is made. One that is lost is reset.',

	// Servers and encoders.
	servers: 'Servers',
	serversDetail: 'The nearest first, by the round trip from this browser.',
	measuring: 'Measuring the way…',
	noServers: 'No server takes encoders at present.',
	copyServer: 'Copy the server’s address',
	nearest: 'Nearest',
	choose: 'Use this server',
	chosen: 'In use below',
	encrypted: 'Encrypted (RTMPS)',
	encryptedHint: 'Needs a server whose certificate your encoder trusts.',
	encoder: 'Your encoder',
	encoderDetail: 'Ready to paste, for the server and the picture that you choose.',
	picture: 'Picture',
	program: 'Program',
	forTest: 'As a private test',
	forTestHint: 'Puts ?test behind the key: nobody can watch, and you get a report.',
	yourKey: 'YOUR_STREAM_KEY',
	keyGap: 'Put your stream key in place of YOUR_STREAM_KEY. Add or reset a key above and it stands here by itself.',
	copyCommand: 'Copy the command',
	ffmpegHint: 'Sends a test picture and a tone. Put your own input in place of the two -i.',
	gstreamerHint: 'Sends a test picture and a tone. The pixel format is pinned to I420: browsers can’t play 4:4:4.',

	// Test.
	test: 'Private test',
	testDetail: 'Publish with ?test behind your key. Nobody can watch, not even you, and nobody is told; after 5 minutes it ends by itself. What arrives is measured and graded here.',
	testNone: 'No test yet. Switch on “As a private test” under “Your encoder”, and start your encoder with what stands there then.',
	testRunning: 'Testing now',
	testOver: 'The last test',
	testWait: 'Measuring: a report needs 10 seconds.',
	testLive: 'A test can’t begin while the channel is live.',
	overall: 'Overall',

	// Health.
	now: 'Right now',
	advice: 'What to mend',
	graphs: 'The last minutes',
	span: 'Span',
	asTable: 'As a table',
	noGraphs: 'Graphs appear once you have streamed for a few seconds. They reach back 30 minutes.',
	time: 'Time',
	noTime: 'No time is chosen',
	timeline: 'What your encoder did',
	timelineNone: 'Nothing yet. Connections, interruptions and takeovers are listed here.',
	viewersNow: 'Watching now',

	// People.
	members: 'Moderators and VIPs',
	membersDetail: 'Moderators keep order in the chat and see how the stream does. Both may watch a private channel.',
	noMembers: 'Nobody yet.',
	username: 'User name',
	role: 'Role',
	appoint: 'Add',
	dismiss: 'Take the role away',
	links: 'Links',
	channelLink: 'Your channel',
	channelLinkHint: 'For viewers.',
	chatLink: 'Chat in a window of its own',
	chatLinkHint: 'To keep an eye on it while you stream.',
	overlayLink: 'Chat over the picture',
	overlayLinkHint: 'For a browser source in OBS: the background is transparent. ?size=24 sets the size, ?fade=30 lets lines leave.',
	embedLink: 'The player alone',
	embedLinkHint: 'For an <iframe> in another page.',
	copyLink: 'Copy the link',
	open: 'Open'
} as const;

export const STATES = {
	offline: 'Offline',
	starting: 'Starting',
	live: 'Live',
	reconnecting: 'Reconnecting',
	ended: 'Ended'
} as const;

export const VISIBILITIES = [
	{ value: 'public', label: 'Everybody', hint: 'Listed on the start page and found by search.' },
	{ value: 'unlisted', label: 'Whoever has the link', hint: 'Listed nowhere.' },
	{ value: 'private', label: 'Only those I let in', hint: 'Moderators, VIPs, and whoever has a link that you made.' }
] as const;

export const GOINGS = [
	{ value: 'auto', label: 'When the encoder connects', hint: 'Publishing begins the stream.' },
	{ value: 'manual', label: 'When I press Start', hint: 'Without it the encoder is refused.' }
] as const;

export const TAKEOVERS = [
	{ value: 'newest', label: 'Takes over', hint: 'The newest connection wins.' },
	{ value: 'silent', label: 'Takes over if the first is silent', hint: 'Not heard for 2 s.' },
	{ value: 'reject', label: 'Is refused', hint: 'As long as the first is live.' }
] as const;

export const ROLES = [
	{ value: 'moderator', label: 'Moderator' },
	{ value: 'vip', label: 'VIP' }
] as const;

export const PROGRAMS = [
	{ id: 'obs', label: 'OBS' },
	{ id: 'ffmpeg', label: 'ffmpeg' },
	{ id: 'gstreamer', label: 'GStreamer' }
] as const;

export const LIGHTS: Readonly<Record<Light, string>> = {
	off: 'Nothing is measured now',
	good: 'All is well',
	warn: 'It works, but it could be better',
	bad: 'Viewers notice this: mend it now'
};

export const GRAPHS = {
	bitrate: { title: 'Bitrate', unit: 'Mbit/s', lines: ['Encoder', 'Arrives'], about: 'What the encoder makes, and what the network carries of it.' },
	fps: { title: 'Frame rate', unit: 'frames/s', lines: ['Frames'], about: 'Frames a second, by the encoder’s clock.' },
	keyframes: { title: 'Keyframe interval', unit: 's', lines: ['Interval'], about: 'Viewers can begin at keyframes alone: 2 s is right.' },
	dropped: { title: 'Dropped frames', unit: 'frames', lines: ['Dropped'], about: 'Frames that could not be used, each 4 s.' },
	stalls: { title: 'Uplink stalls', unit: 's', lines: ['Stalled'], about: 'How long nothing came, each 4 s.' },
	way: { title: 'Way to the server', unit: 'ms', lines: ['Late', 'Round trip'], about: 'How late frames come, by their own clock: they wait in your network.' },
	skew: { title: 'Picture ahead of sound', unit: 'ms', lines: ['Skew'], about: 'Below 0 the picture is late.' }
} as const;

export const SPANS = [
	{ value: '5', label: '5 minutes' },
	{ value: '15', label: '15 minutes' },
	{ value: '30', label: '30 minutes' }
] as const;

/** What became of an encoder, and whether that is good. */
export const EVENTS: Readonly<Record<string, { readonly text: string; readonly tone: 'good' | 'warn' | 'bad' | 'plain' }>> = {
	came: { text: 'The encoder connected: a stream began.', tone: 'plain' },
	came_back: { text: 'The encoder came back: the stream goes on.', tone: 'good' },
	moved: { text: 'The encoder came back at another server: the stream goes on.', tone: 'good' },
	took_over: { text: 'Another encoder took over with one of your keys.', tone: 'warn' },
	live: { text: 'The picture is on the air.', tone: 'good' },
	left: { text: 'The encoder stopped.', tone: 'plain' },
	lost: { text: 'The connection to the encoder was lost: its network, or it crashed.', tone: 'bad' },
	server_lost: { text: 'The server was lost. That was not your doing.', tone: 'bad' },
	timed_out: { text: 'The stream ended: the encoder did not come back.', tone: 'plain' },
	ended: { text: 'The stream was ended by hand.', tone: 'plain' },
	key_changed: { text: 'The stream ended: its key was reset or removed.', tone: 'warn' },
	changed: { text: 'The encoder changed its tracks or codecs: a new stream was needed.', tone: 'warn' }
};

export const SUBJECTS: Readonly<Record<Subject, string>> = {
	picture: 'Picture',
	frames: 'Frame rate',
	keyframes: 'Keyframes',
	uplink: 'Uplink',
	stalls: 'Stalls',
	sync: 'Picture and sound',
	codec: 'Codecs'
};

/** What was measured, and what to do where it is not an A. */
export const subjectWords: Readonly<Record<Subject, (value: number) => string>> = {
	picture: (height) => (height === 0 ? 'No picture came.' : `${height} lines.`),
	frames: (fps) => `${fps.toFixed(1)} frames a second.`,
	keyframes: (seconds) => (seconds === 0 ? 'No second keyframe came: set an interval of 2 s.' : `Every ${seconds.toFixed(1)} s.`),
	uplink: (share) => `At worst ${Math.round(share * 100)} % of what the encoder made arrived.`,
	stalls: (stalls) => (stalls === 0 ? 'None.' : stalls === 1 ? 'Once nothing came for a while.' : `${stalls} times nothing came for a while.`),
	sync: (ms) => `${Math.abs(Math.round(ms))} ms apart.`,
	codec: () => 'Browsers play them.'
};

export const REMEDIES: Readonly<Record<Subject, string>> = {
	picture: 'Send at least 720 lines if your uplink carries it.',
	frames: 'Send a steady 30 or 60 frames a second; lower the picture size where your machine can’t keep up.',
	keyframes: 'Set a keyframe interval of 2 s in the encoder.',
	uplink: 'Lower the bitrate, or use a cable instead of Wi-Fi.',
	stalls: 'Use a cable, or a nearer server; look for what else fills your uplink.',
	sync: 'Set the audio’s sync offset in the encoder.',
	codec: 'Send H.264 of 4:2:0 with AAC.'
};

export const GRADES: Readonly<Record<Grade, string>> = { A: 'ready to go live', B: 'good', C: 'viewers may notice', F: 'mend this first' };

export interface ObsPage {
	readonly name: string;
	/** What it is called there, its value, and whether that is copied. */
	readonly settings: readonly (readonly [name: string, value: string, copied?: 'server' | 'key'])[];
}
/** The settings of OBS, page by page, as its own windows name them. */
export const obsPages = (server: string, key: string, { width, height, fps, kbps }: Picture, audioKbps: number): readonly ObsPage[] => [
	{ name: 'Stream', settings: [['Service', 'Custom…'], ['Server', server, 'server'], ['Stream Key', key, 'key']] },
	{ name: 'Video', settings: [['Output Resolution', `${width}x${height}`], ['FPS', String(fps)]] },
	{
		name: 'Output',
		settings: [['Output Mode', 'Advanced'], ['Encoder', 'x264, or your card’s H.264'], ['Rate Control', 'CBR'], ['Bitrate', `${kbps} Kbps`], ['Keyframe Interval', '2 s'], ['CPU Usage Preset', 'veryfast'], ['Profile', 'high'], ['Tune', 'zerolatency'], ['Audio Bitrate', `${audioKbps} (AAC)`]]
	},
	{ name: 'Advanced', settings: [['Color Format', 'NV12'], ['Automatically Reconnect', 'Enable']] }
];
export const obsPage = (name: string) => `Settings → ${name}`;

export const pictureWords = (height: number, fps: number, kbps: number, uplinkMbps: number) => ({ label: `${height}p at ${fps} frames/s`, hint: `${kbps} kbit/s: an uplink of ${uplinkMbps} Mbit/s` });
export const keyTitle = (label: string) => `Key “${label}”`;
export const keyActions = (label: string) => ({ reset: `Reset the key “${label}”`, remove: `Remove the key “${label}”` });
export const keyEnd = (lastFour: string) => `ends in ${lastFour}`;
export const keyAge = (when: string) => `made ${when}`;
export const trip = (ms: number) => `${Math.max(1, Math.round(ms))} ms`;
export const tripGuess = (ms: number) => `about ${Math.round(ms)} ms (estimated)`;
export const removeTag = (tag: string) => `Remove the tag ${tag}`;
export const dismissMember = (name: string) => `Take ${name}’s role away`;
export const appointed = (name: string, role: 'vip' | 'moderator') => `${name} is a ${role === 'vip' ? 'VIP' : 'moderator'} now.`;
export const dismissed = (name: string) => `${name} has no role any more.`;
export const remembered = (since: string) => `Remembered since ${since}, when the control node that leads began to. Nothing is written down.`;
export const at = (server: string) => `at ${server}`;
export const summaryWords = (title: string, now: string, low: string, high: string) => `${title}: now ${now}, lowest ${low}, highest ${high}`;
export const byTime = (title: string) => `${title}, by time: arrow keys choose one`;
export const tableOf = (title: string) => `${title} as a table`;
export const facts = {
	bitrate: 'Bitrate',
	arrives: (rate: string) => `${rate} arrives`,
	size: (width: number, height: number) => `${width}×${height}`,
	frames: (fps: number) => `${fps.toFixed(1)} frames/s`,
	rate: (hertz: number) => `${hertz / 1000} kHz`,
	picture: 'Picture',
	sound: 'Sound',
	keyframes: 'Keyframes',
	every: (seconds: number) => (seconds > 0 ? `every ${seconds.toFixed(1)} s` : '–'),
	dropped: 'Dropped frames',
	stalls: 'Uplink stalls',
	stalled: (seconds: number) => `${seconds.toFixed(1)} s in all`,
	way: 'Way to the server',
	trip: (rttMs: number) => `${rttMs} ms there and back`,
	late: (lateMs: number) => `media comes ${lateMs} ms late`,
	skew: 'Picture and sound',
	apart: (ms: number) => `${Math.abs(Math.round(ms))} ms apart`,
	ahead: (ms: number) => (Math.round(ms) === 0 ? '' : ms > 0 ? 'the picture is ahead' : 'the picture is late'),
	none: 'none'
} as const;
