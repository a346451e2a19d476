import { describe, expect, it } from 'vitest';
import { actionOf, shortcut, type Focus } from './keys';

const press = (key: string, focus: Focus = 'page', more = {}) => actionOf({ key, ctrlKey: false, metaKey: false, altKey: false, ...more }, focus);

describe('keys', () => {
	it('do what players have them do', () => {
		expect([' ', 'k', 'M', 'f', 't', 'i', 'p', 'c', 'l', '?', 'ArrowLeft', 'ArrowUp', 'x', 'Enter'].map((key) => press(key))).toEqual([
			...['toggle', 'toggle', 'sound', 'full', 'theatre', 'float', 'float', 'chat', 'live', 'help', 'back', 'louder', null, null]
		]);
	});

	it('belong to what has the focus first', () => {
		expect(['m', ' ', 'ArrowUp'].map((key) => press(key, 'field'))).toEqual([null, null, null]);
		expect(['m', ' ', 'ArrowUp'].map((key) => press(key, 'list'))).toEqual(['sound', null, null]);
		expect(['m', ' ', 'ArrowUp'].map((key) => press(key, 'button'))).toEqual(['sound', null, 'louder']);
	});

	it('with others are the browser’s', () => {
		expect([press('f', 'page', { ctrlKey: true }), press('l', 'page', { metaKey: true }), press('ArrowLeft', 'page', { altKey: true })]).toEqual([null, null, null]);
	});

	it('are told to screen readers by their names', () => {
		expect([shortcut('toggle'), shortcut('full')]).toEqual(['Space k', 'f']);
	});
});
