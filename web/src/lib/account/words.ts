// What the forms for accounts say, in English, in one place.
import type { Problem } from '$lib/api/problem';

export const WORDS = {
	logIn: 'Log in',
	signUp: 'Sign up',
	logOut: 'Log out',
	close: 'Close',
	username: 'User name',
	usernameOrEmail: 'User name or e-mail',
	usernameHint: 'Small letters, digits, _ and -. It names your channel too.',
	password: 'Password',
	passwordHint: 'At least 8 characters.',
	newHere: 'New here?',
	haveAccount: 'Have an account already?',
	busy: 'One moment…'
} as const;

/** What went wrong, and what to do. */
export function problemWords(form: 'log-in' | 'sign-up', { status, detail, retryAfter }: Problem): string {
	if (status === 0) return 'The server does not answer. Is the network there? Try again.';
	if (status === 401 && form === 'log-in') return 'User name and password don’t go together.';
	if (status === 429) return `Too many attempts. Try again in ${retryAfter ?? 60} s.`;
	if (status >= 500) return 'Accounts can’t be reached now. Try again in a moment.';
	if (detail === '') return 'That was refused.';
	return `${detail.charAt(0).toUpperCase()}${detail.slice(1)}.`;
}
