// Where regions and the lines between them are drawn: an equirectangular map, cut to where the regions are, in hundredths of its
// width and height. Regions without a place stand in a row below it.
import { ofRole, type Region } from './cluster';
import { CELL, cells } from './land';
import type { ClusterNode, NodeRole } from './types';

export interface Point {
	readonly x: number;
	readonly y: number;
}

/** A part of the globe, in degrees. */
export interface Frame {
	readonly west: number;
	readonly east: number;
	readonly north: number;
	readonly south: number;
}

export interface Marker extends Point {
	readonly region: Region;
	/** Across, in rem. */
	readonly size: number;
}

export interface Line {
	readonly id: string;
	readonly kind: 'control' | 'media';
	/** Of an SVG path. */
	readonly d: string;
	/** Whether nobody is there at one end. */
	readonly broken: boolean;
}

/** At least so many degrees of longitude are shown, and so many more beside the outermost regions. */
const LEAST = 80;
const MARGIN = 26;
/** How much of the height is the map, where some regions have no place. */
const GLOBE = 71;
const DOCK = 81;
const SMALLEST = 2.75;
const LARGEST = 5.5;

/** The part of the globe where these are; all of it for none. Twice as wide as high, as the whole globe is. */
export function frame(regions: readonly Region[]): Frame {
	const places = regions.flatMap((region) => region.position ?? []);
	if (places.length === 0) return { west: -180, east: 180, north: 90, south: -90 };
	const [lats, lons] = [places.map((place) => place.latitude), places.map((place) => place.longitude)];
	const span = (numbers: readonly number[]) => Math.max(...numbers) - Math.min(...numbers);
	const middle = (numbers: readonly number[]) => (Math.max(...numbers) + Math.min(...numbers)) / 2;
	const width = Math.min(360, Math.max(LEAST, span(lons) + 2 * MARGIN, 2 * (span(lats) + 1.5 * MARGIN)));
	const inside = (at: number, half: number, end: number) => Math.min(end - half, Math.max(half - end, at));
	const [lon, lat] = [inside(middle(lons), width / 2, 180), inside(middle(lats), width / 4, 90)];
	return { west: lon - width / 2, east: lon + width / 2, north: lat + width / 4, south: lat - width / 4 };
}

export const project = ({ west, east, north, south }: Frame, latitude: number, longitude: number, height = 100): Point => ({
	x: ((longitude - west) / (east - west)) * 100,
	y: ((north - latitude) / (north - south)) * height
});

/** How high the globe is, of 100. */
export const globe = (regions: readonly Region[]) => (regions.some((region) => region.position === null) ? GLOBE : 100);

export interface Meridian {
	readonly degrees: number;
	/** From the left, or the top. */
	readonly at: number;
}

/** The meridians and parallels inside a window, every 15 or 30 degrees. */
export function graticule(shown: Frame, height: number): { readonly meridians: Meridian[]; readonly parallels: Meridian[] } {
	const step = shown.east - shown.west > 150 ? 30 : 15;
	const between = (low: number, high: number) => {
		const first = Math.ceil(low / step);
		return Array.from({ length: Math.max(0, Math.floor(high / step) - first + 1) }, (_, n) => (first + n) * step);
	};
	return {
		meridians: between(shown.west, shown.east).map((degrees) => ({ degrees, at: project(shown, 0, degrees).x })),
		parallels: between(shown.south, shown.north).map((degrees) => ({ degrees, at: project(shown, degrees, 0, height).y }))
	};
}

/** How much of a cell of land its dot takes across. */
const DOT = 0.62;

/** Of an SVG path: a dot for each cell of land inside a window. */
export function land(shown: Frame, height: number): string {
	const round = (number: number) => Math.round(number * 100) / 100;
	const wide = round((CELL * DOT * 100) / (shown.east - shown.west));
	const [half, high] = [round(wide / 2), round((CELL * DOT * height) / (shown.north - shown.south) / 2)];
	const inside = cells().filter(({ latitude, longitude }) => longitude > shown.west && longitude < shown.east && latitude > shown.south && latitude < shown.north);
	const dots = inside.map(({ latitude, longitude }) => {
		const { x, y } = project(shown, latitude, longitude, height);
		return `M${round(x - half)} ${round(y)}a${half} ${high} 0 1 0 ${wide} 0a${half} ${high} 0 1 0 ${-wide} 0`;
	});
	return dots.join('');
}

/** Where each region stands, and how large: the area goes with who watches and who publishes there. */
export function markers(regions: readonly Region[]): Marker[] {
	const [shown, height] = [frame(regions), globe(regions)];
	const weight = (region: Region) => Math.sqrt(region.viewers + region.streams);
	const heaviest = Math.max(1, ...regions.map(weight));
	const adrift = regions.filter((region) => region.position === null);
	return regions.map((region) => {
		const at = region.position
			? project(shown, region.position.latitude, region.position.longitude, height)
			: { x: ((adrift.indexOf(region) + 0.5) / adrift.length) * 100, y: DOCK };
		return { ...at, region, size: SMALLEST + (LARGEST - SMALLEST) * (weight(region) / heaviest) };
	});
}

/** Who talks to whom over regions: origins to edges, control nodes to all others; those that were never heard of to nobody. */
export function lines(markers: readonly Marker[]): Line[] {
	const found: Line[] = [];
	for (const [place, one] of markers.entries()) {
		for (const other of markers.slice(place + 1)) {
			const id = `${one.region.name}|${other.region.name}`;
			const media = [...ways(one, other, 'origin', ['edge']), ...ways(other, one, 'origin', ['edge'])];
			if (media.length > 0) found.push({ id: `${id}|media`, kind: 'media', d: arc(one, other, 0.16), broken: media.every((there) => !there) });
			const control = [...ways(one, other, 'control', ALL), ...ways(other, one, 'control', ALL)];
			if (control.length > 0) found.push({ id: `${id}|control`, kind: 'control', d: arc(one, other, -0.12), broken: control.every((there) => !there) });
		}
	}
	return found;
}

const ALL: readonly NodeRole[] = ['control', 'origin', 'edge'];

/** Whether somebody is there at both ends of what goes from nodes of one region to nodes of another; nothing where nothing goes. */
function ways(from: Marker, to: Marker, role: NodeRole, roles: readonly NodeRole[]): boolean[] {
	const heard = ({ state }: ClusterNode) => state !== 'joined';
	const here = ofRole(from.region.nodes, role).filter(heard);
	const over = to.region.nodes.filter((node) => roles.includes(node.role)).filter(heard);
	if (here.length === 0 || over.length === 0) return [];
	return [[here, over].every((end) => end.some(({ state }) => state !== 'lost'))];
}

/** A bent line, so that two between the same regions don't lie on each other. */
function arc(from: Point, to: Point, bend: number): string {
	const [dx, dy] = [to.x - from.x, to.y - from.y];
	const round = (number: number) => Math.round(number * 10) / 10;
	const [cx, cy] = [(from.x + to.x) / 2 + dy * bend, (from.y + to.y) / 2 - Math.abs(dx) * bend];
	return `M${round(from.x)} ${round(from.y)}Q${round(cx)} ${round(cy)} ${round(to.x)} ${round(to.y)}`;
}
