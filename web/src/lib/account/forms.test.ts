import { expect, it } from 'vitest';
import { drag, square, whole, within } from './crop';
import { device, nextPage, problemField, secretIn } from './forms';

it('goes on to pages of this site alone', () => {
	expect(['/c/ada?x=1', '//evil.example', '/\\evil.example', 'https://evil.example', 'javascript:alert(1)', null].map((asked) => nextPage(asked, '/'))).toEqual(['/c/ada?x=1', '/', '/', '/', '/', '/']);
});

it('reads secrets behind the #', () => {
	expect([secretIn('#link=fll_a-b', 'link'), secretIn('#invite=x', 'link'), secretIn('', 'invite')]).toEqual(['fll_a-b', '', '']);
});

it('shows what is wrong at its field', () => {
	const problem = (status: number, field = '') => ({ status, field, detail: '', retryAfter: null });
	expect([problem(422, 'password'), problem(409), problem(403), problem(503)].map((of) => problemField('sign-up', of))).toEqual(['password', 'username', 'invite', '']);
	expect(problemField('log-in', problem(403))).toBe('');
});

it('knows browsers by what they call themselves', () => {
	const chrome = 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36';
	const safari = 'Mozilla/5.0 (iPhone; CPU iPhone OS 26_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Mobile/15E148 Safari/604.1';
	expect([chrome, safari, 'curl/7.88.1', ''].map(device)).toEqual(['Chrome, Linux', 'Safari, iOS', 'curl', '']);
});

it('cuts a square out of a picture, and never beyond it', () => {
	const size = { width: 400, height: 200 };
	expect(square(size, whole(size))).toEqual({ left: 100, top: 0, side: 200 });
	expect(square(size, drag(size, whole(size), 0.25, 0.5))).toEqual({ left: 50, top: 0, side: 200 });
	expect(square(size, drag(size, whole(size), 9, 0))).toEqual({ left: 0, top: 0, side: 200 });
	expect(square(size, within(size, { x: 0, y: 0, zoom: 2 }))).toEqual({ left: 0, top: 0, side: 100 });
	expect(within(size, { x: 200, y: 100, zoom: 99 }).zoom).toBe(4);
});
