import { beforeEach, describe, expect, it } from 'vitest';
import { problem, type Reply } from '$lib/api/problem';
import { tokens, type Ask } from './api';
import { Keeper, type Kept, type Store } from './keeper';
import { readKept } from './store';
import { problemWords } from '$lib/words/account';

const answer = (number: number): Reply => ({ ok: true, body: { access_token: `a${number}`, refresh_token: `r${number}`, token_type: 'Bearer', expires_in: 900, username: 'bob' } });
const refusal = (status: number): Reply => ({ ok: false, problem: { status, detail: '', field: '', retryAfter: null } });

let kept: Kept | null;
let asked: { path: string; body: object; key?: string; token?: string }[];
let replies: Reply[];
let changes: number;

const store: Store = { read: () => kept, write: (next) => void (kept = next), alone: (act) => act() };
const ask: Ask = async (path, body, more) => {
	asked.push({ path, body, ...more });
	return replies.shift() ?? refusal(0);
};

function keeper(): Keeper {
	let drawn = 0;
	return new Keeper(ask, store, () => `k${(drawn += 1)}`, () => (changes += 1));
}

beforeEach(() => {
	kept = null;
	asked = [];
	replies = [];
	changes = 0;
});

describe('signing in', () => {
	it('keeps the refresh token with a key of its own, and the access token nowhere', async () => {
		replies = [answer(1)];
		const bob = keeper();
		expect(await bob.logIn(0, 'bob', 'correct horse')).toEqual({ ok: true, body: '' });
		expect(asked).toEqual([{ path: '/api/auth/login', body: { username: 'bob', password: 'correct horse' }, key: 'k1' }]);
		expect(kept).toEqual({ refresh: 'r1', key: 'k2', username: 'bob' });
		expect([bob.username, changes, await bob.token(1)]).toEqual(['bob', 1, 'a1']);
	});

	it('takes an e-mail address too, and tells what was wrong', async () => {
		replies = [refusal(401)];
		const bob = keeper();
		expect(await bob.logIn(0, 'bob@example.org', 'wrong')).toMatchObject({ ok: false, problem: { status: 401 } });
		expect(asked[0]?.body).toEqual({ email: 'bob@example.org', password: 'wrong' });
		expect([bob.username, kept]).toEqual([null, null]);
	});
});

describe('signing up', () => {
	it('gives the first stream key, and hands an invitation in', async () => {
		const made = answer(1);
		replies = [{ ok: true, body: { ...(made.ok ? (made.body as object) : {}), stream_key: 'live_1' } }];
		expect(await keeper().signUp(0, 'bob', 'correct horse', 'inv_1')).toEqual({ ok: true, body: 'live_1' });
		expect(asked[0]).toMatchObject({ path: '/api/auth/register', body: { username: 'bob', password: 'correct horse', invite: 'inv_1' } });
	});

	it('works by a one-time link too', async () => {
		replies = [answer(1)];
		expect(await keeper().logInByLink(0, 'fll_1')).toEqual({ ok: true, body: '' });
		expect(asked[0]?.body).toEqual({ link: 'fll_1' });
	});
});

describe('refreshing', () => {
	beforeEach(() => (kept = { refresh: 'r1', key: 'k-r1', username: 'bob' }));

	it('happens at the first need after a reload, under the kept key, once for all who ask', async () => {
		replies = [answer(2)];
		const bob = keeper();
		expect(bob.username).toBe('bob');
		expect(await Promise.all([bob.token(0), bob.token(0)])).toEqual(['a2', 'a2']);
		expect(asked).toEqual([{ path: '/api/auth/refresh', body: { refresh_token: 'r1' }, key: 'k-r1' }]);
		expect(kept?.refresh).toBe('r2');
	});

	it('happens before the access token runs out', async () => {
		replies = [answer(2), answer(3)];
		const bob = keeper();
		await bob.token(0);
		expect(bob.renewsAt).toBe(840_000);
		expect(await bob.token(839_999)).toBe('a2');
		expect(await bob.token(840_000)).toBe('a3');
	});

	it('is asked again under the same key when no answer came', async () => {
		replies = [refusal(0), answer(2)];
		const bob = keeper();
		expect(await bob.token(0)).toBeNull();
		expect(bob.username).toBe('bob');
		expect(await bob.token(1)).toBe('a2');
		expect(asked.map(({ key }) => key)).toEqual(['k-r1', 'k-r1']);
	});

	it('signs out when it is refused, and only then', async () => {
		replies = [refusal(503), refusal(401)];
		const bob = keeper();
		await bob.token(0);
		expect(bob.username).toBe('bob');
		await bob.token(1);
		expect([bob.username, kept, changes]).toEqual([null, null, 1]);
	});

	it('uses what another tab has kept meanwhile', async () => {
		const bob = keeper();
		kept = { refresh: 'r7', key: 'k-r7', username: 'bob' };
		replies = [answer(8)];
		await bob.token(0);
		expect(asked[0]).toMatchObject({ body: { refresh_token: 'r7' }, key: 'k-r7' });
	});
});

describe('signing out', () => {
	it('forgets everything, and tells the server', async () => {
		replies = [answer(1), { ok: true, body: null }];
		const bob = keeper();
		await bob.logIn(0, 'bob', 'correct horse');
		await bob.logOut(1, false);
		expect(asked[1]).toEqual({ path: '/api/auth/logout', body: { everywhere: false }, token: 'a1' });
		expect([bob.username, kept, await bob.token(2)]).toEqual([null, null, null]);
	});

	it('everywhere is over only when the server agrees', async () => {
		replies = [answer(1), refusal(503), { ok: true, body: null }];
		const bob = keeper();
		await bob.logIn(0, 'bob', 'correct horse');
		expect(await bob.logOut(1, true)).toMatchObject({ ok: false });
		expect(bob.username).toBe('bob');
		expect(await bob.logOut(1, true)).toMatchObject({ ok: true });
		expect(asked[2]).toEqual({ path: '/api/auth/logout', body: { everywhere: true }, token: 'a1' });
		expect([bob.username, kept]).toEqual([null, null]);
	});

	it('in another tab is one here', async () => {
		replies = [answer(1)];
		const bob = keeper();
		await bob.logIn(0, 'bob', 'correct horse');
		kept = null;
		bob.storeChanged();
		expect([bob.username, changes]).toEqual([null, 2]);
	});
});

describe('reading', () => {
	it('takes whole tokens and nothing less', () => {
		expect(tokens({ access_token: 'a', refresh_token: 'r', expires_in: 900 })).toBeNull();
		expect(tokens(null)).toBeNull();
	});
	it('takes what was kept, or nothing', () => {
		expect(readKept('{"refresh":"r","key":"k","username":"bob"}')).toEqual({ refresh: 'r', key: 'k', username: 'bob' });
		expect(['', 'null', '{}', '{', null].map(readKept)).toEqual([null, null, null, null, null]);
	});
	it('reads problem details, and pages of proxies', () => {
		expect(problem(422, '{"detail":"a password has 8 to 1024 characters","field":"password"}', null)).toMatchObject({ field: 'password' });
		expect(problem(502, '<html>', '7')).toEqual({ status: 502, detail: '', field: '', retryAfter: 7 });
	});
	it('has words for each', () => {
		expect(problemWords('log-in', problem(401, '', null))).toBe('User name and password don’t go together.');
		expect(problemWords('sign-up', problem(422, '{"detail":"a password has 8 to 1024 characters"}', null))).toBe('A password has 8 to 1024 characters.');
		expect(problemWords('log-in', problem(429, '', '12'))).toBe('Too many attempts. Try again in 12 s.');
	});
});
