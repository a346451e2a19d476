// The shell of `timing.ts`: the server's clock, by which its times are read. It is asked for once, when something first shows
// a time that passes; whoever shows one is shown it anew each second.
import { createSubscriber } from 'svelte/reactivity';
import { measure } from './player/clock';

let offsetMs: number | null = null;

const eachSecond = createSubscriber((update) => {
	if (offsetMs === null) {
		offsetMs = 0;
		void measure().then((skew) => {
			offsetMs = skew.offsetMs;
			update();
		});
	}
	const timer = setInterval(update, 1_000);
	return () => clearInterval(timer);
});

/** The server's clock, ms since 1970. */
export function serverNow(): number {
	eachSecond();
	return Date.now() + (offsetMs ?? 0);
}
