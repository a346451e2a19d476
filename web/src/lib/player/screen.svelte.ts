// The viewer's hand on one <video>: pause, sound, full screen, a window of its own. Mirrors the element for the page.
import { recall, remember } from './sound';

/** What a key turns the volume by. */
const STEP = 0.05;

export class Screen {
	paused = $state(true);
	muted = $state(true);
	volume = $state(1);
	full = $state(false);
	/** Whether the picture is in a window of its own, over all others. */
	floats = $state(false);
	/** Whether this browser has such windows. */
	readonly canFloat: boolean;

	readonly #video: HTMLVideoElement;
	readonly #stage: HTMLElement;
	readonly #closing = new AbortController();

	/** `stage` is what becomes full screen: the picture with its controls. */
	constructor(video: HTMLVideoElement, stage: HTMLElement) {
		this.#video = video;
		this.#stage = stage;
		this.canFloat = document.pictureInPictureEnabled === true;
		const { volume, on } = recall();
		video.volume = volume;
		video.muted = !on;
		const listen = (target: EventTarget, names: string[], act: () => void) => {
			for (const name of names) target.addEventListener(name, act, { signal: this.#closing.signal });
		};
		listen(video, ['play', 'playing', 'pause'], () => (this.paused = video.paused));
		listen(video, ['volumechange'], () => this.#mirror());
		listen(video, ['enterpictureinpicture', 'leavepictureinpicture'], () => (this.floats = document.pictureInPictureElement === video));
		listen(document, ['fullscreenchange'], () => (this.full = document.fullscreenElement === stage));
		this.#mirror();
	}

	close(): void {
		this.#closing.abort();
		if (this.floats) void document.exitPictureInPicture().catch(() => {});
	}

	/** Turns the sound on or off, and remembers it. On brings back something that can be heard. */
	toggleSound(): void {
		this.#video.muted = !this.#video.muted;
		if (!this.#video.muted && this.#video.volume < STEP) this.#video.volume = 0.5;
		this.#remember();
	}

	/** Sets the volume, 0 to 1; silence is off. */
	setVolume(volume: number): void {
		this.#video.volume = Math.min(1, Math.max(0, volume));
		this.#video.muted = volume <= 0;
		this.#remember();
	}

	/** Louder by a step, or quieter: −1. */
	turn(steps: number): void {
		const { muted, volume } = this.#video;
		this.setVolume(Math.round(((muted ? 0 : volume) + steps * STEP) / STEP) * STEP);
	}

	/** A browser may refuse, as where nobody has pressed or clicked anything. */
	toggleFull(): void {
		const refused = () => {};
		if (document.fullscreenElement) void document.exitFullscreen().catch(refused);
		else if (this.#stage.requestFullscreen) void this.#stage.requestFullscreen().catch(refused);
		// iPhones put only the video itself on the full screen.
		else (this.#video as { webkitEnterFullscreen?: () => void }).webkitEnterFullscreen?.();
	}

	/** Puts the picture into a window of its own, or back. A browser may refuse, as while there is no picture. */
	toggleFloat(): void {
		const change = this.floats ? document.exitPictureInPicture() : this.canFloat && this.#video.requestPictureInPicture();
		if (change) change.catch(() => {});
	}

	#mirror(): void {
		this.muted = this.#video.muted;
		this.volume = this.#video.volume;
	}

	#remember(): void {
		remember({ volume: this.#video.volume, on: !this.#video.muted });
	}
}
