// `cargo tree` of the workspace → findings: licences that we may not ship, a second TLS stack, sources other than crates.io.
// Run by `make test`. Cost: one `cargo tree`, under a second when the crates are there.
import { execFileSync } from "node:child_process";

/** Licences whose terms a binary under Apache-2.0 can meet by its notices alone. */
const ALLOWED = new Set([
  "0BSD", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0",
  "ISC", "MIT", "MIT-0", "Unicode-3.0", "Unlicense", "Zlib",
]);
/** Crates let through by name, each with its reason. */
const EXCEPTIONS = new Map([
  ["option-ext", "MPL-2.0; runs at build time alone (rust-embed's macro) and is no part of the binary"],
  ["webpki-roots", "CDLA-Permissive-2.0; data (Mozilla's certificates, for PostgreSQL over TLS), shared on with its licence's text"],
]);
/** One TLS stack, rustls on aws-lc: two would double what must be patched in a hurry. */
const FORBIDDEN = new Map(
  ["ring", "openssl", "openssl-sys", "native-tls", "boring", "boring-sys"].map((name) => [name, "TLS is rustls on aws-lc-rs alone"]),
);

/** Whether an SPDX expression can be met by allowed licences. The old "A/B" means "A OR B". */
export function satisfied(expression) {
  const tokens = expression.replace(/\s*\/\s*/g, " OR ").match(/[()]|[^\s()]+/g) ?? [];
  let at = 0;
  const term = () => {
    if (tokens[at] === "(") {
      at += 1;
      const value = any();
      at += 1;
      return value;
    }
    let name = tokens[at++] ?? "";
    if (tokens[at] === "WITH") name += ` WITH ${tokens[(at += 2) - 1]}`;
    return ALLOWED.has(name);
  };
  const all = () => {
    let value = term();
    while (tokens[at] === "AND") (at += 1, value = term() && value);
    return value;
  };
  const any = () => {
    let value = all();
    while (tokens[at] === "OR") (at += 1, value = all() || value);
    return value;
  };
  return any() && at === tokens.length;
}

/** The findings about one line "name vVERSION (SOURCE)|LICENCE" of `cargo tree`. */
export function findings(line) {
  const [crate, licence = ""] = line.split("|");
  const [name, , ...where] = crate.split(" ");
  const source = where.filter((word) => word !== "(*)" && word !== "(proc-macro)").join(" ");
  const found = [];
  if (FORBIDDEN.has(name)) found.push(`${name}: ${FORBIDDEN.get(name)}`);
  if (source && !source.startsWith("(/")) found.push(`${name}: comes from ${source}, not from crates.io`);
  if (!satisfied(licence) && !EXCEPTIONS.has(name)) found.push(`${name}: licence "${licence}" is not on the list of those we ship`);
  return found;
}

function main() {
  const tree = execFileSync(
    "cargo",
    ["--color", "never", "tree", "--workspace", "--locked", "--edges", "normal,build,dev", "--prefix", "none", "--format", "{p}|{l}"],
    { encoding: "utf8", maxBuffer: 64 << 20 },
  );
  const lines = [...new Set(tree.split("\n").map((line) => line.replace(" (*)", "")).filter(Boolean))];
  const found = [...new Set(lines.flatMap(findings))];
  for (const finding of found) console.error(finding);
  console.log(`${lines.length} crates checked, ${found.length} findings`);
  if (found.length > 0) process.exit(1);
}

if (process.argv[1] === import.meta.filename) main();
