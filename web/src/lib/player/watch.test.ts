import { describe, expect, it } from 'vitest';
import { Watch, type Answer, type Input } from './watch';

/**
 * Plays a life given in words. Answers, reports and "+ms" (time passes; the deadline fires if it is due) become
 * "status[ output…]" each. Luck is the worst, so that every wait is its full length.
 */
function life(words: string): string[] {
	const watch = new Watch(() => 1);
	let now = 0;
	return words.split(' ').map((word) => {
		let input: Input | null = read(word);
		if (word.startsWith('+')) {
			now += Number(word.slice(1));
			input = watch.deadline !== null && now >= watch.deadline ? { kind: 'timeout' } : null;
		}
		const outputs = input ? watch.handle(now, input) : [];
		return [watch.status, ...outputs].join(' ');
	});
}

function read(word: string): Input {
	const [kind, rest] = word.split(':');
	switch (kind) {
		case 'is':
			return { kind: 'answer', answer: rest as Answer };
		case 'fatal':
			return { kind: 'fatal', cause: rest as 'network' | 'media' | 'codec' };
		case 'same':
			return { kind: 'reloaded', advanced: false };
		case 'more':
			return { kind: 'reloaded', advanced: true };
		default:
			return { kind } as Input;
	}
}

describe('a page that is opened', () => {
	it('plays a live channel', () => {
		expect(life('open is:live playing')).toEqual(['connecting ask', 'starting attach', 'live']);
	});

	it('calls a question that is held a start', () => {
		expect(life('open +2000 is:live')).toEqual(['connecting ask', 'starting', 'starting attach']);
	});

	it('waits for an offline channel, asking ever less often, and goes live by itself', () => {
		expect(life('open is:offline +1999 +1 is:offline +3999 +1 is:live playing')).toEqual([
			...['connecting ask', 'offline', 'offline', 'offline ask', 'offline'],
			...['offline', 'offline ask', 'starting attach', 'live']
		]);
	});

	it('asks a server that is full again', () => {
		expect(life('open is:overloaded +2000 is:live playing').slice(1)).toEqual(['overloaded', 'overloaded ask', 'starting attach', 'live']);
	});

	it('says that a broadcast is over when it finds only its end', () => {
		expect(life('open is:ended +2000 is:offline')).toEqual(['connecting ask', 'ended', 'ended ask', 'ended']);
	});

	it('begins anew with what the viewer wants instead', () => {
		expect(life('open is:live playing renewed playing is:live renewed').slice(3)).toEqual(['starting attach', 'live', 'live', 'starting attach']);
		expect(life('open is:offline renewed')).toEqual(['connecting ask', 'offline', 'offline']);
	});

	it('replaces a player that shows no picture', () => {
		expect(life('open is:live +15000 is:live')).toEqual([
			...['connecting ask', 'starting attach', 'starting stop ask', 'starting attach']
		]);
	});
});

describe('when the encoder is gone', () => {
	it('waits with the player attached, however long, and resumes', () => {
		expect(life('open is:live playing same stalled same +6000 same +6000 more playing').slice(3)).toEqual([
			...['live', 'reconnecting', 'reconnecting', 'reconnecting', 'reconnecting', 'reconnecting'],
			...['reconnecting', 'live']
		]);
	});

	it('moves, then replaces, a player that stands although media comes', () => {
		expect(life('open is:live playing stalled more +6000 +6000 is:live playing').slice(3)).toEqual([
			...['reconnecting', 'reconnecting', 'reconnecting jump', 'reconnecting stop ask'],
			...['reconnecting attach', 'live']
		]);
	});

	it('says so when the session ends, and plays the next one', () => {
		expect(life('open is:live playing stalled finished +2000 is:ended +4000 is:live playing').slice(3)).toEqual([
			...['reconnecting', 'ended stop', 'ended ask', 'ended', 'ended ask', 'starting attach', 'live']
		]);
	});
});

describe('when the server is gone', () => {
	it('says so once the picture stands, and that it is back when it is', () => {
		expect(life('open is:live playing failed stalled same failed').slice(3)).toEqual([
			...['live', 'unreachable', 'reconnecting', 'unreachable']
		]);
	});

	it('asks until it is back, waiting twice as long each time, then plays anew', () => {
		const words = 'open is:live playing fatal:network +500 is:unreachable +500 is:unreachable +1000 is:live playing';
		expect(life(words).slice(3)).toEqual([
			...['reconnecting stop', 'reconnecting ask', 'unreachable', 'unreachable ask', 'unreachable'],
			...['unreachable ask', 'starting attach', 'live']
		]);
	});

	it('takes no report of a player that it has stopped', () => {
		expect(life('open is:live playing fatal:network playing stalled finished').slice(4)).toEqual([
			...['reconnecting', 'reconnecting', 'reconnecting']
		]);
	});
});

describe('when the decoder fails', () => {
	it('mends once, and replaces the player when that did not help', () => {
		expect(life('open is:live playing fatal:media fatal:media +500').slice(3)).toEqual([
			...['live mend', 'broken stop', 'broken ask']
		]);
	});

	it('names a format that the browser lacks, and looks again much later', () => {
		expect(life('open is:live fatal:codec +14999 +1 is:live playing').slice(2)).toEqual([
			...['unplayable stop', 'unplayable', 'unplayable ask', 'unplayable attach', 'live']
		]);
	});
});
