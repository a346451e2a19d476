// What a viewer's player knows → what it says and does next. A machine: no timers, no network, no element.
//
//   answers to "is the channel live?" ─┐                    ┌─▶ ask, attach, stop, mend, jump
//   what the player reports ───────────┼─▶ Watch.handle ────┤
//   the deadline that passed ──────────┘                    └─▶ status, in one word
//
// Everything recovers by itself: whatever ends the playback, the machine asks again, ever less often, and attaches anew.
import { wait, type Backoff } from './backoff';

export type Status =
	/** Nobody has answered yet. */
	| 'connecting'
	/** The channel exists or not, but nobody streams. */
	| 'offline'
	/** Somebody streams; no picture yet. */
	| 'starting'
	| 'live'
	/** The server answers, but nothing new comes from the encoder. */
	| 'reconnecting'
	/** The server doesn't answer. */
	| 'unreachable'
	/** The server answers that it has no room. */
	| 'overloaded'
	| 'ended'
	/** Whoever watches needs an invitation: a playback token. */
	| 'private'
	/** This browser has no decoder for it. */
	| 'unplayable'
	/** The decoder has failed twice; a new player is on its way. */
	| 'broken';

/** What asking for the channel gave. */
export type Answer = 'live' | 'ended' | 'offline' | 'starting' | 'private' | 'unreachable' | 'overloaded';

export type Input =
	| { kind: 'open' }
	| { kind: 'answer'; answer: Answer }
	/** The picture moves. */
	| { kind: 'playing' }
	/** The picture should move, and has not for a second. */
	| { kind: 'stalled' }
	/** A playlist came; `advanced` when it names media that the one before did not. */
	| { kind: 'reloaded'; advanced: boolean }
	/** A playlist or a part did not come; the player tries again by itself. */
	| { kind: 'failed' }
	/** The player has given up. */
	| { kind: 'fatal'; cause: 'network' | 'media' | 'codec' }
	/** The picture has reached the end of a session that is over. */
	| { kind: 'finished' }
	/** The viewer wants what takes another player: the sound alone, or the picture again. */
	| { kind: 'renewed' }
	| { kind: 'timeout' };

export type Output =
	/** Ask whether the channel is live; `answer` follows. */
	| 'ask'
	/** Play from the live edge, with a new player. */
	| 'attach'
	/** Load no more; the last picture stays. */
	| 'stop'
	/** Rebuild the decoder under the same player. */
	| 'mend'
	/** Go to the live edge. */
	| 'jump';

/** Held longer than this, the first question means that a session is starting: the edge holds the playlist until there is one. */
const HELD_MS = 2_000;
/** A new player that shows no picture for so long is replaced. */
const FIRST_PICTURE_MS = 15_000;
/** A stall that lasts so long although new media comes is the player's own; it is moved, then replaced. */
const STALL_MS = 6_000;
/** A second decoder error within this time means that mending doesn't help. */
const MEND_AGAIN_MS = 10_000;
/** Quick enough that a viewer sees the start; a crowd of 100,000 then asks 20,000 times a second, of a cache. */
const IDLE: Backoff = { firstMs: 2_000, mostMs: 6_000 };
const LOST: Backoff = { firstMs: 500, mostMs: 8_000 };
const UNPLAYABLE: Backoff = { firstMs: 15_000, mostMs: 60_000 };

export class Watch {
	status: Status = 'connecting';
	/** When `timeout` is due, in the caller's ms; null for never. */
	deadline: number | null = null;
	/** Whether the deadline is that of the next question, for a countdown. */
	get asksAt(): number | null {
		return this.#attached || this.#asking ? null : this.deadline;
	}

	#attached = false;
	#asking = false;
	#attempt = 0;
	#reachable = true;
	#advanced = false;
	#jumped = false;
	#mendedAt = -Infinity;
	readonly #random: () => number;

	/** `random` gives [0, 1), for the spread of retries. */
	constructor(random: () => number) {
		this.#random = random;
	}

