// What administrators are told (docs/api.md), and its readers.
import type { Reader } from '$lib/api/client';
import { each, fields, list, number, numberOrNull, oneOf, stream, text, textOrNull, type Stream } from '$lib/api/types';

export type NodeRole = 'control' | 'origin' | 'edge';
export type NodeState = 'joined' | 'active' | 'draining' | 'lost';

export interface ClusterNode {
	readonly id: string;
	readonly name: string;
	readonly role: NodeRole;
	readonly state: NodeState;
	readonly quic: string;
	readonly region: string | null;
	readonly position: { readonly latitude: number; readonly longitude: number } | null;
	readonly https: string | null;
	readonly rtmp: string | null;
	readonly capacity: number | null;
	/** How long its lease lasted yet when that was asked, ms; null without a leader. */
	readonly lease_ms: number | null;
	/** Clients that are connected to an edge, publishers at an origin; and in thousandths of what it can do. */
	readonly load: { readonly clients: number; readonly permille: number } | null;
	readonly viewers: number;
	readonly streams: number;
	readonly protocol: number | null;
	readonly voter: boolean;
	readonly log: number | null;
}

export interface Cluster {
	/** The name of the control node that leads; null for none. */
	readonly leader: string | null;
	readonly term: number;
	readonly revision: number;
	readonly last_log: number | null;
	/** How long a lease is, ms. */
	readonly lease_ms: number;
	readonly nodes: readonly ClusterNode[];
}

export interface LiveStream extends Stream {
	/** The node that takes it. */
	readonly origin: string | null;
}

export type KeyStage = 'pending' | 'active' | 'retiring' | 'retired' | 'revoked';

export interface SigningKey {
	readonly kid: string;
	readonly algorithm: string;
	readonly stage: KeyStage;
	readonly since_ms: number;
	readonly until_ms: number | null;
	readonly unwraps: boolean;
}

export interface Keys {
	/** Why the control node that answers can't sign; null where it can. */
	readonly locked: string | null;
	readonly signing: readonly SigningKey[];
	readonly path: readonly { readonly id: number; readonly since_ms: number; readonly until_ms: number | null }[];
}

export type Registration = 'open' | 'invite' | 'closed';

export interface Invite {
	readonly id: string;
	readonly created_ms: number;
	readonly created_by: string | null;
	readonly expires_ms: number;
	readonly uses: number;
	readonly uses_left: number;
}

export interface AuditEntry {
	readonly at_ms: number;
	readonly actor: string;
	readonly actor_name: string | null;
	readonly action: string;
	readonly target: string;
	readonly target_name: string | null;
	readonly details: Readonly<Record<string, unknown>>;
}

const node: Reader<ClusterNode> = (body) => {
	const of = fields(body);
	const name = text(of['name']);
	if (name === '') return null;
	const [position, load] = [fields(of['position']), fields(of['load'])];
	return {
		id: text(of['id']),
		name,
		role: oneOf(of['role'], ['edge', 'origin', 'control']),
		state: oneOf(of['state'], ['lost', 'joined', 'active', 'draining']),
		quic: text(of['quic']),
		region: textOrNull(of['region']),
		position: of['position'] ? { latitude: number(position['latitude']), longitude: number(position['longitude']) } : null,
		https: textOrNull(of['https']),
		rtmp: textOrNull(of['rtmp']),
		capacity: numberOrNull(of['capacity']),
		lease_ms: numberOrNull(of['lease_ms']),
		load: of['load'] ? { clients: number(load['clients']), permille: number(load['permille']) } : null,
		viewers: number(of['viewers']),
		streams: number(of['streams']),
		protocol: numberOrNull(of['protocol']),
		voter: of['voter'] === true,
		log: numberOrNull(of['log'])
	};
};

export const cluster: Reader<Cluster> = (body) => {
	const of = fields(body);
	if (!Array.isArray(of['nodes'])) return null;
	return {
		leader: textOrNull(of['leader']),
		term: number(of['term']),
		revision: number(of['revision']),
		last_log: numberOrNull(of['last_log']),
		lease_ms: number(of['lease_ms']),
		nodes: each(of['nodes'], node)
	};
};

export const liveStream: Reader<LiveStream> = (body) => {
	const read = stream(body);
	return read && { ...read, origin: textOrNull(fields(body)['origin']) };
};

const signingKey: Reader<SigningKey> = (body) => {
	const of = fields(body);
	const kid = text(of['kid']);
	if (kid === '') return null;
	return {
		kid,
		algorithm: text(of['algorithm']),
		stage: oneOf(of['stage'], ['retired', 'pending', 'active', 'retiring', 'revoked']),
		since_ms: number(of['since_ms']),
		until_ms: numberOrNull(of['until_ms']),
		unwraps: of['unwraps'] === true
	};
};

export const keys: Reader<Keys> = (body) => {
	const of = fields(body);
	if (!Array.isArray(of['signing'])) return null;
	const path = list(of['path']).map(fields);
	return {
		locked: textOrNull(of['locked']),
		signing: each(of['signing'], signingKey),
		path: path.map(({ id, since_ms, until_ms }) => ({ id: number(id), since_ms: number(since_ms), until_ms: numberOrNull(until_ms) }))
	};
};

export const registration: Reader<Registration> = (body) => {
	const said = fields(body)['registration'];
	return said === 'open' || said === 'invite' || said === 'closed' ? said : null;
};

export const invite: Reader<Invite> = (body) => {
	const of = fields(body);
	const id = text(of['id']);
	if (id === '') return null;
	const { created_ms, expires_ms, uses, uses_left } = of;
	return { id, created_ms: number(created_ms), created_by: textOrNull(of['created_by']), expires_ms: number(expires_ms), uses: number(uses), uses_left: number(uses_left) };
};

export const auditEntry: Reader<AuditEntry> = (body) => {
	const of = fields(body);
	const action = text(of['action']);
	if (action === '') return null;
	return {
		at_ms: number(of['at_ms']),
		actor: text(of['actor']),
		actor_name: textOrNull(of['actor_name']),
		action,
		target: text(of['target']),
		target_name: textOrNull(of['target_name']),
		details: fields(of['details'])
	};
};

/** The secret of a login link; of an invitation. */
export const link: Reader<string> = (body) => textOrNull(fields(body)['link']);
export const inviteSecret: Reader<string> = (body) => textOrNull(fields(body)['invite']);
