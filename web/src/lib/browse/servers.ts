// Where encoders publish, by /api/ingests (docs/operating.md): the nearest first.
import { each, fields, text } from '$lib/api/types';
import type { Reader } from '$lib/api/client';

export interface Server {
	readonly name: string;
	/** `rtmp://HOST/live`, as encoders ask for it; the key has a field of its own there. */
	readonly url: string;
	/** The same by TLS; empty where there is none. */
	readonly secureUrl: string;
}

const withoutKey = (template: unknown) => text(template).replace(/\/?\{stream_key\}$/, '');

/** Reads the servers of an answer. */
export const servers: Reader<Server[]> = (body) => {
	const server: Reader<Server> = (item) => {
		const { name, url_template, url_template_secure } = fields(item);
		const url = withoutKey(url_template);
		return url === '' ? null : { name: text(name), url, secureUrl: withoutKey(url_template_secure) };
	};
	return Array.isArray(fields(body)['ingests']) ? each(fields(body)['ingests'], server) : null;
};
