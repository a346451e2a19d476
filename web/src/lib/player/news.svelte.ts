// Picture and what is told of the stream, kept in step: what the picture does is news, what was told before is older.
import { serverNow } from '$lib/now.svelte';
import { graceLeft } from '$lib/timing';
import type { About } from './about.svelte';
import type { Session } from './session.svelte';

/** How often it is asked how the stream is while the picture says otherwise; with up to half more, so that a crowd doesn't ask at once. */
const EVERY_MS = 2_000;

/** For as long as the component lives: asks anew when the picture says otherwise, and tells the player whether the encoder is there, and how long it has left. */
export function keepInStep(session: () => Session | null, about: () => About | null): void {
	const status = $derived(session()?.status);
	const told = $derived(about()?.stream?.state);
	const isNews = $derived((status === 'live' || status === 'reconnecting') && told !== undefined && told !== status && told !== 'ended');

	$effect(() => {
		if (!isNews) return;
		const ask = () => void about()?.refresh();
		const timer = setInterval(ask, EVERY_MS * (1 + Math.random() / 2));
		ask();
		return () => clearInterval(timer);
	});
	$effect(() => {
		const player = session();
		if (player) player.there = told === 'live';
	});
	$effect(() => {
		const player = session();
		if (player) player.graceLeft = status === 'reconnecting' && told === status ? graceLeft(about()?.stream ?? null, serverNow()) : null;
	});
}
