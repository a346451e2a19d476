// Numbers, times and names as people read them. The language is that of the words: English.

const COMPACT = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 });
const DATE = new Intl.DateTimeFormat('en', { dateStyle: 'medium' });
const DATE_TIME = new Intl.DateTimeFormat('en', { dateStyle: 'medium', timeStyle: 'short', hourCycle: 'h23' });
const EXACTLY = new Intl.DateTimeFormat('en', { dateStyle: 'medium', timeStyle: 'medium', hourCycle: 'h23' });
const TIME = new Intl.DateTimeFormat('en', { timeStyle: 'medium', hourCycle: 'h23' });
const MINUTE = new Intl.DateTimeFormat('en', { timeStyle: 'short', hourCycle: 'h23' });
const AGO = new Intl.RelativeTimeFormat('en', { numeric: 'auto' });
const UNITS = [
	['year', 31_536_000],
	['month', 2_592_000],
	['day', 86_400],
	['hour', 3_600],
	['minute', 60]
] as const;

/** 1,234 → 1.2K. */
export const count = (number: number) => COMPACT.format(number);
/** ms since 1970 → Nov 26, 2026. */
export const date = (ms: number) => DATE.format(ms);
/** ms since 1970 → Nov 26, 2026, 15:20. */
export const dateTime = (ms: number) => DATE_TIME.format(ms);
/** ms since 1970 → Nov 26, 2026, 15:20:07. */
export const exactly = (ms: number) => EXACTLY.format(ms);
/** ms since 1970 → 15:20:07. */
export const time = (ms: number) => TIME.format(ms);
/** ms since 1970 → 15:20. */
export const minute = (ms: number) => MINUTE.format(ms);

/** How long before `nowMs` something was: 3 minutes ago. */
export function ago(ms: number, nowMs: number): string {
	const seconds = Math.round((ms - nowMs) / 1000);
	for (const [unit, size] of UNITS) if (Math.abs(seconds) >= size) return AGO.format(Math.trunc(seconds / size), unit);
	return AGO.format(0, 'second');
}

/** Seconds as a clock shows them: 4:05, 1:02:09. */
export function clock(seconds: number): string {
	const whole = Math.max(0, Math.floor(seconds));
	const [hours, minutes, rest] = [Math.floor(whole / 3_600), Math.floor(whole / 60) % 60, whole % 60];
	const two = (number: number) => String(number).padStart(2, '0');
	return hours > 0 ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

/** Bits a second: 3.1 Mbit/s. */
export function bitrate(bits: number): string {
	return bits >= 1_000_000 ? `${(bits / 1_000_000).toFixed(1)} Mbit/s` : `${Math.round(bits / 1000)} kbit/s`;
}

/** The one or two letters that stand for a name. */
export function initials(name: string): string {
	const words = name.trim().split(/[\s_-]+/u).filter(Boolean);
	const letters = words.length > 1 ? [words[0], words.at(-1)] : [words[0] ?? ''];
	return letters.map((word) => [...(word ?? '')][0] ?? '').join('').toUpperCase();
}
