// One playback of one stream into a <video>: by hls.js, or by the browser itself where that is better.
//
// hls.js wherever it runs: Chromium says that it plays HLS natively and then plays whole segments, 8 s behind. Safari,
// told by its ManagedMediaSource, plays low latency by itself, preload hints included.
import { playByScript } from './hls';
import { isNative, library } from './library';
import { playNatively } from './native';
import type { Level, Quality } from './quality';
import type { Input } from './watch';

/** What is played. */
export interface Source {
	/** Of the multivariant playlist, after redirects. */
	readonly url: string;
	/** That playlist. */
	readonly text: string;
	readonly quality: Quality;
	/** Whether to stay farther from the edge, at one rate. */
	readonly stable: boolean;
}

/** What an engine can tell of itself, for the curious and for reports; null is unknown. */
export interface Facts {
	/** Of what plays, bits a second. */
	readonly bitrate: number | null;
	/** What the network carries, bits a second. */
	readonly throughput: number | null;
	/** How far behind the playlist's edge the picture should be, s. */
	readonly targetS: number | null;
	/** Where media comes from now. */
	readonly origin: string | null;
	/** How the edge had the latest piece: its word in `Server-Timing`. */
	readonly cache: string | null;
	/** See `split.ts`. */
	readonly partLeftMs: number;
	readonly lateMs: number | null;
	readonly uplinkMs: number | null;
	readonly queuedMs: number | null;
	readonly fetchMs: number | null;
	/** How long the stream has gone on when this picture was taken, s. */
	readonly uptimeS: number | null;
}

export interface Engine {
	/** The wall clock of the picture shown, unix ms; null while unknown. */
	playingMs(): number | null;
	/** Where in the media the picture should be to be live, s; null while unknown. */
	live(): number | null;
	/** Whether the session is over, so that the media has an end. */
	over(): boolean;
	/** What may be chosen from; nothing where the browser chooses. */
	levels(): readonly Level[];
	/** Which of them plays; −1 while unknown. */
	level(): number;
	/** Plays another of them, or whichever suits. */
	choose(quality: Quality): void;
	/** Whether it can keep to another distance. */
	readonly paces: boolean;
	/** Keeps farther from the edge and to one rate, or near. */
	pace(stable: boolean): void;
	facts(): Facts;
	/** After a calm time: forget the distance that earlier stalls have added. */
	settle(): void;
	/** Rebuild the decoder. */
	mend(): void;
	/** Load no more; the last picture stays. */
	stop(): void;
	/** Let go of the element. */
	close(): void;
}

/** Plays; what happens goes to `report`, server's time to be had from `clock` (unix ms). Loads hls.js first, where it is needed. */
export async function play(source: Source, video: HTMLVideoElement, clock: () => number, report: (input: Input) => void): Promise<Engine> {
	if (isNative(video)) return playNatively(source, video, report);
	const { default: Library } = await library();
	if (Library.isSupported()) return playByScript(Library, source, video, clock, report);
	report({ kind: 'fatal', cause: 'codec' });
	return playNatively(null, video, () => {});
}
