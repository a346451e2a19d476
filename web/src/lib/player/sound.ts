// How loud the viewer had it, across visits. A browser without storage remembers nothing, and plays all the same.

export interface Sound {
	/** 0 to 1. */
	volume: number;
	/** Whether the viewer turned the sound on at their last visit: the next one tries to start with it. */
	on: boolean;
}

const KEY = 'freshet.sound';
const QUIET_START: Sound = { volume: 1, on: false };

/** Reads what `remember` wrote; anything else is as if nothing were. */
export function parse(text: string | null): Sound {
	try {
		const { volume, on } = JSON.parse(text ?? '') as Partial<Sound>;
		if (typeof volume !== 'number' || !(volume >= 0 && volume <= 1) || typeof on !== 'boolean') return QUIET_START;
		return { volume, on };
	} catch {
		return QUIET_START;
	}
}

export function recall(): Sound {
	try {
		return parse(localStorage.getItem(KEY));
	} catch {
		return QUIET_START;
	}
}

export function remember(sound: Sound): void {
	try {
		localStorage.setItem(KEY, JSON.stringify(sound));
	} catch {
		// Storage is off or full: nothing to do about it.
	}
}
