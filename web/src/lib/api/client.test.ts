import { beforeEach, expect, it } from 'vitest';
import { Client, withQuery, type Credentials } from './client';
import { me } from './types';

const PROBLEM = { 'content-type': 'application/problem+json' };
let tokens: (string | null)[];
let refusals: number;
let answers: Response[];
let asked: { path: string; method: string; headers: Record<string, string>; body: unknown }[];

const who: Credentials = {
	token: async () => tokens[0] ?? null,
	refused: async () => {
		refusals += 1;
		tokens.shift();
	}
};

function client(): Client {
	let drawn = 0;
	const send = (async (path: string, { method, headers, body }: { method: string; headers: Record<string, string>; body: unknown }) => {
		asked.push({ path, method, headers, body });
		const answer = answers.shift();
		if (!answer) throw new TypeError('no network');
		return answer;
	}) as unknown as typeof fetch;
	return new Client(who, send, () => `k${(drawn += 1)}`);
}

beforeEach(() => {
	tokens = [];
	refusals = 0;
	answers = [];
	asked = [];
});

it('reads for those who are not signed in', async () => {
	answers = [new Response('{"viewers":7}')];
	expect(await client().get('/api/streams/ada/viewers', (body) => (body as { viewers: number }).viewers)).toEqual({ ok: true, body: 7 });
	expect(asked).toEqual([{ path: '/api/streams/ada/viewers', method: 'GET', headers: {}, body: undefined }]);
});

it('gives each change a key, and the bearer', async () => {
	tokens = ['a1'];
	answers = [new Response(null, { status: 204 })];
	expect(await client().put('/api/users/ada/follow')).toEqual({ ok: true, body: null });
	expect(asked[0]?.headers).toEqual({ 'idempotency-key': 'k1', authorization: 'Bearer a1' });
});

it('asks once more under the same key when a token was refused', async () => {
	tokens = ['a1', 'a2'];
	answers = [new Response('', { status: 401 }), new Response(null, { status: 204 })];
	expect(await client().post('/api/streams/ada/end', {})).toEqual({ ok: true, body: null });
	expect(asked.map(({ headers }) => [headers['authorization'], headers['idempotency-key']])).toEqual([['Bearer a1', 'k1'], ['Bearer a2', 'k1']]);
});

it('does not ask again where nobody is signed in any more', async () => {
	tokens = ['a1'];
	answers = [new Response('', { status: 401 })];
	expect(await client().get('/api/me', me)).toMatchObject({ ok: false, problem: { status: 401 } });
	expect([refusals, asked.length]).toEqual([1, 1]);
});

it('tells what was wrong, and what could not be read', async () => {
	answers = [new Response('{"detail":"too long","field":"title"}', { status: 422, headers: PROBLEM }), new Response('<html>')];
	const api = client();
	expect(await api.patch('/api/streams/ada', { title: 'x' })).toEqual({ ok: false, problem: { status: 422, detail: 'too long', field: 'title', retryAfter: null } });
	expect(await api.get('/api/me', me)).toMatchObject({ ok: false, problem: { status: 502 } });
	expect(await api.get('/api/me', me)).toMatchObject({ ok: false, problem: { status: 0 } });
});

it('sends a picture as it is', async () => {
	answers = [new Response(null, { status: 204 })];
	const picture = new Blob(['x'], { type: 'image/png' });
	await client().put('/api/me/avatar', picture);
	expect(asked[0]).toMatchObject({ headers: { 'content-type': 'image/png' }, body: picture });
});

it('leaves out of a URL what is not asked', () => {
	expect(withQuery('/api/streams/live', { search: 'a b', category: '', cursor: null, limit: 20 })).toBe('/api/streams/live?search=a+b&limit=20');
	expect(withQuery('/api/me', {})).toBe('/api/me');
});
