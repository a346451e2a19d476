// Pictures of every page of the site, for people to look at: docs/screenshots/PAGE-WIDTH-THEME.jpg. `make screenshots`.
//
// usage: node screenshots.mjs [PAGE…]   (all pages)
import { mkdir } from "node:fs/promises";
import { resolve } from "node:path";
import { launch, newPage } from "./lib/browser.mjs";
import { ffmpeg } from "./lib/encoders.mjs";
import { Freshet } from "./lib/freshet.mjs";
import { until } from "./lib/process.mjs";

const DIRECTORY = resolve(import.meta.dirname, "../docs/screenshots");
const SIZES = [[1440, 900], [1024, 768], [390, 844]];
const THEMES = ["dark", "light"];
const PASSWORD = "correct horse battery";
const QUALITY = 60;
const JSON_BODY = { "content-type": "application/json" };

/** Who there is, and how their channels look; `live` ones publish, one that `starts` waits for its encoder. */
const PEOPLE = [
  { name: "ada", live: true, channel: { title: "Engines of the river: a mill from 1820", category: "Science", tags: ["history", "water"] } },
  { name: "juno", live: true, channel: { title: "Soldering in the rain", category: "Making", tags: ["electronics"] } },
  { name: "theo", live: true, channel: { title: "Slow chess and coffee", category: "Games", tags: ["chess", "english"] } },
  { name: "mira", live: false, channel: { title: "Back on Friday", category: "Music", tags: [] } },
  { name: "nils", live: false, starts: true, channel: { title: "The night sky, if it clears", category: "Science", tags: [], go_live: "manual" } },
];

const LINES = [
  ["juno", "good morning from the workshop"],
  ["theo", "how old is the wheel?"],
  ["ada", "the wheel is of 1820, the stone of 1796 :wave:"],
  ["mira", "@ada can you show the gears again?"],
  ["juno", "the sound of it!"],
  ["theo", "/me waits for the flood"],
  ["ada", "/announce The tour begins at four"],
];

/** Where the machine says that it is. */
const PLACE = ["place.region=fra", "place.latitude=50.1", "place.longitude=8.7"].flatMap((set) => ["--set", set]);

/** What is pictured: its path, who looks (nobody where it is left out), and what must be there first. */
const PAGES = {
  browse: { path: "/" },
  watch: { path: "/c/ada", as: "juno", ready: plays },
  moderate: { path: "/c/ada", as: "ada", ready: plays },
  offline: { path: "/c/mira" },
  profile: { path: "/u/ada" },
  login: { path: "/login" },
  signup: { path: "/signup" },
  settings: { path: "/settings", as: "ada" },
  dashboard: { path: "/dashboard", as: "ada", ready: settled },
  "dashboard-waiting": { path: "/dashboard", as: "nils" },
  "dashboard-setup": { path: "/dashboard/setup", as: "ada", ready: settled },
  "dashboard-health": { path: "/dashboard/health", as: "ada", ready: settled },
  "dashboard-people": { path: "/dashboard/people", as: "ada" },
  admin: { path: "/admin", as: "admin", ready: settled },
  "admin-users": { path: "/admin/users", as: "admin" },
  "admin-registration": { path: "/admin/registration", as: "admin" },
  "admin-streams": { path: "/admin/streams", as: "admin" },
  "admin-nodes": { path: "/admin/nodes", as: "admin" },
  "admin-keys": { path: "/admin/keys", as: "admin" },
  "admin-audit": { path: "/admin/audit", as: "admin" },
  embed: { path: "/embed/ada", ready: plays },
  popout: { path: "/popout/ada/chat", as: "juno" },
  overlay: { path: "/overlay/ada" },
  missing: { path: "/no/such/page" },
};

async function plays(page) {
  await until("a picture", 40_000, () => page.evaluate(() => (document.querySelector("video")?.currentTime ?? 0) > 2));
}

/** Graphs need a while. */
async function settled(page) {
  await page.waitForTimeout(5_000);
}

