// Who is signed in: the access token, in memory; the refresh token, kept over reloads where that is safe.
//
// There are no cookies (docs/security.md), so the page itself must keep the refresh token or ask for the password at each
// reload. It is kept in localStorage, and only where the browser has Web Locks, which is where the page came by TLS or from
// this machine. What speaks for it: a token works once, its theft ends the session at its next use, and the page's
// Content-Security-Policy lets no foreign script in that could read it. What the lock is for: two tabs that present one token
// look like a thief and its victim. Where there are no locks, tokens live in memory alone and a reload signs out.
//
// Each refresh token is kept with an idempotency key of its own. A refresh whose answer was lost (the tab was closed, the
// network went) is asked again under it, and gets the same answer in place of "used twice".
import { SILENCE, type Reply } from '$lib/api/problem';
import { fields, text } from '$lib/api/types';
import { tokens, type Ask, type Tokens } from './api';

/** What is kept over reloads. */
export interface Kept {
	readonly refresh: string;
	readonly key: string;
	readonly username: string;
}

/** Where it is kept, for all tabs. */
export interface Store {
	read(): Kept | null;
	write(kept: Kept | null): void;
	/** Runs alone, over all tabs. */
	alone<T>(act: () => Promise<T>): Promise<T>;
}

/** An access token that is good for less than this, ms, is renewed before it is shown. */
export const EARLY_MS = 60_000;

export class Keeper {
	/** Who is signed in; null for nobody. */
	username: string | null;

	readonly #ask: Ask;
	readonly #store: Store;
	readonly #key: () => string;
	readonly #changed: () => void;
	#access: { token: string; untilMs: number } | null = null;
	#refreshing: Promise<void> | null = null;

	/** `key` draws what nobody else draws; `changed` is told when somebody else, or nobody, is signed in. */
	constructor(ask: Ask, store: Store, key: () => string, changed: () => void) {
		this.#ask = ask;
		this.#store = store;
		this.#key = key;
		this.#changed = changed;
		this.username = store.read()?.username ?? null;
	}

	/** When the access token is to be renewed, in the caller's ms; null where there is none. */
	get renewsAt(): number | null {
		return this.#access && this.#access.untilMs - EARLY_MS;
	}

	/** An access token that is good at `now` (ms); null for nobody, or where none can be had at present. */
	async token(now: number): Promise<string | null> {
		if (this.username === null) return null;
		if (!this.#access || now >= this.#access.untilMs - EARLY_MS) await this.#refresh(now);
		return this.#access && now < this.#access.untilMs ? this.#access.token : null;
	}

	/** The access token was refused although it looked good: it was revoked. Gets another one, or signs out. */
	async refused(now: number): Promise<void> {
		this.#access = null;
		if (this.username !== null) await this.#refresh(now);
	}

	async logIn(now: number, username: string, password: string): Promise<Reply<string>> {
		const name = username.includes('@') ? { email: username } : { username };
		return this.#enter(now, '/api/auth/login', { ...name, password });
	}

	/** With the secret of a one-time login link. */
	async logInByLink(now: number, link: string): Promise<Reply<string>> {
		return this.#enter(now, '/api/auth/login', { link });
	}

	/** Makes an account, and signs in; gives the channel's first stream key, which is told this once. */
	async signUp(now: number, username: string, password: string, invite: string): Promise<Reply<string>> {
		return this.#enter(now, '/api/auth/register', { username, password, ...(invite !== '' && { invite }) });
	}

	/** Signs out: here at once, and at the server as soon as it hears of it; `everywhere` on every device. */
	async logOut(now: number, everywhere: boolean): Promise<Reply> {
		const token = await this.token(now);
		if (token !== null && everywhere) {
			// What is to end elsewhere has ended only when the server says so.
			const reply = await this.#ask('/api/auth/logout', { everywhere }, { token });
			if (reply.ok) this.#leave();
			return reply;
		}
		this.#leave();
		return token === null ? { ok: true, body: null } : this.#ask('/api/auth/logout', { everywhere }, { token });
	}

	/** The account is there no more. */
	forget(): void {
		this.#leave();
	}

	/** Another tab has signed in or out. */
	storeChanged(): void {
		const username = this.#store.read()?.username ?? null;
		if (username === this.username) return;
		this.#access = null;
		this.username = username;
		this.#changed();
	}

	async #enter(now: number, path: '/api/auth/login' | '/api/auth/register', body: object): Promise<Reply<string>> {
		const reply = await this.#ask(path, body, { key: this.#key() });
		if (!reply.ok) return reply;
		const got = tokens(reply.body);
		if (!got) return { ok: false, problem: SILENCE };
		await this.#store.alone(async () => this.#take(now, got));
		this.#changed();
		return { ok: true, body: text(fields(reply.body)['stream_key']) };
	}

	/** One at a time, in this tab and, by the store, in all. */
	#refresh(now: number): Promise<void> {
		this.#refreshing ??= this.#store.alone(() => this.#refreshAlone(now)).finally(() => (this.#refreshing = null));
		return this.#refreshing;
	}

	async #refreshAlone(now: number): Promise<void> {
		// Another tab may have used the token that we knew: what is kept is the newest.
		const kept = this.#store.read();
		if (!kept) return this.#leave();
		const reply = await this.#ask('/api/auth/refresh', { refresh_token: kept.refresh }, { key: kept.key });
		const got = reply.ok ? tokens(reply.body) : null;
		if (got) this.#take(now, got);
		// Only a refusal ends the session; a server that is away doesn't.
		else if (!reply.ok && [400, 401, 403, 422].includes(reply.problem.status)) this.#leave();
	}

	#take(now: number, got: Tokens): void {
		this.#access = { token: got.access_token, untilMs: now + got.expires_in * 1000 };
		this.username = got.username;
		this.#store.write({ refresh: got.refresh_token, key: this.#key(), username: got.username });
	}

	#leave(): void {
		this.#access = null;
		this.#store.write(null);
		if (this.username === null) return;
		this.username = null;
		this.#changed();
	}
}
