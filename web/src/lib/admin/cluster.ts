// What is worth knowing of a cluster, from what the API tells: regions, counts, leases, what is wrong.
import type { Cluster, ClusterNode, NodeRole, NodeState } from './types';

/** The nodes of one region. */
export interface Region {
	/** Empty for nodes that have not said where they are. */
	readonly name: string;
	readonly nodes: readonly ClusterNode[];
	readonly position: { readonly latitude: number; readonly longitude: number } | null;
	readonly viewers: number;
	readonly streams: number;
	/** Of the busiest node, in thousandths; null where none has said. */
	readonly permille: number | null;
}

const sum = (numbers: readonly number[]) => numbers.reduce((total, one) => total + one, 0);
const mean = (numbers: readonly number[]) => sum(numbers) / numbers.length;
export const viewersOf = (nodes: readonly ClusterNode[]) => sum(nodes.map((node) => node.viewers));
export const ofRole = (nodes: readonly ClusterNode[], role: NodeRole) => nodes.filter((node) => node.role === role);
const isThere = (node: ClusterNode) => node.state === 'active' || node.state === 'draining';

/** By name; those without a region last. */
export function regions(nodes: readonly ClusterNode[]): Region[] {
	const names = [...new Set(nodes.map((node) => node.region ?? ''))].sort((one, other) => (one === '' ? 1 : other === '' ? -1 : one < other ? -1 : 1));
	return names.map((name) => {
		const here = nodes.filter((node) => (node.region ?? '') === name);
		const places = here.flatMap((node) => node.position ?? []);
		const loads = here.flatMap((node) => node.load?.permille ?? []);
		return {
			name,
			nodes: here,
			position: places.length > 0 ? { latitude: mean(places.map((place) => place.latitude)), longitude: mean(places.map((place) => place.longitude)) } : null,
			viewers: viewersOf(here),
			streams: sum(here.map((node) => node.streams)),
			permille: loads.length > 0 ? Math.max(...loads) : null
		};
	});
}

/** How many nodes are in each state, those that there are. */
export function states(nodes: readonly ClusterNode[]): { readonly state: NodeState; readonly count: number }[] {
	const all: NodeState[] = ['active', 'draining', 'joined', 'lost'];
	return all.map((state) => ({ state, count: nodes.filter((node) => node.state === state).length })).filter(({ count }) => count > 0);
}

export interface Totals {
	readonly streams: number;
	readonly viewers: number;
	readonly there: number;
	readonly nodes: number;
}

export function totals({ nodes }: Cluster): Totals {
	return { streams: sum(nodes.map((node) => node.streams)), viewers: viewersOf(nodes), there: nodes.filter(isThere).length, nodes: nodes.length };
}

/** How long a lease lasts yet, ms, so long after it was told; null where nobody knows. */
export function leaseLeft(node: ClusterNode, sinceMs: number): number | null {
	return node.lease_ms === null ? null : Math.max(0, node.lease_ms - Math.max(0, sinceMs));
}

/** How many entries of the log a control node lacks; null where nobody knows. */
export function lag({ last_log }: Cluster, node: ClusterNode): number | null {
	return last_log === null || node.log === null ? null : Math.max(0, last_log - node.log);
}

/** A node this busy can't take what another one loses. */
const BUSY_PERMILLE = 850;
/** Entries; a control node that lacks more was away for long, or is too slow. */
const FAR_BEHIND = 1_000;

export type Warning =
	| { readonly kind: 'no-leader' }
	| { readonly kind: 'lost'; readonly names: readonly string[] }
	| { readonly kind: 'draining'; readonly names: readonly string[] }
	| { readonly kind: 'busy'; readonly names: readonly string[] }
	| { readonly kind: 'behind'; readonly names: readonly string[] }
	| { readonly kind: 'no-edge' }
	| { readonly kind: 'no-origin' }
	/** One more control node that is lost stops all changes. */
	| { readonly kind: 'last-majority'; readonly there: number; readonly voters: number };

/** What is wrong, the gravest first. */
export function warnings(cluster: Cluster): Warning[] {
	const { nodes } = cluster;
	const found: Warning[] = [];
	const named = (kind: 'lost' | 'draining' | 'busy' | 'behind', which: (node: ClusterNode) => boolean) => {
		const names = nodes.filter(which).map((node) => node.name);
		if (names.length > 0) found.push({ kind, names });
	};
	const voters = nodes.filter((node) => node.voter);
	const there = voters.filter(isThere).length;
	if (cluster.leader === null) found.push({ kind: 'no-leader' });
	else if (voters.length > 2 && there <= Math.floor(voters.length / 2) + 1 && there < voters.length) found.push({ kind: 'last-majority', there, voters: voters.length });
	if (!ofRole(nodes, 'origin').some((node) => node.state === 'active')) found.push({ kind: 'no-origin' });
	if (!ofRole(nodes, 'edge').some((node) => node.state === 'active')) found.push({ kind: 'no-edge' });
	named('lost', (node) => node.state === 'lost');
	named('behind', (node) => (lag(cluster, node) ?? 0) > FAR_BEHIND);
	named('busy', (node) => isThere(node) && (node.load?.permille ?? 0) >= BUSY_PERMILLE);
	named('draining', (node) => node.state === 'draining');
	return found;
}
