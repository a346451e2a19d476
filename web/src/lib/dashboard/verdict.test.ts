import { expect, it } from 'vitest';
import type { Health, Point, Trial } from './types';
import { light, marks, overall } from './verdict';

const health = (alerts: Health['alerts'] = []): Health => ({
	since_ms: 0,
	bitrate: 3_000_000,
	video: { codec: 'avc1.64001F', profile: 'High', width: 1280, height: 720, bitrate: 2_900_000, frame_rate: 29.97, keyframe_interval_ms: 2_000 },
	audio: { codec: 'mp4a.40.2', sample_rate: 48_000, channels: 2, bitrate: 128_000 },
	uplink: { bitrate: 3_000_000, stalls: 0, stalled_ms: 0, longest_stall_ms: 0, rtt_ms: 20, late_ms: 0 },
	skew_ms: -20,
	dropped_frames: 0,
	alerts
});
const point = (at_ms: number, uplink_bitrate = 3_000_000): Point => ({ at_ms, session: '0', bitrate: 3_000_000, uplink_bitrate, frame_rate: 30, keyframe_interval_ms: 2_000, dropped_frames: 0, stalls: 0, stalled_ms: 0, skew_ms: 0, rtt_ms: 20, late_ms: 0 });
const test = (of: Health, points = [0, 2, 4, 6, 8, 10].map((s) => point(s * 1000))): Trial => ({ running: true, health: of, points });
const grades = (of: Trial) => marks(of)?.map(({ grade }) => grade).join('');

it('is green without advice, amber with some, red where viewers notice, and off where nothing goes on', () => {
	const alert = (kind: string) => [{ kind, advice: 'do it' }];
	expect([light(null), light(health()), light(health(alert('long_key_frame_interval'))), light(health(alert('stalled')))]).toEqual(['off', 'good', 'warn', 'bad']);
});

it('grades nothing before there is enough', () => {
	expect(marks(test(health(), [point(0), point(8_000)]))).toBeNull();
});

it('gives an A to what is as it should be', () => {
	expect(grades(test(health()))).toBe('AAAAAAA');
	expect(overall(marks(test(health())) ?? [])).toBe('A');
});

it('grades a keyframe every 8 s by the server’s advice too', () => {
	const of = health([{ kind: 'long_key_frame_interval', advice: 'keyframes are 8.0 s apart: set 2 s' }]);
	const slow = { ...of, video: of.video && { ...of.video, keyframe_interval_ms: 8_000 } };
	expect(marks(test(slow))?.[2]).toEqual({ subject: 'keyframes', grade: 'F', value: 8, advice: 'keyframes are 8.0 s apart: set 2 s' });
});

it('fails what browsers can’t play, and a picture that is missing', () => {
	const of = { ...health([{ kind: 'not_browser_playable', advice: 'send 4:2:0' }]), video: null };
	expect(grades(test(of))).toBe('FFAAAAF');
});

it('grades an uplink by its worst moment, but not by the first ones', () => {
	const points = [0, 2, 4, 6, 8, 10].map((s) => point(s * 1000, s === 8 ? 2_700_000 : s === 0 ? 0 : 3_000_000));
	expect(grades(test(health(), points))).toBe('AAABAAA');
});
