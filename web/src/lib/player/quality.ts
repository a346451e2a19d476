// What a stream consists of → what the quality menu offers; and what was chosen → which level that is.
//
// A choice is a name, such as "720p60", not a number: the next stream's levels have other numbers.
import { bitrate } from '$lib/format';

/** One of the picture's sizes, as hls.js lists them. */
export interface Level {
	readonly width: number;
	readonly height: number;
	/** Frames a second; 0 where the playlist doesn't say. */
	readonly frameRate: number;
	/** Bits a second. */
	readonly bitrate: number;
}

/** The names of levels are those of `names`. */
export type Quality = 'auto' | 'audio' | (string & {});

/** From here on a frame rate is part of the name. */
const FAST = 35;

/** "720p60"; where two levels are alike in that, with their bitrates. Best first, each once. */
export function names(levels: readonly Level[]): string[] {
	const plain = levels.map(name);
	return levels.map((level, index) => {
		const text = plain[index] ?? '';
		return plain.indexOf(text) === plain.lastIndexOf(text) ? text : `${text} · ${bitrate(level.bitrate)}`;
	});
}

function name({ width, height, frameRate }: Level): string {
	const lines = Math.min(width || height, height);
	return `${lines}p${frameRate >= FAST ? Math.round(frameRate) : ''}`;
}

/** The level that a choice means: the one of that name, else the best that has no more lines; −1 for whichever suits. */
export function levelOf(levels: readonly Level[], choice: Quality): number {
	const exact = names(levels).indexOf(choice);
	const lines = Number.parseInt(choice, 10);
	if (exact >= 0 || Number.isNaN(lines)) return exact;
	const fitting = levels.map((level, index) => ({ index, lines: Math.min(level.width || level.height, level.height), bitrate: level.bitrate })).filter((level) => level.lines <= lines);
	return fitting.sort((a, b) => b.lines - a.lines || b.bitrate - a.bitrate)[0]?.index ?? -1;
}

/** The sizes that a multivariant playlist lists, in its order: for the menu while hls.js has been given the sound alone. */
export function levelsOf(playlist: string): Level[] {
	const variants = playlist.split('\n').filter((line) => line.startsWith('#EXT-X-STREAM-INF:'));
	return variants.flatMap((line) => {
		const attribute = (key: string) => new RegExp(`[:,]${key}=([^,]*)`).exec(line)?.[1]?.trim() ?? '';
		const [width, height] = attribute('RESOLUTION').split('x').map(Number);
		return width && height ? { width, height, frameRate: Number(attribute('FRAME-RATE')), bitrate: Number(attribute('BANDWIDTH')) } : [];
	});
}

const AUDIO_CODEC = /^(mp4a|opus|flac|ac-3|ec-3)/i;
/** The playlist doesn't say what an audio rendition takes; nothing is chosen by this, but a variant must say something. */
const AUDIO_BANDWIDTH = 160_000;

/**
 * A multivariant playlist whose only variant is the default audio rendition of `playlist`: hls.js drops variants without
 * a picture where there are others. Null where the sound has no rendition of its own.
 */
export function audioAlone(playlist: string): string | null {
	const lines = playlist.split('\n').map((line) => line.trim());
	const attribute = (line: string, key: string) => new RegExp(`[:,]${key}="([^"]*)"`).exec(line)?.[1];
	const audio = lines.filter((line) => line.startsWith('#EXT-X-MEDIA:') && line.includes('TYPE=AUDIO') && attribute(line, 'URI'));
	const rendition = audio.find((line) => line.includes('DEFAULT=YES')) ?? audio[0];
	const variant = lines.find((line) => line.startsWith('#EXT-X-STREAM-INF:'));
	if (!rendition || !variant) return null;
	const codec = attribute(variant, 'CODECS')?.split(',').find((codec) => AUDIO_CODEC.test(codec.trim()));
	const pathway = attribute(variant, 'PATHWAY-ID');
	const attributes = [`BANDWIDTH=${AUDIO_BANDWIDTH}`, ...(pathway ? [`PATHWAY-ID="${pathway}"`] : []), ...(codec ? [`CODECS="${codec.trim()}"`] : [])];
	const kept = lines.filter((line) => /^#EXT-X-(INDEPENDENT-SEGMENTS|CONTENT-STEERING|VERSION)/.test(line));
	return ['#EXTM3U', ...kept, `#EXT-X-STREAM-INF:${attributes.join(',')}`, attribute(rendition, 'URI'), ''].join('\n');
}
