import { describe, expect, it } from 'vitest';
import { actorOf, detailsOf, targetOf } from './audit';
import { auditEntry, cluster, keys, registration, type AuditEntry } from './types';

const entry = (more: Partial<AuditEntry>): AuditEntry => ({ at_ms: 1, actor: 'u1', actor_name: 'ada', action: 'user.role', target: 'u2', target_name: 'grace', details: {}, ...more });

describe('an entry', () => {
	it('names who it was, also where there is no account', () => {
		const names = [{}, { actor_name: null }, { actor: 'operator', actor_name: null }, { actor: 'system', actor_name: null }].map((more) => actorOf(entry(more)));
		expect(names).toEqual(['ada', 'deleted account', 'Command line', 'Freshet']);
	});
	it('names whom it was about, and cuts what nobody reads', () => {
		const hash = '0123456789abcdef0123456789abcdef';
		expect(targetOf(entry({}))).toBe('grace');
		expect(targetOf(entry({ target_name: null, target: hash }))).toBe('0123456789…');
		expect(targetOf(entry({ target_name: null, target: 'edge-frankfurt-1.example.org' }))).toBe('edge-frankfurt-1.example.org');
		expect(targetOf(entry({ action: 'registration.set', target_name: null, target: 'closed' }))).toBe('Nobody');
	});
	it('tells the rest', () => {
		expect(detailsOf(entry({ details: { role: 'admin' } }))).toBe('Administrator');
		expect(detailsOf(entry({ details: { uses: 3, seconds: 60 } }))).toBe('uses: 3, seconds: 60');
		expect(detailsOf(entry({}))).toBe('');
	});
});

describe('reading', () => {
	it('takes a whole cluster, and keeps what it does not know unknown', () => {
		const told = cluster({ leader: null, term: 3, revision: 4, lease_ms: 10_000, nodes: [{ name: 'e', role: 'edge', state: 'asleep', load: { clients: 2, permille: 5 } }, {}] });
		expect(told?.nodes).toHaveLength(1);
		expect(told?.nodes[0]).toMatchObject({ role: 'edge', state: 'lost', load: { clients: 2, permille: 5 }, position: null, lease_ms: null });
		expect([cluster({}), cluster(null)]).toEqual([null, null]);
	});
	it('takes keys, entries and the policy, or nothing', () => {
		expect(keys({ signing: [{ kid: 'k', stage: 'active', unwraps: true }], path: [{ id: 1, since_ms: 2, until_ms: null }] })).toMatchObject({ locked: null, signing: [{ kid: 'k', stage: 'active' }], path: [{ id: 1, until_ms: null }] });
		expect([keys({}), auditEntry({}), registration({ registration: 'perhaps' })]).toEqual([null, null, null]);
		expect(registration({ registration: 'invite' })).toBe('invite');
	});
});
