// What an entry of the audit log says, for people.
import { AUDIT, REGISTRATION, USERS } from '$lib/words/admin';
import type { AuditEntry, Registration } from './types';

/** Ids and hashes are longer than anybody reads. */
const SHOWN = 10;
const short = (text: string) => (text.length > 24 && !text.includes(' ') && !text.includes('.') ? `${text.slice(0, SHOWN)}…` : text);

export function actorOf({ actor, actor_name }: AuditEntry): string {
	if (actor === 'operator') return AUDIT.operator;
	if (actor === 'system') return AUDIT.system;
	return actor_name ?? AUDIT.gone;
}

export function targetOf({ action, target, target_name }: AuditEntry): string {
	const said = REGISTRATION.choices.find((choice) => action === 'registration.set' && choice.value === (target as Registration));
	return said?.label ?? target_name ?? short(target);
}

/** The rest, as `name: value`; a role in the page's words. */
export function detailsOf({ details }: AuditEntry): string {
	const role = details['role'];
	if (role === 'user' || role === 'admin') return USERS.roles[role];
	const told = Object.entries(details).map(([name, value]) => `${name}: ${typeof value === 'string' ? short(value) : JSON.stringify(value)}`);
	return told.join(', ');
}
