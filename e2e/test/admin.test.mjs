// The pages for administrators, in a platform of two regions: from the one-time link to what the audit log says of it all.
import assert from "node:assert/strict";
import { after, before } from "node:test";
import { heard, launch, newPage } from "../lib/browser.mjs";
import { chain } from "../lib/chain.mjs";
import { violations } from "../lib/chatting.mjs";
import { Platform, REGIONS } from "../lib/platform.mjs";
import { settles, until } from "../lib/process.mjs";

const PAGES = ["", "/users", "/registration", "/nodes", "/streams", "/keys", "/audit"];

let browser;
let platform;
let page;

before(async () => {
  browser = await launch();
  platform = await Platform.start();
  page = await newPage(browser, { viewport: { width: 1440, height: 900 }, reducedMotion: "reduce" });
});
after(async () => {
  await browser?.close();
  await platform?.stop();
});

const then = chain();
const base = () => `http://${REGIONS.fra.host}:${platform.port}`;
const row = (kind, name) => page.locator(`[data-testid="${kind}"][data-${kind}="${name}"]`);

/** Goes there by the menu of the administration. */
async function visit(part) {
  await page.getByRole("navigation", { name: "Parts of the administration" }).getByRole("link", { name: part }).click();
  await page.getByRole("heading", { level: 1, name: part }).waitFor({ timeout: 20_000 });
}

/** Chooses from the menu of a row. */
async function choose(kind, name, what) {
  await row(kind, name).getByRole("button", { name: `What to do with ${name}` }).click();
  await page.getByRole("menuitem", { name: what }).click();
}

async function confirm(button) {
  await page.getByRole("dialog").getByRole("button", { name: button }).click();
  await page.getByRole("dialog").waitFor({ state: "detached", timeout: 20_000 });
}

