// Where a refresh token is kept: for all tabs where the browser can keep them apart, else in this tab's memory.
import type { Kept, Store } from './keeper';

const NAME = 'freshet.session';

/** Reads what was kept; null for nothing, and for what this version doesn't understand. */
export function readKept(text: string | null): Kept | null {
	try {
		const { refresh, key, username } = Object(JSON.parse(text ?? 'null')) as Record<string, unknown>;
		const whole = typeof refresh === 'string' && typeof key === 'string' && typeof username === 'string';
		return whole ? { refresh, key, username } : null;
	} catch {
		return null;
	}
}

/** This browser's store; `changed` is told when another tab has written. */
export function openStore(changed: () => void): Store {
	if (!('locks' in navigator) || !storable()) return memory();
	addEventListener('storage', (event) => {
		if (event.key === NAME || event.key === null) changed();
	});
	return {
		read: () => readKept(localStorage.getItem(NAME)),
		write: (kept) => (kept ? localStorage.setItem(NAME, JSON.stringify(kept)) : localStorage.removeItem(NAME)),
		alone: (act) => navigator.locks.request(NAME, act) as ReturnType<typeof act>
	};
}

function memory(): Store {
	let held: Kept | null = null;
	return { read: () => held, write: (kept) => void (held = kept), alone: (act) => act() };
}

/** Whether the page may store anything: browsers can forbid it. */
function storable(): boolean {
	try {
		localStorage.getItem(NAME);
		return true;
	} catch {
		return false;
	}
}
