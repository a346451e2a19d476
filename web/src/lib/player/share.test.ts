import { expect, it } from 'vitest';
import { embed, link } from './share';

it('links to the channel', () => {
	expect(link('https://freshet.example', 'ada')).toBe('https://freshet.example/c/ada');
});

it('gives HTML that any page can take', () => {
	expect(embed('https://freshet.example', 'ada', 'Ada’s "engines" <live>')).toBe(
		'<iframe src="https://freshet.example/embed/ada" title="Ada’s &quot;engines&quot; &lt;live>" width="640" height="360" allow="autoplay; fullscreen; picture-in-picture" allowfullscreen></iframe>'
	);
});
