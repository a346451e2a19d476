// The viewer's hand on one <video>: pause, sound, full screen, a few seconds back. Mirrors the element for the page.
import { recall, remember } from './sound';

export class Screen {
	paused = $state(true);
	muted = $state(true);
	volume = $state(1);
	full = $state(false);

	readonly #video: HTMLVideoElement;
	readonly #stage: HTMLElement;
	readonly #closing = new AbortController();

	/** `stage` is what becomes full screen: the picture with its controls. */
	constructor(video: HTMLVideoElement, stage: HTMLElement) {
		this.#video = video;
		this.#stage = stage;
		const { volume, on } = recall();
		video.volume = volume;
		video.muted = !on;
		const listen = (target: EventTarget, names: string[], act: () => void) => {
			for (const name of names) target.addEventListener(name, act, { signal: this.#closing.signal });
		};
		listen(video, ['play', 'playing', 'pause'], () => (this.paused = video.paused));
		listen(video, ['volumechange'], () => this.#mirror());
		listen(document, ['fullscreenchange'], () => (this.full = document.fullscreenElement === stage));
		this.#mirror();
	}

	close(): void {
		this.#closing.abort();
	}

	/** Turns the sound on or off, and remembers it. On brings back something that can be heard. */
	toggleSound(): void {
		this.#video.muted = !this.#video.muted;
		if (!this.#video.muted && this.#video.volume < 0.05) this.#video.volume = 0.5;
		this.#remember();
	}

	/** Sets the volume, 0 to 1; silence is off. */
	setVolume(volume: number): void {
		this.#video.volume = Math.min(1, Math.max(0, volume));
		this.#video.muted = volume <= 0;
		this.#remember();
	}

	toggleFull(): void {
		if (document.fullscreenElement) void document.exitFullscreen();
		else if (this.#stage.requestFullscreen) void this.#stage.requestFullscreen();
		// iPhones put only the video itself on the full screen.
		else (this.#video as { webkitEnterFullscreen?: () => void }).webkitEnterFullscreen?.();
	}

	/** Moves by `seconds` within what is buffered. */
	skip(seconds: number): void {
		const { buffered, currentTime } = this.#video;
		if (buffered.length === 0) return;
		const end = buffered.end(buffered.length - 1) - 0.2;
		this.#video.currentTime = Math.min(end, Math.max(buffered.start(0), currentTime + seconds));
	}

	#mirror(): void {
		this.muted = this.#video.muted;
		this.volume = this.#video.volume;
	}

	#remember(): void {
		remember({ volume: this.#video.volume, on: !this.#video.muted });
	}
}
