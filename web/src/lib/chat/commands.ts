// The slash commands that somebody may give, what each takes, and which of it is being written.
import type { Role } from './protocol';

export interface Command {
	readonly name: string;
	/** What comes after the name, word by word. */
	readonly takes: readonly string[];
	readonly who: 'everybody' | 'moderator' | 'owner';
}

const of = (who: Command['who'], ...commands: string[]): Command[] =>
	commands.map((line) => {
		const [name = '', ...takes] = line.split(' ');
		return { name, takes, who };
	});

export const COMMANDS: readonly Command[] = [
	...of('everybody', 'me TEXT'),
	...of('moderator', 'timeout USER [10m] [REASON]', 'untimeout USER', 'ban USER [REASON]', 'unban USER', 'warn USER REASON'),
	...of('moderator', 'delete ID', 'clear', 'slow [SECONDS]', 'slowoff', 'followers [10m]', 'followersoff'),
	...of('moderator', 'emoteonly', 'emoteonlyoff', 'uniquechat', 'uniquechatoff', 'links', 'linksoff'),
	...of('moderator', 'shield [on|off]', 'shieldoff', 'pin ID [SECONDS]', 'unpin', 'announce TEXT'),
	...of('moderator', 'block TERM', 'hold TERM', 'unblock TERM', 'approve ID', 'deny ID'),
	...of('owner', 'mod USER', 'unmod USER', 'vip USER', 'unvip USER', 'raid CHANNEL')
];

const RANK: Record<Role, number> = { guest: 0, plain: 0, follower: 0, vip: 0, moderator: 1, owner: 2, admin: 2 };
const NEEDED: Record<Command['who'], number> = { everybody: 0, moderator: 1, owner: 2 };

/** The commands whose names begin so, for somebody of this role. */
export function commands(begun: string, role: Role): Command[] {
	return COMMANDS.filter(({ name, who }) => NEEDED[who] <= RANK[role] && name.startsWith(begun.toLowerCase()));
}

export interface Hint {
	readonly command: Command;
	/** Which of what it takes is being written. */
	readonly at: number;
}

/** What a text that is a command goes on with; null for what is none, or takes nothing. */
export function hint(text: string, role: Role): Hint | null {
	const [, name, rest] = /^\/([a-z]+)\s+(.*)$/i.exec(text) ?? [];
	if (name === undefined || rest === undefined) return null;
	const command = commands(name, role).find((one) => one.name === name.toLowerCase());
	if (!command || command.takes.length === 0) return null;
	// The last takes all that follows.
	return { command, at: Math.min(rest.split(/\s+/u).length - 1, command.takes.length - 1) };
}
