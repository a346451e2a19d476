// Clusters for tests.
import type { Cluster, ClusterNode } from './types';

export function node(name: string, more: Partial<ClusterNode> = {}): ClusterNode {
	return { id: name, name, role: 'edge', state: 'active', quic: '127.0.0.1:1', region: null, position: null, https: null, rtmp: null, capacity: null, lease_ms: 9_000, load: null, viewers: 0, streams: 0, protocol: 2, voter: false, log: null, ...more };
}

export function cluster(nodes: readonly ClusterNode[], more: Partial<Cluster> = {}): Cluster {
	return { leader: 'control-1', term: 1, revision: 10, last_log: 2_000, lease_ms: 10_000, nodes, ...more };
}

export const FRA = { region: 'fra', position: { latitude: 50, longitude: 9 } };
export const IAD = { region: 'iad', position: { latitude: 39, longitude: -77 } };