/** The secret of the link that the control node printed last. */
function link() {
  const said = platform.nodes["control-1"].program.lines.map((line) => /login#link=(\S+)/.exec(line)?.[1]).filter(Boolean);
  assert.ok(said.length > 0, platform.nodes["control-1"].program.tail);
  return said.at(-1);
}

/** Asks as whoever is signed in on the page. */
async function api(method, path) {
  const asked = page.waitForRequest((request) => request.headers()["authorization"] !== undefined, { timeout: 20_000 });
  const { authorization } = (await asked).headers();
  return fetch(`${base()}${path}`, { method, headers: { authorization } });
}

then("whoever is not signed in, or no administrator, is told so", async () => {
  await page.goto(`${base()}/admin/users`);
  await page.getByRole("heading", { name: "Log in as an administrator" }).waitFor({ timeout: 30_000 });
});

then("the first administrator comes in by the link, and runs the platform", async () => {
  await page.goto(`${base()}/login#link=${link()}`);
  await page.waitForURL(/\/settings$/, { timeout: 30_000 });
  await page.goto(`${base()}/admin`);
  await page.getByRole("heading", { level: 1, name: "Overview" }).waitFor({ timeout: 30_000 });
  await page.getByTestId("warnings").getByText("All is well.").waitFor({ timeout: 60_000 });
  await page.getByRole("link", { name: /^fra: 1 active/ }).waitFor({ timeout: 20_000 });
  await page.getByRole("rowheader", { name: "iad" }).waitFor();

  await visit("Registration");
  await page.getByLabel("Whoever has an invitation").check();
  await heard(page, "Whoever has an invitation may register now.");
  await page.getByLabel("For how many people").fill("3");
  await page.getByRole("button", { name: "Make an invitation" }).click();
  const shown = page.getByRole("dialog").getByTestId("secret");
  await shown.first().waitFor({ timeout: 20_000 });
  assert.match(await shown.first().innerText(), /\/signup#invite=fin_/);
  await page.getByRole("dialog").getByRole("button", { name: "Done" }).click();
  await page.getByTestId("invite").getByText("3 of 3").waitFor({ timeout: 20_000 });

  await visit("Users");
  await page.getByRole("button", { name: "New user" }).click();
  await page.getByRole("dialog").getByLabel("User name").fill("grace");
  await page.getByRole("dialog").getByRole("button", { name: "Create" }).click();
  await shown.first().waitFor({ timeout: 20_000 });
  assert.match(await shown.first().innerText(), /\/login#link=fll_/);
  await page.getByRole("dialog").getByRole("button", { name: "Done" }).click();
  await row("user", "grace").getByText("No password yet").waitFor({ timeout: 20_000 });
  await choose("user", "grace", "Make an administrator");
  await confirm("Make an administrator");
  await row("user", "grace").getByText("Administrator").waitFor({ timeout: 20_000 });
});

then("an edge is drained, and the nodes and the map show it", async () => {
  await visit("Nodes");
  await settles("the four nodes", 4, () => page.getByTestId("node").count());
  await row("node", "control-1").getByText("leads").waitFor();
  await choose("node", "edge-fra", "Drain");
  await confirm("Drain");
  await row("node", "edge-fra").getByText("Draining").waitFor({ timeout: 20_000 });
  await visit("Overview");
  await page.getByTestId("warnings").getByText("edge-fra is draining").waitFor({ timeout: 20_000 });
  await page.getByRole("link", { name: /^fra: 1 draining/ }).press("Enter");
  await page.waitForURL(/\/admin\/nodes#region-fra$/, { timeout: 20_000 });
  await choose("node", "edge-fra", "Let it work again");
  await row("node", "edge-fra").getByText("Active").waitFor({ timeout: 20_000 });
});

then("keys are rotated, and the audit log tells all that was done", async () => {
  await visit("Keys");
  await page.getByRole("button", { name: "Rotate now" }).click();
  await confirm("Rotate now");
  await page.getByTestId("key").getByText("Pending").waitFor({ timeout: 20_000 });
  await visit("Audit log");
  const did = ["Rotated the signing key", "Let the node work again", "Drained the node", "Changed the role", "Made a login link", "Made the account", "Made an invitation", "Said who may register"];
  const entries = page.getByTestId("entry");
  for (const what of did) await entries.filter({ has: page.locator("td", { hasText: what }), hasText: "admin" }).first().waitFor({ timeout: 20_000 });
  await page.getByLabel("Whom or what").fill("edge-fra");
  await settles("two entries about the edge", 2, () => entries.count());
});

then("who gives the administration up is told what that means, and sees nothing of it any more", async () => {
  await visit("Nodes");
  const { link } = await (await api("POST", "/api/admin/users/grace/login-link")).json();
  const grace = await newPage(browser);
  await grace.goto(`${base()}/login#link=${link}`);
  await grace.waitForURL(/\/settings$/, { timeout: 30_000 });
  await grace.goto(`${base()}/admin/users`);
  await grace.getByRole("button", { name: "What to do with grace" }).click({ timeout: 30_000 });
  await grace.getByRole("menuitem", { name: "Take the administration away" }).click();
  await grace.getByRole("dialog").getByText("This is you").waitFor();
  await grace.getByRole("dialog").getByRole("button", { name: "Take the administration away" }).click();
  await grace.getByText("This part is for administrators").waitFor({ timeout: 20_000 });
  await grace.context().close();
});

then("axe-core finds nothing, dark and light", async () => {
  for (const path of PAGES) {
    await page.goto(`${base()}/admin${path}`);
    await page.getByRole("heading", { level: 1 }).waitFor({ timeout: 20_000 });
    await until("the page", 20_000, async () => (await page.locator(".skeleton").count()) === 0);
    for (const colorScheme of ["dark", "light"]) {
      await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
      assert.deepEqual(await violations(page), [], `/admin${path}, ${colorScheme}`);
    }
  }
});

then("nothing went wrong in the page, and nobody else was asked", () => {
  // On a machine that is busy a control node may not lead for a moment: the page is told 503, and asks again.
  assert.deepEqual(page.faults.filter((fault) => !fault.includes(" status of 503 ")), []);
  assert.deepEqual([...page.hosts], [new URL(base()).host]);
});
