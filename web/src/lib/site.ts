// /site.json → what this site shows on its first page.

export interface Site {
	/** The channel to play there; null when there is none. */
	readonly channel: string | null;
	/** Where encoders publish, if the server tells. */
	readonly rtmpUrl: string | null;
}

const text = (value: unknown) => (typeof value === 'string' && value !== '' ? value : null);

/** Reads the body of /site.json; what is missing or strange is null. */
export function parseSite(body: string): Site {
	try {
		const { channel, rtmp_url } = Object(JSON.parse(body)) as Record<string, unknown>;
		return { channel: text(channel), rtmpUrl: text(rtmp_url) };
	} catch {
		return { channel: null, rtmpUrl: null };
	}
}

export async function readSite(): Promise<Site> {
	try {
		const reply = await fetch('/site.json', { cache: 'no-store', signal: AbortSignal.timeout(10_000) });
		return parseSite(reply.ok ? await reply.text() : '');
	} catch {
		return parseSite('');
	}
}
