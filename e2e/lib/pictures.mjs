// Screenshots, kept beside the tests' logs for a person to look at.
import { mkdir } from "node:fs/promises";
import { join, resolve } from "node:path";

const DIRECTORY = process.env.E2E_PICTURES ?? join(process.env.CARGO_TARGET_DIR ?? resolve(import.meta.dirname, "../../target"), "e2e-pictures");

/** Where something of this name is kept, without an ending. */
export async function keep(name) {
  await mkdir(DIRECTORY, { recursive: true });
  return join(DIRECTORY, name);
}

export async function picture(page, name) {
  await page.screenshot({ path: `${await keep(name)}.png` });
}
