// The shell of `keeper.ts`: who is signed in, for all pages, and the timer that renews the access token.
import type { Problem } from '$lib/api/problem';
import { ask } from './api';
import { Keeper } from './keeper';
import { openStore } from './store';

const TICK_MS = 5_000;

export class Account {
	/** Who is signed in; null for nobody. */
	username = $state<string | null>(null);
	/** Counts changes of who is signed in: a login as the same person is one too. */
	changes = $state(0);
	/** Which form is open. */
	form = $state<'log-in' | 'sign-up' | null>(null);

	readonly #keeper: Keeper;

	constructor() {
		const store = openStore(() => this.#keeper.storeChanged());
		this.#keeper = new Keeper(ask, store, () => [...crypto.getRandomValues(new Uint32Array(4))].join('-'), () => this.#show());
		this.username = this.#keeper.username;
		setInterval(() => this.#tick(), TICK_MS);
	}

	/** An access token that is good now; null for nobody. */
	token(): Promise<string | null> {
		return this.#keeper.token(Date.now());
	}

	/** The access token was refused. */
	refused(): Promise<void> {
		return this.#keeper.refused(Date.now());
	}

	/** Signs in, or makes an account and signs in; gives what was wrong. */
	enter(form: 'log-in' | 'sign-up', username: string, password: string): Promise<Problem | null> {
		return form === 'log-in' ? this.#keeper.logIn(Date.now(), username, password) : this.#keeper.signUp(Date.now(), username, password);
	}

	logOut(): Promise<void> {
		return this.#keeper.logOut(Date.now());
	}

	#show(): void {
		this.username = this.#keeper.username;
		this.changes += 1;
	}

	#tick(): void {
		const { renewsAt } = this.#keeper;
		if (renewsAt !== null && Date.now() >= renewsAt) void this.token();
	}
}

let account: Account | null = null;

/** The one account of this page. Only in a browser. */
export function theAccount(): Account {
	account ??= new Account();
	return account;
}
