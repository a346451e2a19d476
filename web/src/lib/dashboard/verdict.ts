// How a stream does, as a traffic light; and how an encoder's test went, as grades: numbers in, words to be looked up out.
import type { Alert, Health, Point, Trial } from './types';

export type Light = 'off' | 'good' | 'warn' | 'bad';

/** What viewers notice at once. */
const GRAVE = new Set(['no_key_frame', 'not_browser_playable', 'track_missing', 'stalled']);

export function light(health: Health | null): Light {
	if (health === null) return 'off';
	if (health.alerts.some(({ kind }) => GRAVE.has(kind))) return 'bad';
	return health.alerts.length > 0 ? 'warn' : 'good';
}

export type Grade = 'A' | 'B' | 'C' | 'F';
export const SUBJECTS = ['picture', 'frames', 'keyframes', 'uplink', 'stalls', 'sync', 'codec'] as const;
export type Subject = (typeof SUBJECTS)[number];

export interface Mark {
	readonly subject: Subject;
	readonly grade: Grade;
	/** What was measured, in the subject's own unit. */
	readonly value: number;
	/** The server's advice on it; empty where there is none. */
	readonly advice: string;
}

/** Before that nobody can tell. */
export const ENOUGH_MS = 10_000;

/** Which alerts are about what. */
const ABOUT: Readonly<Record<string, Subject>> = {
	no_key_frame: 'keyframes',
	long_key_frame_interval: 'keyframes',
	not_browser_playable: 'codec',
	track_missing: 'codec',
	erratic: 'frames',
	bitrate_too_high: 'uplink',
	audio_video_skew: 'sync',
	uplink_stalls: 'stalls',
	stalled: 'stalls'
};

/** The grade of a value of which less is better. */
const least = (value: number, a: number, b: number, c: number): Grade => (value <= a ? 'A' : value <= b ? 'B' : value <= c ? 'C' : 'F');
/** The grade of a value of which more is better. */
const most = (value: number, a: number, b: number, c: number): Grade => (value >= a ? 'A' : value >= b ? 'B' : value >= c ? 'C' : 'F');

/** How long a test has been measured, ms. */
export const testedMs = ({ points }: Trial) => (points.at(-1)?.at_ms ?? 0) - (points[0]?.at_ms ?? 0);

/** The report card; null while too little was measured. */
export function marks(test: Trial): Mark[] | null {
	if (testedMs(test) < ENOUGH_MS) return null;
	const { health } = test;
	const { video } = health;
	const graded: Readonly<Record<Subject, readonly [number, Grade]>> = {
		picture: [video?.height ?? 0, most(video?.height ?? 0, 720, 480, 240)],
		frames: [video?.frame_rate ?? 0, worse(most(video?.frame_rate ?? 0, 23, 15, 5), least(health.dropped_frames, 0, 30, 300))],
		keyframes: [(video?.keyframe_interval_ms ?? 0) / 1000, least(video?.keyframe_interval_ms ?? 0, 2_500, 4_000, 6_000)],
		uplink: [carried(test.points), most(carried(test.points), 0.95, 0.85, 0.7)],
		stalls: [health.uplink.stalls, least(health.uplink.stalls, 0, 1, 3)],
		sync: [health.skew_ms, least(Math.abs(health.skew_ms), 150, 400, 1_000)],
		codec: [0, 'A']
	};
	return SUBJECTS.map((subject) => {
		const [value, grade] = graded[subject];
		const alert = health.alerts.find(({ kind }) => ABOUT[kind] === subject);
		return { subject, value, grade: alert ? worse(grade, alertGrade(alert)) : grade, advice: alert?.advice ?? '' };
	});
}

/** The worst of all. */
export const overall = (of: readonly Mark[]): Grade => of.reduce<Grade>((grade, mark) => worse(grade, mark.grade), 'A');

const alertGrade = ({ kind }: Alert): Grade => (GRAVE.has(kind) ? 'F' : 'C');
const worse = (one: Grade, other: Grade): Grade => ('ABCF'.indexOf(one) > 'ABCF'.indexOf(other) ? one : other);

/** How much of what the encoder made came, at the worst of the last points; 1 is all. The first ones are still filling means. */
function carried(points: readonly Point[]): number {
	const settled = points.slice(3).filter(({ bitrate }) => bitrate > 0);
	return Math.min(1, ...settled.map(({ bitrate, uplink_bitrate }) => uplink_bitrate / bitrate));
}
