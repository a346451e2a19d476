// What to put into an encoder: settings for OBS, commands for ffmpeg and GStreamer. All of them make what browsers play: H.264
// of 4:2:0 with a keyframe every 2 s, nothing that waits, AAC.

export interface Picture {
	readonly id: string;
	readonly width: number;
	readonly height: number;
	readonly fps: number;
	/** Of the video, kbit/s. */
	readonly kbps: number;
}

/** The sizes that are worth sending, and what they need. */
export const PICTURES: readonly [Picture, ...Picture[]] = [
	{ id: '720p30', width: 1280, height: 720, fps: 30, kbps: 3000 },
	{ id: '720p60', width: 1280, height: 720, fps: 60, kbps: 4500 },
	{ id: '1080p30', width: 1920, height: 1080, fps: 30, kbps: 4500 },
	{ id: '1080p60', width: 1920, height: 1080, fps: 60, kbps: 6000 },
	{ id: '480p30', width: 854, height: 480, fps: 30, kbps: 1200 }
];

export const AUDIO_KBPS = 160;
const KEYFRAME_S = 2;

export const pictureOf = (id: string): Picture => PICTURES.find((picture) => picture.id === id) ?? PICTURES[0];

/** What an uplink must carry for it, Mbit/s: half as much again, so that it never fills up. */
export const uplinkMbps = ({ kbps }: Picture) => Math.ceil(((kbps + AUDIO_KBPS) * 1.5) / 500) / 2;

/** For the key that stands in a command: whole, with `?test` behind it for a private test. */
export const keyFor = (key: string, test: boolean) => (test ? `${key}?test` : key);

/** In quotes for a shell where it must be: `?` is a pattern to some. */
const quoted = (url: string) => (/^[\w:/.@-]+$/.test(url) ? url : `"${url}"`);

const continued = (lines: readonly string[]) => lines.join(' \\\n  ');

/** Sends a test picture; another input goes in its place. */
export function ffmpeg(server: string, key: string, { width, height, fps, kbps }: Picture): string {
	const gop = fps * KEYFRAME_S;
	return continued([
		`ffmpeg -re -f lavfi -i testsrc2=s=${width}x${height}:r=${fps} -re -f lavfi -i sine=f=440:r=48000`,
		`-c:v libx264 -preset veryfast -tune zerolatency -pix_fmt yuv420p`,
		`-g ${gop} -keyint_min ${gop} -sc_threshold 0 -b:v ${kbps}k -maxrate ${kbps}k -bufsize ${kbps}k`,
		`-c:a aac -b:a ${AUDIO_KBPS}k -ac 2 -f flv ${quoted(`${server}/${key}`)}`
	]);
}

/** The pixel format is pinned: else x264enc makes 4:4:4 of a test picture, which no browser plays. */
export function gstreamer(server: string, key: string, { width, height, fps, kbps }: Picture): string {
	return continued([
		`gst-launch-1.0 videotestsrc is-live=true ! video/x-raw,format=I420,width=${width},height=${height},framerate=${fps}/1`,
		`! x264enc tune=zerolatency speed-preset=veryfast bitrate=${kbps} key-int-max=${fps * KEYFRAME_S} ! h264parse`,
		`! flvmux name=m streamable=true ! rtmp2sink location=${quoted(`${server}/${key}`)}`,
		`audiotestsrc is-live=true ! audio/x-raw,rate=48000,channels=2 ! avenc_aac bitrate=${AUDIO_KBPS * 1000} ! aacparse ! m.`
	]);
}
