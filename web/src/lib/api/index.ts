// The one client of this page.
import { theAccount } from '$lib/account/account.svelte';
import { Client } from './client';

let client: Client | null = null;

/** Asks as whoever is signed in. Only in a browser. */
export function theApi(): Client {
	client ??= new Client(theAccount(), (path, asked) => fetch(path, asked), drawKey);
	return client;
}

/** What nobody else draws, for Idempotency-Key. Also without TLS, where there is no `crypto.randomUUID`. */
export function drawKey(): string {
	return [...crypto.getRandomValues(new Uint32Array(4))].join('-');
}
