// Dark or light: as the system, or as somebody has chosen. app.html applies a choice before this is loaded.
import { MediaQuery } from 'svelte/reactivity';

export type Look = 'system' | 'dark' | 'light';

const NAME = 'freshet.theme';

/** Reads what was kept. */
export const readLook = (kept: string | null | undefined): Look => (kept === 'dark' || kept === 'light' ? kept : 'system');

class Theme {
	#look = $state<Look>(readLook(document.documentElement.dataset['theme']));
	readonly #dark = new MediaQuery('prefers-color-scheme: dark');

	get look(): Look {
		return this.#look;
	}

	/** Whether the page is dark now. */
	get dark(): boolean {
		return this.#look === 'system' ? this.#dark.current : this.#look === 'dark';
	}

	choose(look: Look): void {
		this.#look = look;
		if (look === 'system') delete document.documentElement.dataset['theme'];
		else document.documentElement.dataset['theme'] = look;
		try {
			if (look === 'system') localStorage.removeItem(NAME);
			else localStorage.setItem(NAME, look);
		} catch {
			// The browser keeps nothing: the choice holds until the page is left.
		}
	}
}

let theme: Theme | null = null;

/** The one theme of this page. Only in a browser. */
export function theTheme(): Theme {
	theme ??= new Theme();
	return theme;
}
