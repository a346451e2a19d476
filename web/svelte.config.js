import adapter from '@sveltejs/adapter-static';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

// The script of app.html, which sets the theme before anything is drawn.
const [, theme = ''] = /<script>([^]*?)<\/script>/.exec(readFileSync(new URL('src/app.html', import.meta.url), 'utf8')) ?? [];
const themeHash = createHash('sha256').update(theme).digest('base64');

/** @type {import('@sveltejs/kit').Config} */
export default {
	kit: {
		// One page for every path: the binary answers with index.html whatever is not a file.
		adapter: adapter({ fallback: 'index.html', precompress: true }),
		csp: {
			mode: 'hash',
			directives: {
				'default-src': ['self'],
				'script-src': ['self', `sha256-${themeHash}`],
				// The hash is that of SvelteKit's announcer of page changes, which is hidden by a style attribute.
				'style-src': ['self', 'unsafe-hashes', 'sha256-S8qMpvofolR8Mpjy4kQvEm7m1q8clzU4dfDH0AmvZjo='],
				// A player, and the chat, go on at another edge when their own goes. Which ones there are says the header, which counts too.
				'connect-src': ['self', 'https:', 'http:', 'wss:', 'ws:'],
				// hls.js feeds the picture through a blob.
				'media-src': ['self', 'blob:'],
				'img-src': ['self', 'data:'],
				'object-src': ['none'],
				'base-uri': ['none'],
				'form-action': ['none']
			}
		},
		// A page that was open during an upgrade learns of it at its next navigation and reloads.
		version: { pollInterval: 0 }
	}
};
