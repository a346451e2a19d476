import { describe, expect, it } from 'vitest';
import { audioAlone, levelOf, levelsOf, names } from './quality';

const level = (height: number, frameRate = 30, bitrate = 1e6) => ({ width: Math.round((height * 16) / 9), height, frameRate, bitrate });

describe('names', () => {
	it('are lines, with the frame rate where it is high', () => {
		expect(names([level(1080, 59.94), level(720), level(360, 0)])).toEqual(['1080p60', '720p', '360p']);
	});

	it('tell levels of one size apart by their bitrates', () => {
		expect(names([level(720, 30, 3.1e6), level(720, 30, 9e5), level(360)])).toEqual(['720p · 3.1 Mbit/s', '720p · 900 kbit/s', '360p']);
	});

	it('of a picture on edge are its short side', () => {
		expect(names([{ width: 720, height: 1280, frameRate: 30, bitrate: 1 }])).toEqual(['720p']);
	});
});

describe('levelOf', () => {
	const levels = [level(360), level(720, 30, 2e6), level(1080, 60)];

	it('finds what was chosen, in another stream too', () => {
		expect(['720p', '1080p60', '1080p', '480p', '240p'].map((choice) => levelOf(levels, choice))).toEqual([1, 2, 2, 0, -1]);
	});

	it('leaves the rest to the player', () => {
		expect(['auto', 'audio', ''].map((choice) => levelOf(levels, choice))).toEqual([-1, -1, -1]);
	});
});

describe('levelsOf', () => {
	it('reads the sizes of a multivariant playlist', () => {
		const playlist = `#EXTM3U
#EXT-X-STREAM-INF:BANDWIDTH=3140000,AVERAGE-BANDWIDTH=2628000,CODECS="avc1.64001f,mp4a.40.2",RESOLUTION=1280x720,FRAME-RATE=60.000,AUDIO="audio"
v0.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=426042,RESOLUTION=320x180,CODECS="avc1.42C00D",AUDIO="audio"
v1.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=96000,CODECS="mp4a.40.2",AUDIO="audio"
a0.m3u8
`;
		expect(levelsOf(playlist)).toEqual([
			{ width: 1280, height: 720, frameRate: 60, bitrate: 3_140_000 },
			{ width: 320, height: 180, frameRate: 0, bitrate: 426_042 }
		]);
	});
});

describe('audioAlone', () => {
	it('makes the sound a variant, with the steering of the stream', () => {
		const playlist = `#EXTM3U
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-CONTENT-STEERING:SERVER-URI="steer.json",PATHWAY-ID="here"
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="audio",NAME="Main",DEFAULT=YES,AUTOSELECT=YES,CHANNELS="2",URI="a0.m3u8"
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="audio",NAME="Audio 2",DEFAULT=NO,AUTOSELECT=YES,CHANNELS="2",URI="a1.m3u8"
#EXT-X-STREAM-INF:BANDWIDTH=3140000,AVERAGE-BANDWIDTH=2628000,PATHWAY-ID="here",CODECS="avc1.64001f,mp4a.40.2",RESOLUTION=1280x720,AUDIO="audio"
v0.m3u8
`;
		expect(audioAlone(playlist)).toBe(`#EXTM3U
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-CONTENT-STEERING:SERVER-URI="steer.json",PATHWAY-ID="here"
#EXT-X-STREAM-INF:BANDWIDTH=160000,PATHWAY-ID="here",CODECS="mp4a.40.2"
a0.m3u8
`);
	});

	it('is nothing where the sound comes with the picture, or where there is none', () => {
		expect(audioAlone('#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1,CODECS="avc1.64001f"\nv0.m3u8\n')).toBeNull();
		expect(audioAlone('')).toBeNull();
	});
});
