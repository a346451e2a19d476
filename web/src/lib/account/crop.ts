// A square cut out of a picture: where it is, as one drags and zooms.

export interface Cut {
	/** The square's centre, in pixels of the picture. */
	readonly x: number;
	readonly y: number;
	/** 1: as much as fits; 4: a quarter of that. */
	readonly zoom: number;
}

export interface Size {
	readonly width: number;
	readonly height: number;
}

export const MOST_ZOOM = 4;

/** The square's side, in pixels of the picture. */
export const side = ({ width, height }: Size, zoom: number): number => Math.min(width, height) / zoom;

/** As much as fits, from the middle. */
export const whole = ({ width, height }: Size): Cut => ({ x: width / 2, y: height / 2, zoom: 1 });

/** Keeps the square within the picture. */
export function within(size: Size, { x, y, zoom }: Cut): Cut {
	const clamp = (value: number, least: number, most: number) => Math.min(Math.max(value, least), most);
	const bounded = clamp(zoom, 1, MOST_ZOOM);
	const half = side(size, bounded) / 2;
	return { x: clamp(x, half, size.width - half), y: clamp(y, half, size.height - half), zoom: bounded };
}

/** The picture was dragged by so much of the square's side: it follows the hand. */
export function drag(size: Size, cut: Cut, right: number, down: number): Cut {
	const length = side(size, cut.zoom);
	return within(size, { ...cut, x: cut.x - right * length, y: cut.y - down * length });
}

/** The square: its left, its top and its side, in pixels of the picture. */
export function square(size: Size, cut: Cut): { left: number; top: number; side: number } {
	const length = side(size, cut.zoom);
	return { left: cut.x - length / 2, top: cut.y - length / 2, side: length };
}
