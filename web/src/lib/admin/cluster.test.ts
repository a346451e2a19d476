import { describe, expect, it } from 'vitest';
import { lag, leaseLeft, regions, states, totals, warnings } from './cluster';
import { cluster, FRA, IAD, node } from './testing';

const control = (name: string, more = {}) => node(name, { role: 'control', voter: true, log: 2_000, ...more });
const whole = [control('control-1'), node('origin-1', { role: 'origin' }), node('edge-1')];

describe('regions', () => {
	it('are told by name, those without one last, with what goes on there', () => {
		const all = [node('c', { role: 'control' }), node('b', { ...IAD, viewers: 7, load: { clients: 9, permille: 30 } }), node('a', { ...FRA, role: 'origin', streams: 2, load: { clients: 2, permille: 90 } })];
		expect(regions(all).map(({ name, viewers, streams, permille }) => [name, viewers, streams, permille])).toEqual([['fra', 0, 2, 90], ['iad', 7, 0, 30], ['', 0, 0, null]]);
	});
	it('are in the middle of their nodes', () => {
		const places = [10, 20].map((latitude) => node(`n${latitude}`, { region: 'x', position: { latitude, longitude: 4 } }));
		expect(regions([...places, node('nowhere', { region: 'x' })])[0]?.position).toEqual({ latitude: 15, longitude: 4 });
	});
});

describe('counts', () => {
	it('add up viewers of edges, streams of origins, and nodes that are there', () => {
		const all = [node('e', { viewers: 5 }), node('o', { role: 'origin', streams: 3, load: { clients: 3, permille: 1 } }), node('l', { state: 'lost' }), node('d', { state: 'draining' })];
		expect(totals(cluster(all))).toEqual({ streams: 3, viewers: 5, there: 3, nodes: 4 });
		expect(states(all)).toEqual([{ state: 'active', count: 2 }, { state: 'draining', count: 1 }, { state: 'lost', count: 1 }]);
	});
});

describe('a lease', () => {
	it('runs down since it was told, and not below nothing', () => {
		expect([0, 4_000, 9_500, -5].map((since) => leaseLeft(node('e'), since))).toEqual([9_000, 5_000, 0, 9_000]);
		expect(leaseLeft(node('e', { lease_ms: null }), 0)).toBeNull();
	});
});

describe('warnings', () => {
	const kinds = (nodes: Parameters<typeof cluster>[0], more = {}) => warnings(cluster(nodes, more)).map(({ kind }) => kind);

	it('are none where all is well, with one control node too', () => {
		expect(kinds(whole)).toEqual([]);
		expect(kinds([...whole, control('control-2'), control('control-3')])).toEqual([]);
	});
	it('tell that nobody leads, the gravest first', () => {
		expect(kinds([...whole, node('edge-2', { state: 'lost' })], { leader: null })).toEqual(['no-leader', 'lost']);
	});
	it('tell that the next loss of a control node stops changes', () => {
		expect(warnings(cluster([...whole, control('control-2'), control('control-3', { state: 'lost' })]))).toEqual([
			{ kind: 'last-majority', there: 2, voters: 3 },
			{ kind: 'lost', names: ['control-3'] }
		]);
	});
	it('tell that nobody can publish or watch', () => {
		expect(kinds([control('control-1'), node('edge-1', { state: 'draining' })])).toEqual(['no-origin', 'no-edge', 'draining']);
	});
	it('name nodes that are nearly full or far behind', () => {
		const full = { load: { clients: 90, permille: 850 } };
		expect(warnings(cluster([...whole, node('edge-2', full), node('edge-3', { ...full, state: 'lost' }), control('control-2', { log: 999 })]))).toEqual([
			{ kind: 'lost', names: ['edge-3'] },
			{ kind: 'behind', names: ['control-2'] },
			{ kind: 'busy', names: ['edge-2'] }
		]);
	});
	it('know how far a log is behind, where somebody leads', () => {
		expect([lag(cluster([]), control('c', { log: 1_990 })), lag(cluster([]), control('c', { log: null })), lag(cluster([], { last_log: null }), control('c'))]).toEqual([10, null, null]);
	});
});
