// What the pages for administrators say: in English, in one place.
import type { Warning } from '$lib/admin/cluster';
import type { KeyStage, NodeRole, NodeState, Registration } from '$lib/admin/types';
import { count } from '$lib/format';

export const WORDS = {
	title: 'Administration',
	sections: 'Parts of the administration',
	overview: 'Overview',
	users: 'Users',
	registration: 'Registration',
	nodes: 'Nodes',
	streams: 'Live',
	keys: 'Keys',
	audit: 'Audit log',
	notAdmin: 'This part is for administrators',
	notAdminDetail: 'Your account may not see it. An administrator can change that on the page of users.',
	needsLogIn: 'Log in as an administrator',
	needsLogInDetail: 'The first administrator comes in by the one-time link that Freshet prints when it starts.',
	stale: 'What you see may be old',
	name: 'Name',
	state: 'State',
	actions: 'Actions',
	shownOnce: 'It is shown this once. Copy it now.',
	done: 'Done',
	unknown: 'unknown',
	unplaced: 'No region',
	none: '–'
} as const;

export const OVERVIEW = {
	liveStreams: (number: number) => (number === 1 ? 'live stream' : 'live streams'),
	viewers: (number: number) => (number === 1 ? 'viewer' : 'viewers'),
	nodes: 'nodes are there',
	leader: 'leads the control nodes',
	noLeader: 'nobody leads',
	allWell: 'All is well.',
	map: 'Map',
	mapDetail: 'Each circle is a region and says how many watch there; the more watch and publish, the larger it is. Choose one to see its nodes.',
	mapLabel: 'Map of the regions',
	nowhere: 'No node has said where it is: set latitude and longitude under [place] in its configuration.',
	media: 'Video, from origins to edges',
	control: 'The registry, from control nodes to all others',
	regions: 'Regions',
	streams: 'Streams',
	regionsDetail: 'The same as the map shows, in words.',
	region: 'Region',
	busiest: 'Busiest node',
	controlNodes: 'Control nodes',
	controlDetail: 'They agree on every change; a majority of them must be there.',
	part: 'Part',
	leads: 'Leads',
	votes: 'Votes',
	learns: 'Learns',
	log: 'Log'
} as const;

export const STATES: Record<NodeState, string> = { active: 'Active', draining: 'Draining', joined: 'Joined', lost: 'Lost' };
export const STATE_HINTS: Record<NodeState, string> = {
	active: 'It renews its lease.',
	draining: 'It takes nothing new.',
	joined: 'It has joined and was not heard of yet.',
	lost: 'Its lease has run out.'
};
export const ROLES: Record<NodeRole, string> = { control: 'Control', origin: 'Origin', edge: 'Edge' };

const plural = (number: number, one: string, many: string) => `${count(number)} ${number === 1 ? one : many}`;
export const viewerWords = (number: number) => plural(number, 'viewer', 'viewers');
export const streamWords = (number: number) => plural(number, 'stream', 'streams');
export const publisherWords = (number: number) => plural(number, 'publisher', 'publishers');
export const nodeWords = (number: number) => plural(number, 'node', 'nodes');
/** Thousandths, as hundredths. */
export const percent = (permille: number) => `${Math.round(permille / 10)} %`;
export const regionWords = (name: string) => name || WORDS.unplaced;
export const stateWords = (states: readonly { readonly state: NodeState; readonly count: number }[]) => states.map(({ state, count }) => `${count} ${STATES[state].toLowerCase()}`).join(', ');
export const termWords = (term: number, revision: number) => `Term ${term}, change ${revision}`;
export const lagWords = (lag: number | null) => (lag === null ? WORDS.unknown : lag === 0 ? 'Up to date' : `${plural(lag, 'entry', 'entries')} behind`);
/** What a marker of the map is called. */
export const markerWords = (name: string, nodes: string, viewers: number, streams: number) => `${regionWords(name)}: ${nodes}, ${viewerWords(viewers)}, ${streamWords(streams)}`;
export const degreesEast = (degrees: number) => (degrees === 0 ? '0°' : `${Math.abs(degrees)}° ${degrees > 0 ? 'E' : 'W'}`);
export const degreesNorth = (degrees: number) => (degrees === 0 ? '0°' : `${Math.abs(degrees)}° ${degrees > 0 ? 'N' : 'S'}`);

