// How somebody likes their chat: kept in this browser, for all channels.

export interface Settings {
	readonly size: 'small' | 'medium' | 'large';
	/** Whether the time stands before each line. */
	readonly times: boolean;
	/** Whether lines wait for the picture. */
	readonly sync: boolean;
	/** Whether the colours of names are made readable, or left as they were chosen. */
	readonly readable: boolean;
}

export const PLAIN: Settings = { size: 'medium', times: false, sync: false, readable: true };
export const SIZES = ['small', 'medium', 'large'] as const;

/** Reads what was kept; what is missing or strange is as for everybody. */
export function readSettings(kept: string | null): Settings {
	try {
		const { size, times, sync, readable } = Object(JSON.parse(kept ?? 'null')) as Record<string, unknown>;
		const flag = (value: unknown, plain: boolean) => (typeof value === 'boolean' ? value : plain);
		return {
			size: SIZES.find((one) => one === size) ?? PLAIN.size,
			times: flag(times, PLAIN.times),
			sync: flag(sync, PLAIN.sync),
			readable: flag(readable, PLAIN.readable)
		};
	} catch {
		return PLAIN;
	}
}
