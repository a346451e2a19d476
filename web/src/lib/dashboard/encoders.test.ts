import { expect, it } from 'vitest';
import { ffmpeg, gstreamer, keyFor, pictureOf, uplinkMbps } from './encoders';

it('writes a command for ffmpeg with a keyframe every 2 s', () => {
	expect(ffmpeg('rtmp://a.example/live', 'k1', pictureOf('720p60'))).toBe(
		'ffmpeg -re -f lavfi -i testsrc2=s=1280x720:r=60 -re -f lavfi -i sine=f=440:r=48000 \\\n' +
			'  -c:v libx264 -preset veryfast -tune zerolatency -pix_fmt yuv420p \\\n' +
			'  -g 120 -keyint_min 120 -sc_threshold 0 -b:v 4500k -maxrate 4500k -bufsize 4500k \\\n' +
			'  -c:a aac -b:a 160k -ac 2 -f flv rtmp://a.example/live/k1'
	);
});

it('pins the pixel format for GStreamer, and quotes what a shell would read', () => {
	const command = gstreamer('rtmp://a.example/live', keyFor('k1', true), pictureOf('nonsense'));
	expect(command).toContain('format=I420,width=1280,height=720,framerate=30/1');
	expect(command).toContain('location="rtmp://a.example/live/k1?test"');
	expect(command).toContain('key-int-max=60');
});

it('asks for an uplink that is half as wide again', () => {
	expect([uplinkMbps(pictureOf('720p30')), uplinkMbps(pictureOf('1080p60'))]).toEqual([5, 9.5]);
});