const names = (all: readonly string[]) => (all.length > 4 ? `${all.slice(0, 4).join(', ')} and ${all.length - 4} more` : all.join(', '));
const are = (all: readonly string[]) => (all.length === 1 ? 'is' : 'are');

/** What is wrong, and what to do. */
export function warningWords(warning: Warning): { readonly tone: 'bad' | 'warn' | 'info'; readonly text: string } {
	switch (warning.kind) {
		case 'no-leader':
			return { tone: 'bad', text: 'No control node leads: nothing can be changed and nobody new can publish. What goes on goes on. Start the control nodes that are away.' };
		case 'last-majority':
			return { tone: 'bad', text: `${warning.there} of ${warning.voters} control nodes are there: if one more is lost, nothing can be changed. Start those that are away, or replace them.` };
		case 'no-origin':
			return { tone: 'bad', text: 'No origin is active: nobody can publish.' };
		case 'no-edge':
			return { tone: 'bad', text: 'No edge is active: nobody new can watch.' };
		case 'lost':
			return { tone: 'bad', text: `${names(warning.names)} ${are(warning.names)} lost: start again what has stopped, or remove what won’t come back.` };
		case 'behind':
			return { tone: 'warn', text: `${names(warning.names)} ${are(warning.names)} far behind the leader’s log.` };
		case 'busy':
			return { tone: 'warn', text: `${names(warning.names)} ${are(warning.names)} nearly full: add nodes to the region.` };
		case 'draining':
			return { tone: 'info', text: `${names(warning.names)} ${are(warning.names)} draining: new viewers and encoders are sent elsewhere.` };
	}
}

export const NODES = {
	detail: 'What each node has told the control nodes, and how long its lease lasts.',
	node: 'Node',
	lease: 'Lease',
	load: 'Load',
	ranOut: 'ran out',
	notHeard: 'not heard',
	noClients: 'takes no viewers or encoders',
	drain: 'Drain',
	undrain: 'Let it work again',
	remove: 'Remove',
	drained: (name: string) => `${name} drains.`,
	undrained: (name: string) => `${name} works again.`,
	removed: (name: string, unaware: readonly string[]) => (unaware.length > 0 ? `${name} is removed. Too old to cut it off: ${unaware.join(', ')}.` : `${name} is removed.`),
	drainTitle: (name: string) => `Drain ${name}?`,
	drainDetail: { control: 'Another control node takes the lead, if this one has it.', origin: 'New encoders are sent elsewhere; those that publish here stay.', edge: 'New viewers are sent elsewhere, and those who are here move on without a break.' } satisfies Record<NodeRole, string>,
	removeTitle: (name: string) => `Remove ${name}?`,
	removeDetail: (streams: number, viewers: number) =>
		[
			streams > 0 ? `${streamWords(streams)} ${streams === 1 ? 'goes' : 'go'} on there and will break off: drain it first.` : '',
			viewers > 0 ? `${viewerWords(viewers)} ${viewers === 1 ? 'is' : 'are'} there and must find another edge: drain it first.` : '',
			'The platform forgets it and no node talks to it any more, at once. It comes back by joining anew alone.'
		].filter(Boolean).join(' '),
	actionsOf: (name: string) => `What to do with ${name}`,
	leads: 'leads',
	protocol: (level: number) => `protocol ${level}`,
	seconds: (ms: number) => `${Math.ceil(ms / 1000)} s`,
	empty: 'There are no nodes.'
} as const;

