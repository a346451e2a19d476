// What the API tells whoever broadcasts (docs/api.md), and its readers: an answer → an object, or null where it is something else.
import type { Reader } from '$lib/api/client';
import { each, fields, list, number, oneOf, streamKey, text, textOrNull, type StreamKey } from '$lib/api/types';

export interface Video {
	readonly codec: string;
	readonly profile: string;
	readonly width: number;
	readonly height: number;
	readonly bitrate: number;
	readonly frame_rate: number;
	readonly keyframe_interval_ms: number;
}

export interface Audio {
	readonly codec: string;
	readonly sample_rate: number;
	readonly channels: number;
	readonly bitrate: number;
}

/** Something to mend. */
export interface Alert {
	readonly kind: string;
	readonly advice: string;
}

/** How a session does. Rates are means over 10 s; what is counted is counted since `since_ms`. */
export interface Health {
	readonly since_ms: number;
	readonly bitrate: number;
	readonly video: Video | null;
	readonly audio: Audio | null;
	readonly uplink: { readonly bitrate: number; readonly stalls: number; readonly stalled_ms: number; readonly longest_stall_ms: number; readonly rtt_ms: number | null; readonly late_ms: number };
	readonly skew_ms: number;
	readonly dropped_frames: number;
	readonly alerts: readonly Alert[];
}

/** How a session did at one time. */
export interface Point {
	readonly at_ms: number;
	readonly session: string;
	readonly bitrate: number;
	readonly uplink_bitrate: number;
	readonly frame_rate: number;
	readonly keyframe_interval_ms: number;
	readonly dropped_frames: number;
	readonly stalls: number;
	readonly stalled_ms: number;
	readonly skew_ms: number;
	readonly rtt_ms: number | null;
	readonly late_ms: number;
}

/** What became of an encoder. */
export interface Event {
	readonly at_ms: number;
	readonly session: string;
	readonly server: string | null;
	readonly what: string;
}

/** A private test. */
export interface Trial {
	readonly running: boolean;
	readonly health: Health;
	readonly points: readonly Point[];
}

export interface History {
	readonly since_ms: number;
	readonly points: readonly Point[];
	readonly events: readonly Event[];
	readonly test: Trial | null;
}

/** A server that takes encoders. */
export interface Ingest {
	readonly id: number;
	readonly name: string;
	/** `rtmp://HOST/live`. */
	readonly url: string;
	/** `rtmps://HOST/live`; null without. */
	readonly secureUrl: string | null;
	/** What the platform thinks of the way there, ms. */
	readonly estMs: number;
	/** Something tiny near it, to measure the way by; null where there is nothing. */
	readonly pingUrl: string | null;
}

export interface Member {
	readonly username: string;
	readonly display_name: string;
	readonly role: 'vip' | 'moderator';
}

/** A key with its secret, which is told once. */
export interface NewKey extends StreamKey {
	readonly stream_key: string;
}

const numberOrNull = (value: unknown): number | null => (typeof value === 'number' ? value : null);

function video(body: unknown): Video | null {
	if (body === null || body === undefined) return null;
	const of = fields(body);
	return {
		codec: text(of['codec']),
		profile: text(of['profile']),
		width: number(of['width']),
		height: number(of['height']),
		bitrate: number(of['bitrate']),
		frame_rate: number(of['frame_rate']),
		keyframe_interval_ms: number(of['keyframe_interval_ms'])
	};
}

function audio(body: unknown): Audio | null {
	if (body === null || body === undefined) return null;
	const of = fields(body);
	return { codec: text(of['codec']), sample_rate: number(of['sample_rate']), channels: number(of['channels']), bitrate: number(of['bitrate']) };
}

const alert: Reader<Alert> = (body) => {
	const { kind, advice } = fields(body);
	return text(advice) === '' ? null : { kind: text(kind), advice: text(advice) };
};

function healthOf(body: unknown): Health | null {
	if (body === null || body === undefined) return null;
	const of = fields(body);
	const uplink = fields(of['uplink']);
	return {
		since_ms: number(of['since_ms']),
		bitrate: number(of['bitrate']),
		video: video(of['video']),
		audio: audio(of['audio']),
		uplink: { bitrate: number(uplink['bitrate']), stalls: number(uplink['stalls']), stalled_ms: number(uplink['stalled_ms']), longest_stall_ms: number(uplink['longest_stall_ms']), rtt_ms: numberOrNull(uplink['rtt_ms']), late_ms: number(uplink['late_ms']) },
		skew_ms: number(of['skew_ms']),
		dropped_frames: number(of['dropped_frames']),
		alerts: each(of['alerts'], alert)
	};
}

/** How it does now; `health` is null where nothing goes on. */
export const health: Reader<{ readonly health: Health | null }> = (body) => (text(fields(body)['id']) === '' ? null : { health: healthOf(fields(body)['health']) });

const point: Reader<Point> = (body) => {
	const of = fields(body);
	return {
		at_ms: number(of['at_ms']),
		session: text(of['session']),
		bitrate: number(of['bitrate']),
		uplink_bitrate: number(of['uplink_bitrate']),
		frame_rate: number(of['frame_rate']),
		keyframe_interval_ms: number(of['keyframe_interval_ms']),
		dropped_frames: number(of['dropped_frames']),
		stalls: number(of['stalls']),
		stalled_ms: number(of['stalled_ms']),
		skew_ms: number(of['skew_ms']),
		rtt_ms: numberOrNull(of['rtt_ms']),
		late_ms: number(of['late_ms'])
	};
};

const event: Reader<Event> = (body) => {
	const { at_ms, session, server, what } = fields(body);
	return { at_ms: number(at_ms), session: text(session), server: textOrNull(server), what: text(what) };
};

function trial(body: unknown): Trial | null {
	const { running, health: told, points } = fields(body);
	const health = healthOf(told);
	return health && { running: running === true, health, points: each(points, point) };
}

export const history: Reader<History> = (body) => {
	const { id, since_ms, points, events, test } = fields(body);
	return text(id) === '' ? null : { since_ms: number(since_ms), points: each(points, point), events: each(events, event), test: trial(test) };
};

const BEHIND = '/{stream_key}';

const ingest: Reader<Ingest> = (body) => {
	const of = fields(body);
	const [plain, secure] = [text(of['url_template']), text(of['url_template_secure'])].map((url) => url.replace(BEHIND, ''));
	if (!plain) return null;
	return { id: number(of['_id']), name: text(of['name']), url: plain, secureUrl: secure || null, estMs: number(of['est_ms']), pingUrl: textOrNull(of['ping_url']) };
};

export const ingests: Reader<Ingest[]> = (body) => (Array.isArray(fields(body)['ingests']) ? each(list(fields(body)['ingests']), ingest) : null);

export const member: Reader<Member> = (body) => {
	const { username, display_name, role } = fields(body);
	return text(username) === '' ? null : { username: text(username), display_name: text(display_name) || text(username), role: oneOf(role, ['vip', 'moderator']) };
};

export const keys: Reader<StreamKey[]> = (body) => (Array.isArray(body) ? each(body, streamKey) : null);

export const newKey: Reader<NewKey> = (body) => {
	const key = streamKey(body);
	const secret = text(fields(body)['stream_key']);
	return key && secret !== '' ? { ...key, stream_key: secret } : null;
};

export const playback: Reader<{ readonly token: string; readonly expiresIn: number }> = (body) => {
	const { token, expires_in } = fields(body);
	return text(token) === '' ? null : { token: text(token), expiresIn: number(expires_in) };
};