/** Five people, three of whom are live, and what they say in the first channel. */
async function populate(freshet) {
  const signIn = async (body) => freshet.api("POST", "/api/auth/login", body);
  const administrator = await signIn({ link: freshet.info.admin_link });
  await freshet.api("PUT", "/api/me/password", { new_password: PASSWORD }, administrator.access_token);
  const people = { admin: administrator.username };
  const encoders = [];
  const tokens = {};
  for (const { name, live, starts, channel } of PEOPLE) {
    const made = await freshet.api("POST", "/api/auth/register", { username: name, email: `${name}@example.org`, password: PASSWORD });
    tokens[name] = (await signIn({ username: name, password: PASSWORD })).access_token;
    await freshet.api("PATCH", `/api/streams/${name}`, channel, tokens[name]);
    if (starts) await freshet.api("POST", `/api/streams/${name}/start`, undefined, tokens[name]);
    if (live) encoders.push(ffmpeg(freshet.publishUrl(made.stream_key)));
    people[name] = name;
  }
  for (const name of ["juno", "theo"]) await freshet.api("PUT", "/api/users/ada/follow", undefined, tokens[name]);
  await until("all of them live", 40_000, async () => (await freshet.api("GET", "/api/streams/live")).items.length === encoders.length);
  for (const [name, text] of LINES) await say(freshet, tokens[name], text);
  return { people, encoders };
}

async function say(freshet, token, text) {
  const headers = { ...JSON_BODY, authorization: `Bearer ${token}` };
  const body = JSON.stringify({ text, nonce: crypto.randomUUID() });
  await until(`"${text}" in the chat`, 20_000, async () => (await fetch(`${freshet.http}/api/streams/ada/chat`, { method: "POST", headers, body })).ok);
}

/** A browser for one size and theme, signed in as `username` by the page's own form; null for nobody. */
async function enter(browser, freshet, [width, height], theme, username) {
  const page = await newPage(browser, { viewport: { width, height }, colorScheme: theme });
  if (username === undefined) return page;
  await page.goto(`${freshet.http}/login`);
  await page.getByLabel(/user name/i).first().fill(username);
  await page.locator('input[autocomplete="current-password"]').fill(PASSWORD);
  await page.locator("form").getByRole("button", { name: "Log in" }).click();
  await page.waitForURL((url) => url.pathname !== "/login", { timeout: 20_000 });
  return page;
}

async function shoot(page, freshet, name, { path, ready }, label) {
  await page.goto(`${freshet.http}${path}`);
  await page.waitForTimeout(2_500); // pictures of the grid, the chat's history
  await ready?.(page);
  await page.screenshot({ path: resolve(DIRECTORY, `${name}-${label}.jpg`), type: "jpeg", quality: QUALITY });
  console.log(`${name}-${label}.jpg`);
}

async function main(wanted) {
  const unknown = wanted.filter((name) => !(name in PAGES));
  if (unknown.length > 0) throw new Error(`no such page: ${unknown.join(", ")}; there are ${Object.keys(PAGES).join(", ")}`);
  const pages = Object.entries(PAGES).filter(([name]) => wanted.length === 0 || wanted.includes(name));
  await mkdir(DIRECTORY, { recursive: true });
  const browser = await launch();
  const freshet = await Freshet.start("--set", "accounts.registration=open", ...PLACE);
  let encoders = [];
  try {
    const populated = await populate(freshet);
    encoders = populated.encoders;
    for (const size of SIZES) {
      for (const theme of THEMES) {
        for (const as of new Set(pages.map(([, page]) => page.as))) {
          const page = await enter(browser, freshet, size, theme, as && populated.people[as]);
          for (const [name, what] of pages.filter(([, what]) => what.as === as)) await shoot(page, freshet, name, what, `${size[0]}-${theme}`);
          await page.context().close();
        }
      }
    }
  } finally {
    for (const encoder of encoders) await encoder.stop();
    await browser.close();
    await freshet.stop();
  }
}

await main(process.argv.slice(2));
