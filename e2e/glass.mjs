// Measures glass to glass for `make bench`: one encoder, one Chromium, the clock in the picture read from its pixels.
// Prints one JSON line: {"median", "least", "most", "pictures"}, in milliseconds.
import { launch, newPage } from "./lib/browser.mjs";
import { ffmpeg } from "./lib/encoders.mjs";
import { Freshet } from "./lib/freshet.mjs";
import { glassToGlass, showsNow } from "./lib/watching.mjs";

const PICTURES = 150;

const [browser, freshet] = await Promise.all([launch(), Freshet.start()]);
const encoder = ffmpeg(freshet.publishUrl());
try {
  await freshet.live();
  const page = await newPage(browser);
  await page.goto(`${freshet.http}/c/demo`);
  await showsNow(page, 40_000);
  console.log(JSON.stringify({ pictures: PICTURES, ...(await glassToGlass(page, PICTURES)) }));
} finally {
  await browser.close();
  await encoder.stop();
  await freshet.stop();
}
