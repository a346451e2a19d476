// What a viewer of Freshet's page sees, as questions that tests ask.
import { median, pictureAge } from "./clock.mjs";
import { until } from "./process.mjs";

/** The page's word for the state: "live", "offline", …; null where it says none yet. */
export const status = (page) => page.getByTestId("status").getAttribute("data-status", { timeout: 1_000 }).catch(() => null);

/** Waits until the page says one of these states. */
export async function says(page, states, ms) {
  const seen = [];
  await until(`page that says ${states}`, ms, async () => {
    const now = await status(page);
    if (seen.at(-1) !== now) seen.push(now);
    return [states].flat().includes(now);
  }).catch((error) => {
    throw new Error(`${error.message}; it said ${seen.join(", ")}; errors: ${page.faults.slice(-5).join(" | ")}`);
  });
  return seen;
}

/** Waits until the picture moves and is younger than 5 s. */
export async function showsNow(page, ms) {
  let before = null;
  const ages = [];
  await until("moving picture younger than 5 s", ms, async () => {
    const at = await page.evaluate(() => document.querySelector("video")?.currentTime ?? 0);
    const moves = before !== null && at > before;
    before = at;
    const age = await pictureAge(page);
    ages.push(age);
    return moves && age !== null && age < 5_000;
  }).catch((error) => {
    throw new Error(`${error.message}; ages seen: ${ages.slice(-8).join(", ")} ms`);
  });
}

/** Clicks on something in the bar over the picture, which leaves when no hand has moved for 2.8 s. */
export async function press(button) {
  await until("a click in the bar", 60_000, async () => {
    // By force: what has left lets the hand through, which brings it back.
    await button.hover({ force: true });
    return button.click({ timeout: 20_000 }).then(
      () => true,
      async (error) => {
        // Between the two a machine may stand still for that long: nothing else is an excuse.
        if (!/intercepts pointer events/.test(error.message)) throw error;
        return false;
      },
    );
  });
}

/**
 * Takes readings until they are `good`, three times at most; gives the last. After it has stood still an encoder draws pictures late,
 * with a clock that is ahead of their times in the stream, and a player that fell behind needs some seconds to come nearer.
 */
export async function readings(take, good) {
  for (let left = 2; ; left -= 1) {
    const read = await take();
    if (left === 0 || good(read)) return read;
    await new Promise((later) => setTimeout(later, 5_000));
  }
}

/** The age of the picture, read `count` times from its pixels, each from another frame; the median, ms. Does `beside` at each. */
export async function glassToGlass(page, count, beside = () => {}) {
  const ages = [];
  let last = -1;
  await until(`${count} different pictures`, 60_000, async () => {
    const frame = await page.evaluate(() => document.querySelector("video").getVideoPlaybackQuality().totalVideoFrames);
    const age = frame === last ? null : await pictureAge(page);
    last = frame;
    if (age !== null) {
      ages.push(age);
      await beside();
    }
    return ages.length >= count;
  });
  return { median: median(ages), most: Math.max(...ages), least: Math.min(...ages) };
}
