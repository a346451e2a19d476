// Tests that each go on from where the one before ended.
import { test } from "node:test";

/** Gives what tests are made with; once one fails, the others aren't tried, and say why. */
export function chain() {
  let broken = null;
  return (name, run) =>
    test(name, async (t) => {
      if (broken !== null) return t.skip(`not tried: "${broken}" failed before`);
      try {
        await run(t);
      } catch (error) {
        broken = name;
        throw error;
      }
    });
}
