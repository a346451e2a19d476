// A channel as its readers see it: events → lines, modes, a pinned message, how many are there. No network, no clock.
//
//   joined ──▶ role, modes, pin, (a gap)          ┌─▶ lines, of which texts are taken back
//   events ──▶ passed over when had already ──────┼─▶ modes, pin, silences, a raid
//   count  ──▶ how many                           └─▶ resume: where to go on after a break
//   notice ──▶ a warning, what waits for moderators
import { isEvent, position, type Event, type Joined, type Modes, type Notice, type Pin, type Position, type Role, type Said, type Server } from './protocol';

/** As many lines are kept; older ones go. More than are shown, for in step with the picture some wait. */
export const MOST_LINES = 1_000;
/** The hub holds so many messages back at most, and each for so long, ms. */
const MOST_HELD = 200;
export const HELD_MS = 300_000;
const NO_MODES: Modes = { slow_s: 0, followers_min: null, emote_only: false, unique: false, links_off: false, shield: false };

interface Placed {
	/** Unlike that of any other line. */
	readonly key: string;
	readonly at: Position | null;
	readonly atMs: number;
	/** Whether it came as history, when the channel was joined first. */
	readonly past: boolean;
}
export type Line = Placed &
	(
		| { readonly kind: 'said'; readonly said: Said; readonly announced: boolean }
		| { readonly kind: 'gap'; readonly missed: number | null }
		| { readonly kind: 'cleared'; readonly by: string }
		| { readonly kind: 'mode'; readonly before: Modes; readonly after: Modes; readonly by: string }
		| { readonly kind: 'raid'; readonly to: string; readonly by: string }
		/** For moderators: what befell somebody. */
		| { readonly kind: 'user'; readonly login: string; readonly action: 'timeout' | 'ban' | 'unban' | 'warn'; readonly seconds: number; readonly by: string }
	);

/** That somebody may not write: until when, ms; null for good. */
export interface Silence {
	readonly untilMs: number | null;
	readonly reason: string;
}

/** A message that waits for a moderator. */
export interface Held {
	readonly said: Said;
	/** When it was told, by this machine's clock. */
	readonly sinceMs: number;
}

/** That the viewers are sent to another channel, just now. */
export interface Raid {
	readonly to: string;
	readonly by: string;
	readonly key: string;
	readonly atMs: number;
}

export class Channel {
	readonly name: string;
	/** The oldest first. A new array whenever something changed. */
	lines: readonly Line[] = [];
	modes: Modes = NO_MODES;
	pin: Pin | null = null;
	role: Role = 'guest';
	/** Whether this client's person is silenced. */
	silence: Silence | null = null;
	/** What a moderator has warned this client's person of, until it was read. */
	warning: string | null = null;
	/** For moderators: what waits for them, the oldest first. */
	held: readonly Held[] = [];
	/** The last raid that was not history. */
	raid: Raid | null = null;
	connections: number | null = null;
	users: number | null = null;
	/** Whose client this is; null for a reader without an account. */
	me: string | null = null;

	#last: Position | null = null;
	/** Where the answer to `join` stands, and how many older events come first. */
	#joined: { at: Position | null; follow: number } = { at: null, follow: 0 };
	#drawn = 0;
	/** Whether what comes is history. */
	#past = true;
	readonly #now: () => number;

	/** `now` is ms since 1970. */
	constructor(name: string, now: () => number = Date.now) {
		this.name = name;
		this.#now = now;
	}

	/** `CHANNEL.EPOCH.SEQ` of the newest event; null before the first answer. */
	get resume(): string | null {
		return this.#last && `${this.name}.${this.#last.epoch}.${this.#last.seq}`;
	}

	/** Whether this client's person may moderate. */
	get moderates(): boolean {
		return this.role === 'moderator' || this.role === 'owner' || this.role === 'admin';
	}

	/** Takes what the hub sent. Gives whether it was news: false for an event that was here already. */
	apply(object: Server): boolean {
		if (isEvent(object)) return this.#event(object);
		switch (object.type) {
			case 'welcome':
				this.me = object.user?.login ?? null;
				return true;
			case 'joined':
				this.#join(object);
				return true;
			case 'gap':
				this.#add({ kind: 'gap', missed: object.missed }, null, 0);
				return true;
			case 'count':
				this.connections = object.connections;
				this.users = object.users;
				return true;
			case 'notice':
				this.#notice(object);
				return true;
			default:
				return false;
		}
	}

	/** That a post was refused because its author is silenced. */
	silenced(untilMs: number | null): void {
		this.silence = { untilMs, reason: this.silence?.reason ?? '' };
	}

	/** The warning was read. */
	warned(): void {
		this.warning = null;
	}

	/** Lets go of what the hub has let go of, should it not have said so. */
	expire(): void {
		const now = this.#now();
		if (this.held.some(({ sinceMs }) => now - sinceMs >= HELD_MS)) this.held = this.held.filter(({ sinceMs }) => now - sinceMs < HELD_MS);
	}

