// What every page says: in English, in one place.
import type { Problem } from '$lib/api/problem';

export const WORDS = {
	site: 'Freshet',
	home: 'Freshet, home',
	skip: 'Skip to the content',
	search: 'Search',
	searchHint: 'Channels, titles, tags',
	goLive: 'Go live',
	logIn: 'Log in',
	signUp: 'Sign up',
	logOut: 'Log out',
	channel: 'Channel',
	dashboard: 'Dashboard',
	settings: 'Settings',
	admin: 'Admin',
	profile: 'Profile',
	look: 'Look',
	close: 'Close',
	cancel: 'Cancel',
	save: 'Save',
	saved: 'Saved.',
	tryAgain: 'Try again',
	more: 'Show more',
	loading: 'Loading',
	copy: 'Copy',
	copied: 'Copied',
	notCopied: 'Not copied',
	showPassword: 'Show what is typed',
	live: 'Live',
	following: 'Channels you follow',
	footer: 'Live video, seconds from the camera.',
	api: 'API',
	nothingHere: 'There is nothing here',
	wentWrong: 'Something went wrong',
	addressHint: 'A channel’s address is /c/ and its name.',
	toStart: 'To the start page',
	needsLogIn: 'Log in to see this page.'
} as const;

export const LOOKS = [
	{ value: 'system', label: 'As the system' },
	{ value: 'dark', label: 'Dark' },
	{ value: 'light', label: 'Light' }
] as const;

/** The name of the menu of whoever is signed in. */
export const accountMenu = (username: string) => `${username}, your account`;

/** The title of a page, for the browser's tab. */
export const pageTitle = (what: string) => (what === '' ? WORDS.site : `${what} · ${WORDS.site}`);

export const viewerWords = (viewers: number, shown: string) => (viewers === 1 ? '1 viewer' : `${shown} viewers`);
/** How long an encoder that is away has left. */
export const graceWords = (seconds: number) => `${seconds} s left to come back`;
export const followerWords = (followers: number, shown: string) => (followers === 1 ? '1 follower' : `${shown} followers`);

/** What went wrong, and what to do. */
export function problemWords({ status, detail, retryAfter }: Problem): string {
	if (status === 0) return 'The server does not answer. Is the network there? Try again.';
	if (status === 401) return 'You are not logged in any more. Log in again.';
	if (status === 429) return `Too many requests. Try again in ${retryAfter ?? 60} s.`;
	if (status >= 500) return 'The server can’t do that at present. Try again in a moment.';
	if (detail === '') return 'That was refused.';
	return sentence(detail);
}

/** The server's words, as a sentence. */
export function sentence(text: string): string {
	const whole = /[.!?…]$/.test(text) ? text : `${text}.`;
	return `${whole.charAt(0).toUpperCase()}${whole.slice(1)}`;
}
