// The player where other sites show it, what links to a channel tell, and what players tell the edge.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, afterEach, before, test } from "node:test";
import { launch, newPage } from "../lib/browser.mjs";
import { violations } from "../lib/chatting.mjs";
import { ffmpeg } from "../lib/encoders.mjs";
import { Freshet } from "../lib/freshet.mjs";
import { settles, until } from "../lib/process.mjs";

let browser;
let freshet;
let encoder;
let elsewhere;
let channel;
let page;

/** Another site, whose page is a frame of what its query names. */
async function otherSite() {
  const server = createServer((request, reply) => {
    const shown = new URL(request.url, "http://x").searchParams.get("show");
    reply.setHeader("content-type", "text/html");
    reply.end(`<!doctype html><title>Elsewhere</title><iframe title="live" width="640" height="360" allow="autoplay; fullscreen" src="${shown}"></iframe>`);
  });
  await new Promise((listening) => server.listen(0, "localhost", listening));
  return { server, show: (path) => `http://localhost:${server.address().port}/?show=${encodeURIComponent(freshet.http + path)}` };
}

before(async () => {
  browser = await launch();
  freshet = await Freshet.start(...["reconnect", "end"].flatMap((what) => ["--set", `registry.${what}_grace_ms=60000`]));
  channel = new URL(freshet.info.hls_url).pathname.split("/")[2];
  elsewhere = await otherSite();
});
after(async () => {
  await browser?.close();
  elsewhere?.server.close();
  await encoder?.stop();
  await freshet?.stop();
});
afterEach(async () => {
  await page?.context().close();
});

/** The player's frame, once the page that shows it has one of Freshet's. */
const frameOf = () => until("the frame", 20_000, () => page.frames().find((frame) => frame.url().startsWith(freshet.http)) ?? null);

const plays = (frame, ms = 40_000) => until("a moving picture", ms, () => frame.evaluate(() => (document.querySelector("video")?.currentTime ?? 0) > 1));

test("a frame on another site is offline at first, then plays, silent and with a way to the channel", async () => {
  page = await newPage(browser);
  await page.goto(elsewhere.show(`/embed/${channel}`));
  const frame = await frameOf();
  await frame.getByTestId("notice").waitFor({ timeout: 30_000 });
  encoder = ffmpeg(freshet.publishUrl());
  await plays(frame, 60_000);
  assert.equal(await frame.evaluate(() => document.querySelector("video").muted), true);
  const { href, target } = await frame.getByTestId("to-channel").evaluate((link) => ({ href: link.href, target: link.target }));
  assert.deepEqual([href, target], [`${freshet.http}/c/${channel}`, "_blank"]);
  const size = () => frame.evaluate(() => document.querySelector("video").getBoundingClientRect());
  await settles("a picture that fills the frame", [640, 360], async () => [(await size()).width, (await size()).height]);
  // That nobody streams yet is a 404, which browsers log.
  assert.deepEqual(page.faults.filter((fault) => !fault.includes("404")), []);
});

test("nothing else of the site can be shown in a frame", async () => {
  page = await newPage(browser);
  page.expected = /^Framing .* "frame-ancestors 'self'"/;
  for (const path of ["/", `/c/${channel}`]) {
    const refused = page.waitForEvent("console", { predicate: (message) => message.text().includes("frame-ancestors"), timeout: 20_000 });
    await page.goto(elsewhere.show(path));
    await refused;
  }
});

test("a frame that waits for a click shows the newest picture, and then plays", async () => {
  await freshet.live();
  page = await newPage(browser);
  await page.goto(`${freshet.http}/embed/${channel}?autoplay=0`);
  const cover = page.getByRole("button", { name: `Play ${channel}` });
  await until("a thumbnail", 20_000, () => cover.locator("video").evaluate((video) => video.videoWidth === 640));
  for (const colorScheme of ["dark", "light"]) {
    await page.emulateMedia({ colorScheme });
    assert.deepEqual(await violations(page), [], colorScheme);
  }
  await cover.click();
  await plays(page);
  assert.deepEqual(await violations(page), []);
});

test("links to a channel say what it is and how to show it", async () => {
  const { text, status } = await freshet.get(`/c/${channel}`);
  const told = (name) => new RegExp(`<meta (?:property|name)="${name}" content="([^"]*)"`).exec(text)?.[1];
  assert.equal(status, 200);
  assert.deepEqual(["og:type", "og:url", "og:video", "twitter:player"].map(told), ["video.other", `${freshet.http}/c/${channel}`, `${freshet.http}/embed/${channel}`, `${freshet.http}/embed/${channel}`]);
  const picture = await fetch(told("og:image"));
  assert.deepEqual([picture.status, picture.headers.get("content-type")], [200, "image/png"]);
  const href = /<link rel="alternate" type="application\/json\+oembed" href="([^"]*)"/.exec(text)[1].replaceAll("&amp;", "&");
  const embed = await (await fetch(`${href}&maxwidth=480`)).json();
  assert.deepEqual([embed.type, embed.width, embed.height], ["video", 480, 270]);
  assert.ok(embed.html.includes(`src="${freshet.http}/embed/${channel}"`), embed.html);
  const refused = await Promise.all([`/api/oembed?url=${freshet.http}/c/nobody`, `${new URL(href).pathname}${new URL(href).search}`.replace("json", "xml")].map((path) => freshet.get(path)));
  assert.deepEqual(refused.map(({ status }) => status), [404, 501]);
});

test("what a player reports shows in the health of the channel", async () => {
  await freshet.live();
  page = await newPage(browser);
  await page.goto(elsewhere.show(`/embed/${channel}`));
  const line = (ts, keys) => `e=ps,${keys},cid="${channel}",sid="e2e",ts=${ts},v=2`;
  const now = Date.now();
  const body = [line(now, "sta=s"), line(now + 700, "sta=p,msd=700"), line(now + 5_700, "sta=r"), line(now + 6_700, "sta=p,com.freshet-g2g=2000,br=(900)")].join("\n");
  // From the other site's own page, as a player there would.
  const status = await page.evaluate(async ([url, body]) => (await fetch(url, { method: "POST", headers: { "content-type": "application/cmcd" }, body })).status, [`${freshet.http}/api/cmcd`, body]);
  assert.equal(status, 204);
  const token = await freshet.administrator();
  // The player in the frame reports too.
  let last;
  const { all, regions } = await until("an audience that stalled", 20_000, async () => {
    last = (await freshet.api("GET", `/api/streams/${channel}/health`, undefined, token)).audience;
    return last && last.all.stalls >= 1 && last.all.stalled_ms >= 1_000 && last.all.startup_ms.count >= 1 ? last : null;
  }).catch((error) => {
    throw new Error(`${error.message}: ${JSON.stringify(last)}`);
  });
  assert.ok(all.players >= 1, JSON.stringify(all));
  assert.ok(all.rebuffering_ratio > 0 && all.rebuffering_ratio < 1 && Object.keys(regions).length === 1, JSON.stringify(all));
});

test("a frame, and the card of the channel, count down to the end of the grace", async () => {
  page = await newPage(browser);
  await page.goto(elsewhere.show(`/embed/${channel}`));
  const frame = await frameOf();
  await plays(frame);
  await encoder.stop("SIGKILL");
  const left = /^\d+ s left/;
  await frame.getByTestId("waiting").getByText(left).waitFor({ timeout: 40_000 });
  await page.goto(freshet.http);
  await page.locator(`[data-channel="${channel}"]`).getByTestId("grace").getByText(left).last().waitFor({ timeout: 20_000 });
});
