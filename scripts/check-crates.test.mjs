// node --test scripts/
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { findings, satisfied } from "./check-crates.mjs";

test("an expression is met when one branch of each OR and every side of each AND is allowed", () => {
  for (const met of ["MIT", "GPL-3.0 OR MIT", "MIT/GPL-2.0", "(MIT OR GPL-2.0) AND ISC", "Apache-2.0 WITH LLVM-exception OR X"]) {
    assert.equal(satisfied(met), true, met);
  }
  for (const unmet of ["", "GPL-3.0", "MIT AND GPL-3.0", "MIT OR", "(GPL-2.0 OR AGPL-3.0) AND MIT", "GPL-2.0 WITH Classpath-exception-2.0"]) {
    assert.equal(satisfied(unmet), false, unmet);
  }
});

test("a crate from crates.io under MIT has no findings, nor has one of our own", () => {
  assert.deepEqual(findings("bytes v1.12.0|MIT"), []);
  assert.deepEqual(findings("freshet-proto v0.1.0 (/home/ada/freshet/proto)|Apache-2.0"), []);
  assert.deepEqual(findings("serde_derive v1.0.0 (proc-macro)|MIT OR Apache-2.0"), []);
});

test("a second TLS stack, a crate from git and a copyleft licence are findings", () => {
  assert.match(findings("ring v0.17.8|ISC")[0], /rustls on aws-lc-rs/);
  assert.match(findings("foo v1.0.0 (https://example.org/foo?rev=1#abc)|MIT")[0], /not from crates.io/);
  assert.match(findings("bar v1.0.0|AGPL-3.0")[0], /not on the list/);
});

test("colours that the environment asks cargo for don't reach what is read", () => {
  const env = { ...process.env, CARGO_TERM_COLOR: "always" };
  const script = new URL("check-crates.mjs", import.meta.url).pathname;
  assert.match(execFileSync("node", [script], { encoding: "utf8", env }), /crates checked, 0 findings/);
});
