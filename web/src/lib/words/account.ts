// What is said about one's own account: forms and settings, in English, in one place.
import type { Problem } from '$lib/api/problem';
import { problemWords as commonProblem, sentence } from './common';

export const WORDS = {
	logIn: 'Log in',
	signUp: 'Sign up',
	close: 'Close',
	username: 'User name',
	usernameOrEmail: 'User name or e-mail',
	usernameHint: 'Small letters, digits, _ and -. It names your channel too, and never changes.',
	password: 'Password',
	passwordHint: 'At least 8 characters.',
	invite: 'Invitation',
	inviteHint: 'This site takes new people by invitation. An administrator can give you one.',
	closed: 'This site takes no new people at present. Ask an administrator for an account.',
	notKnown: 'Your account can’t be read at present',
	closedInvited: 'This site takes no new people at present, not even with an invitation. Ask an administrator for an account.',
	newHere: 'New here?',
	haveAccount: 'Have an account already?',
	byLink: 'Logging in with your link…',
	linkFailed: 'This link can’t be used',
	linkHint: 'A login link works once and for a day. Ask whoever runs this site for another one, or log in with your password.',
	welcomeHint: 'Your channel is made. This is its first stream key; it is told this once, so keep it now. You can make another one at any time.',
	server: 'Server',
	streamKey: 'Stream key',
	toDashboard: 'To your dashboard',
	goOn: 'Go on',

	settings: 'Settings',
	profile: 'Profile',
	profileHint: 'What everybody sees of you.',
	displayName: 'Display name',
	bio: 'About you',
	bioHint: 'Shown on your profile.',
	email: 'E-mail',
	emailHint: 'To log in with; nobody else sees it. Leave it empty to take it away.',
	picture: 'Picture',
	pictureHint: 'A PNG, JPEG or WebP file. It is cut square.',
	choosePicture: 'Choose a picture',
	removePicture: 'Remove',
	pictureRemoved: 'Your picture is gone.',
	pictureSaved: 'Your picture is changed.',
	cutPicture: 'Cut your picture',
	cutHint: 'Drag it, or use the arrow keys.',
	zoom: 'Size',
	usePicture: 'Use it',
	notAPicture: 'This browser can’t read that file as a picture. Choose a PNG, JPEG or WebP file.',
	passwordTitle: 'Password',
	passwordChangeHint: 'All your other sessions end when you change it.',
	passwordMissing: 'You came in by a link and have no password yet. Set one now: the link worked once.',
	currentPassword: 'Current password',
	newPassword: 'New password',
	changePassword: 'Change the password',
	setPassword: 'Set the password',
	passwordChanged: 'Your password is changed.',
	wrongPassword: 'That is not your password.',
	colour: 'Your name in chat',
	colourHint: 'Everybody sees your name in this colour. Where it could not be read it is made lighter or darker.',
	colourNote: 'So it looks by night and by day. A chat that is open elsewhere shows it once it connects anew.',
	noColour: 'None of my own',
	otherColour: 'Another',
	sessions: 'Where you are logged in',
	sessionsHint: 'If you don’t know one of them, log it out and change your password: that ends all but this one.',
	endSession: 'Log out',
	endSessionOf: (device: string) => `Log out of ${device}`,
	sessionEnded: (device: string) => `${device} is logged out.`,
	device: 'Device',
	address: 'Address',
	lastSeen: 'Last seen',
	since: 'Since',
	thisOne: 'This one',
	everywhere: 'Log out everywhere',
	everywhereHint: 'Ends every session, this one too.',
	everywhereDone: 'You are logged out everywhere.',
	deletion: 'Delete your account',
	deletionHint: 'Your channel, your profile, your picture and your sessions are deleted. The name stays taken. This can’t be undone.',
	deletionConfirm: 'Your password, to show that it is meant',
	deleteAccount: 'Delete my account',
	deleted: 'Your account is deleted.',
	unknownDevice: 'Unknown device',

	following: 'Channels you follow',
	liveNow: 'Live now',
	notLive: 'Not live',
	followsNobody: 'You follow nobody yet',
	followsNobodyHint: 'Follow a channel on its page, and it comes first here and on the first page when it is live.',
	browse: 'See what is live'
} as const;

export const loggedInAs = (username: string) => `You are logged in as ${username}.`;
export const welcome = (username: string) => `Welcome, ${username}`;
export const copyThe = (what: string) => `Copy: ${what}`;

/** What went wrong in a form, and what to do. */
export function problemWords(form: 'log-in' | 'sign-up', problem: Problem): string {
	const { status, detail, retryAfter } = problem;
	if (status === 401 && form === 'log-in') return 'User name and password don’t go together.';
	if (status === 409 && form === 'sign-up') return 'That name is taken. Choose another one.';
	if (status === 429) return `Too many attempts. Try again in ${retryAfter ?? 60} s.`;
	if (status >= 500) return 'Accounts can’t be reached now. Try again in a moment.';
	return status === 0 || detail === '' ? commonProblem(problem) : sentence(detail);
}

/** Colours for a name, to choose from. */
export const COLOURS = [
	{ value: '#e5484d', label: 'Red' },
	{ value: '#f76b15', label: 'Orange' },
	{ value: '#d9a514', label: 'Gold' },
	{ value: '#46a758', label: 'Green' },
	{ value: '#12a594', label: 'Teal' },
	{ value: '#00a2c7', label: 'Cyan' },
	{ value: '#1e90ff', label: 'Blue' },
	{ value: '#6e56cf', label: 'Violet' },
	{ value: '#ab4aba', label: 'Purple' },
	{ value: '#e93d82', label: 'Pink' }
] as const;
