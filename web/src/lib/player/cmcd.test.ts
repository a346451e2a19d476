import { describe, expect, it } from 'vitest';
import { Cmcd, type Reading } from './cmcd';

const STARTED = 1_795_241_923_000;

const PLAYING: Reading = { status: 'live', paused: false, bufferMs: 1340, bitrate: 928_400, throughput: 67_512_000, rate: 1, latencyMs: 2104.4, dropped: 3 };

/** A player of ada's channel that was opened at 0; each reading gives the lines that it made. */
function player() {
	const cmcd = new Cmcd('6f2a', 'ada', 0);
	const read = (now: number, reading: Partial<Reading> = {}) => cmcd.read(now, STARTED + now, { ...PLAYING, ...reading });
	return { cmcd, read };
}

/** The values of these keys in each line. */
const only = (lines: string[], ...keys: string[]) => lines.map((line) => line.split(',').filter((pair) => keys.includes(pair.split('=')[0] ?? '')).join(','));

describe('a session', () => {
	it('is told of in the words of CTA-5004-B', () => {
		const { read } = player();
		expect(read(0, { status: 'connecting', bufferMs: null, bitrate: null, throughput: null, latencyMs: null, dropped: 0 })).toEqual([
			'cid="ada",com.freshet-df=0,e=ps,sf=h,sid="6f2a",st=ll,sta=s,ts=1795241923000,v=2'
		]);
		expect(read(850)).toEqual([
			'bl=(1300),br=(928),cid="ada",com.freshet-df=3,com.freshet-g2g=2104,e=ps,ltc=2104,msd=850,mtp=(67500),sf=h,sid="6f2a",st=ll,sta=p,ts=1795241923850,v=2'
		]);
	});

	it('says how it goes every ten seconds, and how long it took to start only once', () => {
		const { read } = player();
		const lines = [0, 5_000, 9_999, 10_000, 15_000, 20_000].flatMap((now) => read(now, { rate: now === 20_000 ? 1.05 : 1 }));
		expect(only(lines, 'e', 'msd', 'pr')).toEqual(['e=ps,msd=0', 'e=t', 'e=t,pr=1.05']);
	});

	it('tells of states and bitrates as they change', () => {
		const { read } = player();
		const lines = [
			...read(0),
			...read(1_000, { paused: true }),
			...read(2_000, { bitrate: 2e6 }),
			...read(3_000, { status: 'reconnecting' }),
			...read(4_000, { status: 'ended' }),
			...read(5_000, { status: 'offline' })
		];
		expect(only(lines, 'e', 'sta', 'br')).toEqual(['br=(928),e=ps,sta=p', 'br=(928),e=ps,sta=a', 'br=(2000),e=ps,sta=p', 'br=(2000),e=bc,sta=p', 'br=(928),e=ps,sta=r', 'br=(928),e=bc,sta=r', 'br=(928),e=ps,sta=e']);
	});

	it('ends when the viewer leaves, once', () => {
		const { cmcd, read } = player();
		expect(cmcd.quit(0, STARTED, PLAYING)).toEqual([]);
		read(1_000);
		expect(only([...cmcd.quit(2_000, STARTED, PLAYING), ...cmcd.quit(3_000, STARTED, PLAYING)], 'e', 'sta')).toEqual(['e=ps,sta=q']);
	});

	it('says nothing where nothing plays', () => {
		const { read } = player();
		expect([read(0, { status: 'offline' }), read(30_000, { status: 'private' }), read(60_000, { status: 'ended' })]).toEqual([[], [], []]);
	});
});

describe('starvation', () => {
	it('is told with how long it has been since the line before', () => {
		const { cmcd, read } = player();
		read(0);
		cmcd.starves(4_000);
		cmcd.recovers(4_350);
		cmcd.starves(6_000);
		cmcd.recovers(6_050);
		expect(only([...read(10_000), ...read(20_000)], 'bs', 'bsd')).toEqual(['bs,bsd=(400)', '']);
	});

	it('that goes on is told in pieces', () => {
		const { cmcd, read } = player();
		read(0);
		cmcd.starves(9_000);
		const lines = [...read(10_000), ...read(11_000, { status: 'reconnecting' })];
		cmcd.recovers(13_000);
		expect(only([...lines, ...read(13_000)], 'bs', 'bsd', 'sta')).toEqual(['bs,bsd=(1000),sta=p', 'bs,bsd=(1000),sta=r', 'bs,bsd=(2000),sta=p']);
	});

	it('is none before the first picture', () => {
		const { cmcd, read } = player();
		cmcd.starves(10);
		cmcd.recovers(900);
		expect(only(read(900), 'bs', 'bsd')).toEqual(['']);
	});
});

it('writes names as strings of RFC 8941', () => {
	const cmcd = new Cmcd('a"b\\c', 'ä', 0);
	expect(only(cmcd.read(0, STARTED, PLAYING), 'sid', 'cid')).toEqual(['cid="",sid="a\\"b\\\\c"']);
});
