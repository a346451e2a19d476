// The slash commands that somebody may give, and how what is typed goes on.
import type { Role } from './protocol';

export interface Command {
	readonly name: string;
	/** What comes after the name. */
	readonly takes: string;
	readonly who: 'everybody' | 'moderator' | 'owner';
}

const of = (who: Command['who'], ...commands: string[]): Command[] =>
	commands.map((line) => {
		const [name = '', ...takes] = line.split(' ');
		return { name, takes: takes.join(' '), who };
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

/** The commands that begin as `text` does, for somebody of this role; none once a space follows the name. */
export function completions(text: string, role: Role): Command[] {
	const [, typed] = /^\/([a-z]*)$/i.exec(text) ?? [];
	if (typed === undefined) return [];
	const begun = typed.toLowerCase();
	return COMMANDS.filter(({ name, who }) => NEEDED[who] <= RANK[role] && name.startsWith(begun));
}

/** The text with the command in it, ready for what it takes. */
export function completed(command: Command): string {
	return `/${command.name}${command.takes === '' ? '' : ' '}`;
}