export const USERS = {
	search: 'Search',
	searchHint: 'Name, display name or e-mail',
	role: 'Role',
	user: 'User',
	since: 'Since',
	everybody: 'Everybody',
	admins: 'Administrators',
	others: 'Others',
	roles: { user: 'User', admin: 'Administrator' },
	disabled: 'Shut out',
	noPassword: 'No password yet',
	add: 'New user',
	addDetail: 'Also while registration is closed. They come in by a one-time link and set a password then.',
	username: 'User name',
	usernameHint: 'Small letters, digits, _ and -. It names the channel too, and never changes.',
	email: 'E-mail',
	emailHint: 'Optional. They can sign in with it.',
	create: 'Create',
	linkOf: (name: string) => `One-time link for ${name}`,
	linkDetail: 'Whoever opens it is signed in as this user, once, within a day. A link made before is good no more.',
	link: 'Link',
	copyLink: 'Copy the link',
	makeLink: 'Make a login link',
	makeAdmin: 'Make an administrator',
	makeUser: 'Take the administration away',
	disable: 'Shut out',
	enable: 'Let in again',
	sessions: 'Sessions',
	channel: 'To the channel',
	actionsOf: (name: string) => `What to do with ${name}`,
	empty: 'Nobody is like that.',
	changed: { admin: (name: string) => `${name} is an administrator.`, user: (name: string) => `${name} is no administrator any more.`, disabled: (name: string) => `${name} is shut out.`, enabled: (name: string) => `${name} may come in again.` },
	adminTitle: (name: string) => `Make ${name} an administrator?`,
	adminDetail: 'They may then do everything that you may, also take this away from you.',
	userTitle: (name: string) => `Take the administration away from ${name}?`,
	userDetail: 'Their account and channel stay.',
	userSelf: 'This is you: you can do nothing here any more until another administrator makes you one again.',
	disableTitle: (name: string) => `Shut ${name} out?`,
	disableDetail: 'All their sessions end at once, and their stream keys work no more until you let them in again.',
	disableSelf: 'This is you: you are signed out at once, and come in no more until another administrator lets you.',
	sessionsOf: (name: string) => `Where ${name} is signed in`,
	noSessions: 'Nowhere.',
	endSession: 'Sign out',
	endSessionOf: (device: string) => `Sign out of ${device}`,
	signOut: 'Sign out everywhere',
	signedOut: (name: string) => `${name} is signed out everywhere.`,
	seen: (when: string) => `seen ${when}`,
	unknownAgent: 'Unknown program'
} as const;

export const REGISTRATION = {
	who: 'Who may register',
	detail: 'This holds at once, on all control nodes, in place of accounts.registration in the configuration.',
	choices: [
		{ value: 'open', label: 'Everybody', hint: 'Whoever comes may make an account and a channel.' },
		{ value: 'invite', label: 'Whoever has an invitation', hint: 'Others see that they need one.' },
		{ value: 'closed', label: 'Nobody', hint: 'Administrators make accounts, on the page of users.' }
	] satisfies readonly { readonly value: Registration; readonly label: string; readonly hint: string }[],
	set: { open: 'Everybody may register now.', invite: 'Whoever has an invitation may register now.', closed: 'Nobody may register now.' } satisfies Record<Registration, string>,
	invites: 'Invitations',
	invitesDetail: 'They count where registration is by invitation.',
	invite: 'Invitation',
	uses: 'For how many people',
	lasts: 'Good for',
	lasting: [
		{ value: '3600', label: 'An hour' },
		{ value: '86400', label: 'A day' },
		{ value: '604800', label: 'A week' },
		{ value: '2592000', label: '30 days' }
	],
	make: 'Make an invitation',
	made: 'An invitation',
	madeDetail: 'Give it to whom it is for: they open the link, or write the code into the form.',
	link: 'Link',
	code: 'Code',
	copyLink: 'Copy the link',
	copyCode: 'Copy the code',
	by: 'Made by',
	when: 'Made',
	until: 'Good until',
	left: 'Left',
	leftOf: (left: number, uses: number) => `${left} of ${uses}`,
	revoke: 'Take back',
	revoked: 'The invitation is taken back.',
	revokeTitle: 'Take the invitation back?',
	revokeDetail: 'Nobody can register with it any more. Those who have, stay.',
	empty: 'No invitation is good at present.'
} as const;

export const STREAMS = {
	detail: 'Every session that goes on, private ones too, the most watched first.',
	channel: 'Channel',
	viewers: 'Viewers',
	origin: 'Origin',
	who: 'Who may watch',
	states: { offline: 'Offline', starting: 'Starting', live: 'Live', reconnecting: 'Reconnecting', ended: 'Ended' },
	visibility: { public: 'Everybody', unlisted: 'Whoever has the address', private: 'Whoever is let in' },
	untitled: 'No title',
	end: 'End the session',
	purge: 'Purge',
	actionsOf: (name: string) => `What to do with ${name}`,
	endTitle: (name: string) => `End the session of ${name}?`,
	endDetail: 'The encoder is told, and viewers see the end. An encoder that reconnects by itself begins a new session, unless the channel goes live by hand.',
	ended: (name: string) => `The session of ${name} is ended.`,
	purgeTitle: (name: string) => `Purge ${name}?`,
	purgeDetail: 'All that the channel has published so far is dropped at every edge and refused from now on. That can’t be undone.',
	purged: (name: string) => `${name} is purged.`,
	empty: 'Nobody is live.',
	emptyDetail: 'Sessions appear here as soon as somebody publishes.'
} as const;