	/** Takes what happened at `now` (ms, any origin); gives what to do, in order. */
	handle(now: number, input: Input): Output[] {
		switch (input.kind) {
			case 'open':
				return this.#ask(now);
			case 'answer':
				return this.#answer(now, input.answer);
			case 'timeout':
				return this.#timeout(now);
		}
		if (!this.#attached) return [];
		switch (input.kind) {
			case 'playing':
				return this.#playing();
			case 'stalled':
				return this.#stalled(now);
			case 'reloaded':
				return this.#heard(true, input.advanced);
			case 'failed':
				return this.#heard(false, false);
			case 'fatal':
				return this.#fatal(now, input.cause);
			case 'finished':
				return this.#finished(now);
			case 'renewed':
				return this.#renew(now);
		}
	}

	#ask(now: number): Output[] {
		this.#asking = true;
		this.deadline = this.status === 'connecting' ? now + HELD_MS : null;
		return ['ask'];
	}

	#askLater(now: number, backoff: Backoff): void {
		this.deadline = now + wait(backoff, this.#attempt, this.#random);
		this.#attempt += 1;
	}

	#answer(now: number, answer: Answer): Output[] {
		if (!this.#asking) return [];
		this.#asking = false;
		if (answer === 'live') return this.#attach(now);
		const next = this.status === 'ended' && answer === 'offline' ? 'ended' : answer;
		// The first answer after a change counts from the start again: a stream that has just ended may resume in a moment.
		if (next !== this.status) this.#attempt = 0;
		this.status = next;
		this.#askLater(now, next === 'unreachable' || next === 'starting' ? LOST : IDLE);
		return [];
	}

	#attach(now: number): Output[] {
		if (this.status !== 'unplayable' && this.status !== 'reconnecting') this.status = 'starting';
		this.#attached = true;
		this.#reachable = true;
		this.#advanced = false;
		this.#jumped = false;
		this.deadline = now + FIRST_PICTURE_MS;
		return ['attach'];
	}

	#detach(): Output[] {
		this.#attached = false;
		return ['stop'];
	}

	#playing(): Output[] {
		this.status = 'live';
		this.#attempt = 0;
		this.#jumped = false;
		this.deadline = null;
		return [];
	}

	#stalled(now: number): Output[] {
		if (this.status !== 'live') return [];
		this.status = this.#reachable ? 'reconnecting' : 'unreachable';
		this.#advanced = false;
		this.deadline = now + STALL_MS;
		return [];
	}

	#heard(reachable: boolean, advanced: boolean): Output[] {
		this.#reachable = reachable;
		this.#advanced ||= advanced;
		if (this.status === 'reconnecting' && !reachable) this.status = 'unreachable';
		else if (this.status === 'unreachable' && reachable) this.status = 'reconnecting';
		return [];
	}

	#fatal(now: number, cause: 'network' | 'media' | 'codec'): Output[] {
		if (cause === 'media' && now - this.#mendedAt > MEND_AGAIN_MS) {
			this.#mendedAt = now;
			return ['mend'];
		}
		if (cause === 'codec') this.status = 'unplayable';
		else if (cause === 'media') this.status = 'broken';
		else if (this.status === 'live') this.status = 'reconnecting';
		this.#askLater(now, cause === 'codec' ? UNPLAYABLE : LOST);
		return this.#detach();
	}

	#finished(now: number): Output[] {
		this.status = 'ended';
		this.#attempt = 0;
		this.#askLater(now, IDLE);
		return this.#detach();
	}

	#renew(now: number): Output[] {
		this.status = 'starting';
		return this.#attach(now);
	}

	#timeout(now: number): Output[] {
		if (this.#asking) {
			if (this.status === 'connecting') this.status = 'starting';
			this.deadline = null;
			return [];
		}
		if (!this.#attached) return this.#ask(now);
		// Nothing new from the encoder: the player does what can be done, it reloads. The session's end or its resumption will tell.
		if (this.status === 'reconnecting' && !this.#advanced) {
			this.deadline = now + STALL_MS;
			return [];
		}
		if (this.status === 'reconnecting' && !this.#jumped) {
			this.#jumped = true;
			this.deadline = now + STALL_MS;
			return ['jump'];
		}
		return [...this.#detach(), ...this.#ask(now)];
	}
}
