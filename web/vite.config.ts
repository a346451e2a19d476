import { sveltekit } from '@sveltejs/kit/vite';
import tailwindcss from '@tailwindcss/vite';
import { defineConfig } from 'vitest/config';

// `npm run dev` serves the page and takes everything else from a running `freshet dev`.
const node = process.env.FRESHET_URL ?? 'http://localhost:8080';

export default defineConfig({
	plugins: [tailwindcss(), sveltekit()],
	server: { proxy: { '/live': node, '/p/': node, '/api': node, '/site.json': node, '/chat': { target: node, ws: true } } },
	build: { chunkSizeWarningLimit: 700 },
	test: { include: ['src/**/*.test.ts'], environment: 'node', testTimeout: 60_000 }
});
