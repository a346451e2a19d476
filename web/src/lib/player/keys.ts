// A key → what it does in the player; and all of them, for the help.

export type Action = 'toggle' | 'sound' | 'full' | 'theatre' | 'float' | 'chat' | 'live' | 'back' | 'forward' | 'louder' | 'quieter' | 'help';

/** What does what, in the order of the help. The first key of an action is the one that is shown on its button. */
export const KEYS: readonly (readonly [Action, readonly string[]])[] = [
	['toggle', [' ', 'k']],
	['sound', ['m']],
	['louder', ['ArrowUp']],
	['quieter', ['ArrowDown']],
	['back', ['ArrowLeft', 'j']],
	['forward', ['ArrowRight']],
	['live', ['l']],
	['full', ['f']],
	['theatre', ['t']],
	['float', ['i', 'p']],
	['chat', ['c']],
	['help', ['?']]
];

export interface Press {
	readonly key: string;
	readonly ctrlKey: boolean;
	readonly metaKey: boolean;
	readonly altKey: boolean;
}

/** What the key belongs to first: a field takes all, a menu or a slider its arrows, a button its space bar. */
export type Focus = 'field' | 'list' | 'button' | 'page';

/** What a key does; null where it isn't ours. */
export function actionOf({ key, ctrlKey, metaKey, altKey }: Press, focus: Focus): Action | null {
	if (ctrlKey || metaKey || altKey || focus === 'field') return null;
	if (focus === 'list' && (key.startsWith('Arrow') || key === ' ')) return null;
	if (focus === 'button' && key === ' ') return null;
	const pressed = key.length === 1 ? key.toLowerCase() : key;
	return KEYS.find(([, keys]) => keys.includes(pressed))?.[0] ?? null;
}

/** For `aria-keyshortcuts`. */
export function shortcut(action: Action): string {
	const keys = KEYS.find(([known]) => known === action)?.[1] ?? [];
	return keys.map((key) => (key === ' ' ? 'Space' : key)).join(' ');
}
