// The shell of `settings.ts`: how somebody likes their chat, kept over reloads where the browser keeps anything.
import { readSettings, type Settings } from './settings';

const NAME = 'freshet.chat';

class Taste {
	settings = $state.raw<Settings>(readSettings(kept()));

	change(change: Partial<Settings>): void {
		this.settings = { ...this.settings, ...change };
		try {
			localStorage.setItem(NAME, JSON.stringify(this.settings));
		} catch {
			// The browser keeps nothing: the choice holds until the page is left.
		}
	}
}

function kept(): string | null {
	try {
		return localStorage.getItem(NAME);
	} catch {
		return null;
	}
}

let taste: Taste | null = null;

/** The one taste of this page. Only in a browser. */
export function theTaste(): Taste {
	taste ??= new Taste();
	return taste;
}
