// What the forms for accounts know beside their fields.
import type { Problem } from '$lib/api/problem';

/** Where to go after a form: a page of this site, else `otherwise`. */
export function nextPage(asked: string | null, otherwise: string): string {
	return asked !== null && /^\/(?![/\\])/.test(asked) ? asked : otherwise;
}

/** Reads a secret from the part of an address behind `#`, which servers don't see: `#link=fll_…`. */
export function secretIn(hash: string, name: 'link' | 'invite'): string {
	return new URLSearchParams(hash.replace(/^#/, '')).get(name) ?? '';
}

/** A browser's name for itself → the browser and the system; empty where neither is known. */
export function device(agent: string): string {
	const find = (known: readonly (readonly [RegExp, string])[]) => known.find(([sign]) => sign.test(agent))?.[1];
	const browser = find([
		[/Edg\//, 'Edge'],
		[/OPR\//, 'Opera'],
		[/Firefox\//, 'Firefox'],
		[/Chrom(e|ium)\//, 'Chrome'],
		[/Safari\//, 'Safari'],
		[/^curl\//, 'curl'],
		[/^node/i, 'Node.js']
	]);
	const system = find([
		[/Android/, 'Android'],
		[/iPhone|iPad/, 'iOS'],
		[/Windows/, 'Windows'],
		[/Mac OS X/, 'macOS'],
		[/CrOS/, 'ChromeOS'],
		[/Linux/, 'Linux']
	]);
	return [browser, system].filter(Boolean).join(', ');
}

/** The field that a problem is about; empty for the form as a whole. Signing up gives no e-mail address: what is taken is the name. */
export function problemField(form: 'log-in' | 'sign-up', { status, field }: Problem): string {
	if (field !== '' || form === 'log-in') return field;
	return status === 409 ? 'username' : status === 403 ? 'invite' : '';
}
