// What the hub sends (docs/chat-protocol.md), as types; frames → objects; and where an event stands.

export type Role = 'guest' | 'plain' | 'follower' | 'vip' | 'moderator' | 'owner' | 'admin';

export interface Author {
	readonly id: string;
	readonly login: string;
	readonly name: string;
	/** `#rrggbb` */
	readonly color?: string;
	/** The highest first. */
	readonly roles: readonly Role[];
}

export interface Person {
	readonly id: string;
	readonly login: string;
	readonly name: string;
}

export interface Modes {
	readonly slow_s: number;
	/** Minutes that somebody must have followed; null where everybody may write. */
	readonly followers_min: number | null;
	readonly emote_only: boolean;
	readonly unique: boolean;
	readonly links_off: boolean;
	readonly shield: boolean;
}

/** A message by itself. */
export interface Said {
	readonly id: string;
	readonly user: Author;
	/** Plain text, whatever it looks like. Empty where it was taken back. */
	readonly text: string;
	readonly action?: true;
	readonly deleted?: true;
	readonly reply?: Person;
	/** What the author's player showed, ms since 1970 by the encoder's clock. */
	readonly pdt_ms?: number;
}

export interface Pin {
	readonly message: Said;
	readonly until_ms: number | null;
}

interface Numbered {
	readonly channel: string;
	/** EPOCH.SEQ */
	readonly position: string;
	readonly at_ms: number;
	readonly nonce?: string;
}
interface By {
	readonly by: { readonly id: string; readonly login: string };
}

/** What has a number in its channel. */
export type Event =
	| (Numbered & Said & { readonly type: 'message' | 'announcement' })
	| (Numbered & By & { readonly type: 'delete'; readonly id: string; readonly login: string })
	| (Numbered & By & { readonly type: 'clear' })
	| (Numbered &
			By & {
				readonly type: 'user';
				readonly login: string;
				readonly action: 'timeout' | 'ban' | 'unban' | 'warn' | 'role';
				readonly seconds?: number;
				readonly until_ms?: number;
				readonly role?: Role | null;
			})
	| (Numbered & By & { readonly type: 'mode'; readonly modes: Modes })
	| (Numbered & { readonly type: 'pin'; readonly pin: Pin | null })
	| (Numbered & By & { readonly type: 'raid'; readonly to: string });

export interface Joined {
	readonly type: 'joined';
	readonly channel: string;
	readonly position: string;
	readonly resume: string;
	readonly role: Role;
	readonly modes: Modes;
	readonly pin: Pin | null;
	/** How many of the events that come next are older than this answer. */
	readonly follow: number;
	readonly gap?: { readonly missed: number | null };
}

export interface Nack {
	readonly type: 'nack';
	readonly nonce: string;
	readonly code: string;
	readonly retry_ms?: number;
	readonly text: string;
}

export type Notice = { readonly type: 'notice'; readonly channel: string } & (
	| { readonly note: 'warned'; readonly reason: string }
	| { readonly note: 'silenced'; readonly reason: string; readonly until_ms: number | null }
	| { readonly note: 'held'; readonly message: Said }
	/** What waited before does no more; what does follows, as so many that are held. */
	| { readonly note: 'waiting'; readonly follow: number }
	| { readonly note: 'decided'; readonly id: string; readonly approved: boolean }
);

export type Server =
	| Event
	| Joined
	| Nack
	| Notice
	| { readonly type: 'welcome'; readonly user: Person | null; readonly heartbeat_ms: number }
	| { readonly type: 'ack'; readonly nonce: string; readonly id?: string; readonly done?: string }
	| { readonly type: 'error'; readonly code: string; readonly text: string; readonly retry_ms?: number }
	| { readonly type: 'pong' }
	| { readonly type: 'count'; readonly connections: number; readonly users: number }
	| { readonly type: 'gap'; readonly missed: number | null; readonly position: string }
	| { readonly type: 'bye'; readonly reconnect_ms: number; readonly hubs: readonly string[] };

export type Client =
	| { readonly type: 'hello'; readonly proto: 1; readonly batch: true; readonly token?: string }
	| { readonly type: 'join'; readonly channel: string; readonly history?: number; readonly resume?: string }
	| { readonly type: 'msg'; readonly channel: string; readonly nonce: string; readonly text: string; readonly reply_to?: string; readonly pdt_ms?: number }
	| { readonly type: 'ping' };

const TYPES: ReadonlySet<string> = new Set([
	...['message', 'announcement', 'delete', 'clear', 'user', 'mode', 'pin', 'raid'],
	...['joined', 'nack', 'notice', 'welcome', 'ack', 'error', 'pong', 'count', 'gap', 'bye']
]);

/** The objects of a frame, one a line. What this client doesn't know is passed over. */
export function parse(frame: string): Server[] {
	return frame.split('\n').flatMap((line) => {
		try {
			const value: unknown = JSON.parse(line);
			const type = (Object(value) as { type?: unknown }).type;
			return typeof type === 'string' && TYPES.has(type) ? [value as Server] : [];
		} catch {
			return [];
		}
	});
}

/** Whether this is an event: something with a number in its channel. */
export function isEvent(object: Server): object is Event {
	return 'position' in object && 'at_ms' in object;
}

/** Where an event stands. Numbers go on over epochs; only the death of a hub begins a new one. */
export interface Position {
	readonly epoch: bigint;
	readonly seq: bigint;
}

/** Reads `EPOCH.SEQ`, whose numbers don't fit in one of JavaScript's; null where it is something else. */
export function position(text: string): Position | null {
	const [, epoch, seq] = /^(\d{1,20})\.(\d{1,20})$/.exec(text) ?? [];
	return epoch && seq ? { epoch: BigInt(epoch), seq: BigInt(seq) } : null;
}

/** Whether somebody of this role may silence them: nobody silences the owner or an administrator, no moderator another. */
export function mayBeSilenced(whom: Author, role: Role, me: string | null): boolean {
	const has = (...roles: Role[]) => whom.roles.some((one) => roles.includes(one));
	if (whom.login === me || has('owner', 'admin')) return false;
	return role === 'owner' || role === 'admin' || (role === 'moderator' && !has('moderator'));
}
