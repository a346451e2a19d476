// Holds the built site to its budgets: what each page loads before it is drawn, and the watch page with its player.
//
// `vite build` has just run. A page is index.html, the two entries, its layouts and itself, with all that these import
// statically; sizes are those of the .br files that the binary sends. What a page imports later is counted for nobody but the
// player, whose hls.js comes by itself as soon as somebody streams.
import { readFileSync, statSync } from 'node:fs';

/** What a page may load before it is drawn, bytes. */
const FIRST_LOAD = 130_000;
/** What the watch page may load with its player. */
const WITH_PLAYER = 250_000;

const WATCH = '/(site)/c/[channel]';
const PLAYER = 'node_modules/hls.js/dist/hls.mjs';
const ENTRIES = ['node_modules/@sveltejs/kit/src/runtime/client/entry.js', '.svelte-kit/generated/client-optimized/app.js'];
const node = (number) => `.svelte-kit/generated/client-optimized/nodes/${number}.js`;

const at = (path) => new URL(`../${path}`, import.meta.url);
const manifest = JSON.parse(readFileSync(at('.svelte-kit/output/client/.vite/manifest.json'), 'utf8'));

/** The routes of the site, each with the numbers of its layouts and of itself. */
function routes() {
	const app = readFileSync(at('.svelte-kit/generated/client-optimized/app.js'), 'utf8');
	const dictionary = app.slice(app.indexOf('export const dictionary'));
	return [...dictionary.matchAll(/"(\/[^"]*)": \[~?(\d+)(?:,\[([\d,]*)\])?/g)].map(([, route, leaf, layouts = '']) => [route, [0, ...layouts.split(',').filter(Boolean), leaf]]);
}

/** The files that come with these modules, without those that are imported later. */
function files(modules) {
	const seen = new Set();
	const found = new Set();
	for (const queue = [...modules]; queue.length > 0; ) {
		const name = queue.pop();
		if (seen.has(name)) continue;
		seen.add(name);
		const { file, css = [], imports = [] } = manifest[name] ?? fail(`${name} is not in the manifest`);
		for (const path of [file, ...css]) found.add(path);
		queue.push(...imports);
	}
	return found;
}

function weight(paths) {
	return [...paths].reduce((sum, path) => sum + statSync(at(`build/${path}.br`)).size, 0);
}

function fail(words) {
	console.error(`sizes: ${words}`);
	process.exit(1);
}

function hold(what, bytes, most) {
	console.log(`${String(bytes).padStart(8)} of ${most} bytes: ${what}`);
	if (bytes > most) fail(`${what} loads ${bytes} bytes, compressed; its budget is ${most}`);
}

const pages = routes();
if (!pages.some(([route]) => route === WATCH)) fail(`there is no ${WATCH}`);
for (const [route, numbers] of pages) {
	const modules = [...ENTRIES, ...numbers.map(node)];
	hold(route, weight(['index.html', ...files(modules)]), FIRST_LOAD);
	if (route === WATCH) hold(`${route} with its player`, weight(['index.html', ...files([...modules, PLAYER])]), WITH_PLAYER);
}
