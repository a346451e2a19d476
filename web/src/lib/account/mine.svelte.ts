// The account of whoever is signed in, as the API tells it: role, name, picture.
import { untrack } from 'svelte';
import { theApi } from '$lib/api';
import type { Problem } from '$lib/api/problem';
import { me, type Me } from '$lib/api/types';
import { theAccount } from './account.svelte';

class Mine {
	/** Null for nobody, and until the API has answered. */
	me = $state<Me | null>(null);
	/** Why it is not known, or not anew; null where all is well. */
	problem = $state.raw<Problem | null>(null);

	constructor() {
		const account = theAccount();
		$effect.root(() => {
			$effect(() => {
				void account.changes;
				const { username } = account;
				untrack(() => {
					if (this.me?.username !== username) this.me = null;
					void this.load();
				});
			});
		});
	}

	/** Asks anew. */
	async load(): Promise<void> {
		const { username } = theAccount();
		if (username === null) return;
		const reply = await theApi().get('/api/me', me);
		this.problem = reply.ok ? null : reply.problem;
		if (reply.ok && theAccount().username === reply.body.username) this.me = reply.body;
	}
}

let mine: Mine | null = null;

/** The one account of this page. Only in a browser. */
export function theMine(): Mine {
	mine ??= new Mine();
	return mine;
}