	#notice(notice: Notice): void {
		switch (notice.note) {
			case 'silenced':
				this.silence = { untilMs: notice.until_ms, reason: notice.reason };
				return;
			case 'warned':
				this.warning = notice.reason;
				return;
			case 'held':
				this.#decided(notice.message.id);
				this.held = [...this.held, { said: notice.message, sinceMs: this.#now() }].slice(-MOST_HELD);
				return;
			case 'waiting':
				this.held = [];
				return;
			case 'decided':
				return this.#decided(notice.id);
		}
	}

	#decided(id: string): void {
		if (this.held.some(({ said }) => said.id === id)) this.held = this.held.filter(({ said }) => said.id !== id);
	}

	#join(joined: Joined): void {
		this.role = joined.role;
		this.modes = joined.modes;
		this.pin = joined.pin;
		this.silence = null;
		// The hub tells anew what waits.
		this.held = [];
		if (joined.gap) this.#add({ kind: 'gap', missed: joined.gap.missed }, null, 0);
		this.#joined = { at: position(joined.position), follow: joined.follow };
		this.#caughtUp();
	}

	/** Once all older events have come, the next break is resumed from the answer's own position. */
	#caughtUp(): void {
		const { at, follow } = this.#joined;
		if (follow > 0 || !at) return;
		if (!this.#last || this.#last.seq < at.seq || this.#last.epoch < at.epoch) this.#last = at;
		this.#joined = { at: null, follow: 0 };
		this.#past = false;
	}

	#event(event: Event): boolean {
		const at = position(event.position);
		if (!at) return false;
		if (this.#joined.follow > 0) this.#joined.follow -= 1;
		const fresh = this.#admit(at);
		if (fresh) {
			this.#last = at;
			this.#perform(event, at);
		}
		this.#caughtUp();
		return fresh;
	}

	/** Whether an event is new. One of a newer epoch under a number that we have takes away what the dead hub alone had shown. */
	#admit(at: Position): boolean {
		const last = this.#last;
		if (!last || at.seq > last.seq) return true;
		if (at.epoch <= last.epoch) return false;
		this.lines = this.lines.filter((line) => line.at === null || line.at.seq < at.seq);
		return true;
	}

	#perform(event: Event, at: Position): void {
		const add = (line: LineOf) => this.#add(line, at, event.at_ms);
		switch (event.type) {
			case 'message':
			case 'announcement':
				return add({ kind: 'said', said: event, announced: event.type === 'announcement' });
			case 'delete':
				return this.#takeBack((said) => said.id === event.id);
			case 'clear':
				this.#takeBack(() => true);
				return add({ kind: 'cleared', by: event.by.login });
			case 'mode':
				add({ kind: 'mode', before: this.modes, after: event.modes, by: event.by.login });
				this.modes = event.modes;
				return;
			case 'pin':
				this.pin = event.pin;
				return;
			case 'raid':
				if (!this.#past) this.raid = { to: event.to, by: event.by.login, key: event.position, atMs: event.at_ms };
				return add({ kind: 'raid', to: event.to, by: event.by.login });
			case 'user':
				return this.#user(event, at);
		}
	}

	#user(event: Event & { type: 'user' }, at: Position): void {
		const mine = event.login === this.me;
		if (event.action === 'role') {
			if (mine) this.role = event.role ?? 'plain';
			if (!this.moderates) this.held = [];
			return;
		}
		if (event.action === 'timeout' || event.action === 'ban') {
			this.#takeBack((said) => said.user.login === event.login);
			this.held = this.held.filter(({ said }) => said.user.login !== event.login);
			// The reason comes by a notice, before the event or after it.
			if (mine) this.silence = { untilMs: event.until_ms ?? null, reason: this.silence?.reason ?? '' };
		} else if (event.action === 'unban' && mine) this.silence = null;
		const line = { kind: 'user', login: event.login, action: event.action, seconds: event.seconds ?? 0, by: event.by.login } as const;
		if (this.moderates) this.#add(line, at, event.at_ms);
	}

	/** Texts that are taken back are forgotten, not hidden. */
	#takeBack(which: (said: Said) => boolean): void {
		const gone = (said: Said): Said => ({ id: said.id, user: said.user, text: '', deleted: true, ...(said.reply && { reply: said.reply }) });
		this.lines = this.lines.map((line) => (line.kind === 'said' && which(line.said) ? { ...line, said: gone(line.said) } : line));
		if (this.pin && which(this.pin.message)) this.pin = null;
	}

	#add(line: LineOf, at: Position | null, atMs: number): void {
		const key = at ? `${at.epoch}.${at.seq}` : `gap-${(this.#drawn += 1)}`;
		this.lines = [...this.lines, { ...line, key, at, atMs, past: this.#past }].slice(-MOST_LINES);
	}
}

/** A line without its place. */
type LineOf = Line extends infer L ? (L extends Line ? Omit<L, keyof Placed> : never) : never;