export const KEYS = {
	detail: 'With these the control nodes sign access and playback tokens. They rotate by themselves.',
	signing: 'Signing keys',
	key: 'Key',
	stage: 'Stage',
	stages: { pending: 'Pending', active: 'Signs', retiring: 'Retiring', retired: 'Retired', revoked: 'Revoked' } satisfies Record<KeyStage, string>,
	stageHints: {
		pending: 'Everybody gets to know it before it signs.',
		active: 'Tokens are signed with it.',
		retiring: 'It signs no more; what it has signed is still good.',
		retired: 'Its time is over.',
		revoked: 'What it has signed is good no more.'
	} satisfies Record<KeyStage, string>,
	since: 'Since',
	next: 'What comes next',
	nexts: { pending: 'signs', active: 'another one signs', retiring: 'is retired' },
	algorithm: 'Algorithm',
	wrapped: 'This control node can’t unwrap it: give it the key-encryption key (kek).',
	locked: (why: string) => `This control node can’t sign tokens: ${why}`,
	rotate: 'Rotate now',
	rotateTitle: 'Rotate the signing key?',
	rotateDetail: 'The next key is made now and signs once everybody knows it. Nobody is signed out.',
	rotated: 'The next key is made. It signs once everybody knows it.',
	revoke: 'Revoke',
	revokeTitle: (kid: string) => `Revoke key ${kid}?`,
	revokeDetail: 'All tokens that it has signed are refused at once: whoever uses one gets a new one, and playback tokens that are out open nothing any more. For a key that somebody may have stolen.',
	revoked: 'The key is revoked.',
	actionsOf: (kid: string) => `What to do with key ${kid}`,
	copyKid: 'Copy the key’s identifier',
	path: 'Secrets of viewers’ paths',
	pathDetail: 'With these, edges give each viewer of a private channel a path of their own.',
	secret: 'Secret',
	mints: 'Edges mint with it',
	goodUntil: 'Good until'
} as const;

export const AUDIT = {
	detail: 'What administrators, the command line and Freshet itself have done.',
	who: 'Who',
	what: 'What',
	whom: 'Whom or what',
	when: 'When',
	details: 'Details',
	whoHint: 'Name, operator or system',
	whomHint: 'Name, channel, node or key',
	all: 'Everything',
	nouns: [
		{ value: '', label: 'Everything' },
		{ value: 'user', label: 'Users' },
		{ value: 'session', label: 'Sessions' },
		{ value: 'registration', label: 'Registration' },
		{ value: 'invite', label: 'Invitations' },
		{ value: 'stream', label: 'Streams' },
		{ value: 'node', label: 'Nodes' },
		{ value: 'key', label: 'Keys' }
	],
	operator: 'Command line',
	system: 'Freshet',
	gone: 'deleted account',
	empty: 'Nothing like that was written down.'
} as const;

const ACTIONS: Readonly<Record<string, string>> = {
	'user.add': 'Made the account',
	'user.role': 'Changed the role',
	'user.password': 'Set a password',
	'user.disable': 'Shut out',
	'user.enable': 'Let in again',
	'user.link': 'Made a login link',
	'session.link': 'Came in by a login link',
	'user.logout': 'Signed out everywhere',
	'user.end_session': 'Signed out of one session',
	'user.delete': 'Deleted the account',
	'session.reuse': 'Ended a session whose token was used twice',
	'registration.set': 'Said who may register',
	'invite.add': 'Made an invitation',
	'invite.revoke': 'Took an invitation back',
	'stream.end': 'Ended the session',
	'stream.purge': 'Purged the channel',
	'stream.visibility': 'Changed who may watch',
	'node.drain': 'Drained the node',
	'node.undrain': 'Let the node work again',
	'node.remove': 'Removed the node',
	'key.rotate': 'Rotated the signing key',
	'key.revoke': 'Revoked the signing key'
};

/** What somebody did; a newer control node may know more than this page. */
export const actionWords = (action: string) => ACTIONS[action] ?? action;
