// Screenshots, kept beside the tests' logs for a person to look at.
import { mkdir } from "node:fs/promises";
import { join, resolve } from "node:path";

const DIRECTORY = process.env.E2E_PICTURES ?? join(process.env.CARGO_TARGET_DIR ?? resolve(import.meta.dirname, "../../target"), "e2e-pictures");

export async function picture(page, name) {
  await mkdir(DIRECTORY, { recursive: true });
  await page.screenshot({ path: join(DIRECTORY, `${name}.png`) });
}
