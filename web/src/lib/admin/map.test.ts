import { describe, expect, it } from 'vitest';
import { regions } from './cluster';
import { cells } from './land';
import { frame, globe, graticule, land, lines, markers, project } from './map';
import { FRA, IAD, node } from './testing';

const two = [node('edge-fra', FRA), node('edge-iad', IAD)];

describe('the frame', () => {
	it('is the whole globe where nobody says where they are', () => {
		expect(frame(regions([node('e')]))).toEqual({ west: -180, east: 180, north: 90, south: -90 });
	});
	it('is twice as wide as high, with room around all regions, and never beyond the globe', () => {
		for (const nodes of [two, [node('one', FRA)], [node('n', { region: 'n', position: { latitude: 78, longitude: 178 } }), node('s', { region: 's', position: { latitude: -55, longitude: -170 } })]]) {
			const { west, east, north, south } = frame(regions(nodes));
			expect(east - west).toBeCloseTo(2 * (north - south));
			expect(Math.min(west + 180, 180 - east, 90 - north, south + 90)).toBeGreaterThanOrEqual(-1e-9);
			for (const { position } of nodes) {
				const at = project({ west, east, north, south }, position?.latitude ?? 0, position?.longitude ?? 0);
				expect(Math.min(at.x, at.y, 100 - at.x, 100 - at.y)).toBeGreaterThan(0);
			}
		}
	});
	it('has a graticule of whole degrees', () => {
		const { meridians, parallels } = graticule({ west: -50, east: 50, north: 50, south: 0 }, 100);
		expect(meridians.map(({ degrees, at }) => [degrees, at])).toEqual([[-45, 5], [-30, 20], [-15, 35], [0, 50], [15, 65], [30, 80], [45, 95]]);
		expect(parallels.map(({ degrees, at }) => [degrees, Math.round(at)])).toEqual([[0, 100], [15, 70], [30, 40], [45, 10]]);
	});
});

describe('land', () => {
	const isLand = (latitude: number, longitude: number) => cells().some((cell) => Math.abs(cell.latitude - latitude) <= 1 && Math.abs(cell.longitude - longitude) <= 1);

	it('is where it is on Earth', () => {
		const cities = { frankfurt: [50.1, 8.7], ashburn: [39, -77.5], saoPaulo: [-23.5, -46.6], nairobi: [-1.3, 36.8], delhi: [28.6, 77.2], alice: [-23.7, 133.9] };
		expect(Object.entries(cities).filter(([, [latitude = 0, longitude = 0]]) => !isLand(latitude, longitude))).toEqual([]);
		const seas = { atlantic: [40, -40], pacific: [0, -150], indian: [-30, 80], arctic: [88, 0] };
		expect(Object.entries(seas).filter(([, [latitude = 0, longitude = 0]]) => isLand(latitude, longitude))).toEqual([]);
	});
	it('is drawn as dots inside the window alone', () => {
		expect(land({ west: 130, east: 134, north: -22, south: -24 }, 100)).toBe('M9.5 50a15.5 31 0 1 0 31 0a15.5 31 0 1 0 -31 0M59.5 50a15.5 31 0 1 0 31 0a15.5 31 0 1 0 -31 0');
		expect(land({ west: -42, east: -38, north: 42, south: 38 }, 100)).toBe('');
	});
});

describe('markers', () => {
	it('stand where the regions are, those without a place in a row below', () => {
		const all = regions([...two, node('control-1', { role: 'control' })]);
		expect(globe(all)).toBeLessThan(100);
		const [fra, iad, none] = markers(all);
		expect([fra && iad && fra.x > iad.x && fra.y < iad.y, none?.x]).toEqual([true, 50]);
		expect(none && none.y > globe(all)).toBe(true);
	});
	it('are the larger the more people watch there', () => {
		const sizes = markers(regions([node('a', { ...FRA, viewers: 400 }), node('b', { ...IAD, viewers: 100 })])).map(({ size }) => size);
		expect(sizes).toEqual([5.5, 4.125]);
	});
});

describe('lines', () => {
	const drawn = (nodes: Parameters<typeof regions>[0]) => lines(markers(regions(nodes))).map(({ id, kind, broken }) => `${id} ${kind}${broken ? ' broken' : ''}`);

	it('go from origins to edges elsewhere, and from control nodes to all', () => {
		expect(drawn([...two, node('o', { ...FRA, role: 'origin' }), node('c', { role: 'control' })])).toEqual(['fra|iad|media media', 'fra||control control', 'iad||control control']);
	});
	it('are broken where nobody is at one end', () => {
		expect(drawn([node('o', { ...FRA, role: 'origin' }), node('e', { ...IAD, state: 'lost' })])).toEqual(['fra|iad|media media broken']);
	});
	it('are none inside a region, and none to who was never heard of', () => {
		expect(drawn([node('o', { ...FRA, role: 'origin' }), node('e', FRA), node('j', { ...IAD, state: 'joined' })])).toEqual([]);
	});
});
