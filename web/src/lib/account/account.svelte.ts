// The shell of `keeper.ts`: who is signed in, for all pages, and the timer that renews the access token.
import type { Reply } from '$lib/api/problem';
import { drawKey } from '$lib/api/key';
import { ask } from './api';
import { Keeper } from './keeper';
import { openStore } from './store';

const TICK_MS = 5_000;

export class Account {
	/** Who is signed in; null for nobody. */
	username = $state<string | null>(null);
	/** Counts changes of who is signed in: a login as the same person is one too. */
	changes = $state(0);
	/** Counts renewals for what an access token says of the account, in this tab or another. */
	renewals = $state(0);
	/** Which form is open. */
	form = $state<'log-in' | 'sign-up' | null>(null);

	readonly #keeper: Keeper;
	/** Other tabs of the site. */
	readonly #tabs = new BroadcastChannel('account');

	constructor() {
		const store = openStore(() => this.#keeper.storeChanged());
		this.#keeper = new Keeper(ask, store, drawKey, () => this.#show());
		this.username = this.#keeper.username;
		this.#tabs.onmessage = () => void this.#renew();
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

	/** What an access token says of the account has changed: gets another one, and other tabs do too. */
	async renew(): Promise<void> {
		await this.#renew();
		this.#tabs.postMessage(null);
	}

	/** Signs in, or makes an account and signs in; gives the first stream key of a new channel, else an empty text. */
	enter(form: 'log-in' | 'sign-up', username: string, password: string, invite = ''): Promise<Reply<string>> {
		return form === 'log-in' ? this.#keeper.logIn(Date.now(), username, password) : this.#keeper.signUp(Date.now(), username, password, invite);
	}

	/** Signs in with the secret of a one-time login link. */
	enterByLink(link: string): Promise<Reply<string>> {
		return this.#keeper.logInByLink(Date.now(), link);
	}

	/** Signs out; `everywhere` on every device, once the server has agreed. */
	logOut(everywhere = false): Promise<Reply> {
		return this.#keeper.logOut(Date.now(), everywhere);
	}

	/** The account has been deleted. */
	forget(): void {
		this.#keeper.forget();
	}

	async #renew(): Promise<void> {
		await this.#keeper.refused(Date.now());
		this.renewals += 1;
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
