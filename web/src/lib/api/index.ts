// The one client of this page.
import { theAccount } from '$lib/account/account.svelte';
import { Client } from './client';
import { drawKey } from './key';

let client: Client | null = null;

/** Asks as whoever is signed in. Only in a browser. */
export function theApi(): Client {
	client ??= new Client(theAccount(), (path, asked) => fetch(path, asked), drawKey);
	return client;
}
