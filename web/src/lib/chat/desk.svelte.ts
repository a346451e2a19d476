// What is open about a chat: a card, a question, the moderators' panel; what is being answered.
import type { Said } from './protocol';

/** What is asked before it is done. */
export type Question =
	| { readonly kind: 'timeout' | 'ban' | 'warn'; readonly login: string }
	| { readonly kind: 'announce' | 'clear' | 'raid' };
export type Tab = 'queue' | 'log' | 'bans' | 'terms';

export class Desk {
	/** Whether the chat is in a window of its own: links then open others. */
	readonly apart: boolean;
	/** Whose card is open, and at what. */
	card = $state.raw<{ readonly login: string; readonly anchor: HTMLElement } | null>(null);
	question = $state.raw<Question | null>(null);
	/** What the moderators' panel shows; null where it is closed. */
	tab = $state<Tab | null>(null);
	replyTo = $state.raw<Said | null>(null);
	/** What is to be written on at the end of what is being written; taken by the composer. */
	insertion = $state<string | null>(null);

	constructor(apart: boolean) {
		this.apart = apart;
	}

	/** Opens somebody's card at an element, or closes it where it is open there. */
	toggleCard(login: string, anchor: HTMLElement): void {
		this.card = this.card?.anchor === anchor ? null : { login, anchor };
	}
}
