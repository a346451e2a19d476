// A stream read as files: every playlist version, init and segment of a track, for checkers that know nothing of us.
import { until } from "./process.mjs";

/** The media playlists that a multivariant playlist names, as absolute URLs, each once. */
export function renditions(index, base) {
  const named = [...index.matchAll(/URI="([^"]+\.m3u8)"/g)].map((match) => match[1]);
  const listed = index.split("\n").filter((line) => line && !line.startsWith("#"));
  return [...new Set([...listed, ...named])].map((uri) => new URL(uri, base).href);
}

/** What a media playlist names: its init, and its finished segments in order. */
export function objects(playlist, base) {
  const init = /#EXT-X-MAP:.*URI="([^"]+)"/.exec(playlist)?.[1];
  const segments = playlist.split("\n").filter((line) => line && !line.startsWith("#"));
  return { init: init && new URL(init, base).href, segments: segments.map((uri) => new URL(uri, base).href) };
}

/** The (msn, part) that a low-latency player asks for after this playlist. */
export function next(playlist) {
  const sequence = Number(/#EXT-X-MEDIA-SEQUENCE:(\d+)/.exec(playlist)?.[1] ?? 0);
  const skipped = Number(/SKIPPED-SEGMENTS=(\d+)/.exec(playlist)?.[1] ?? 0);
  const lines = playlist.split("\n");
  const last = lines.findLastIndex((line) => line && !line.startsWith("#"));
  const parts = lines.slice(last + 1).filter((line) => line.startsWith("#EXT-X-PART:")).length;
  return { msn: sequence + skipped + lines.filter((line) => line && !line.startsWith("#")).length, part: parts };
}

export async function text(url) {
  const reply = await fetch(url, { signal: AbortSignal.timeout(20_000) });
  if (!reply.ok) throw new Error(`${reply.status} for ${url}: ${await reply.text()}`);
  return reply.text();
}

export async function bytes(url) {
  const reply = await fetch(url, { signal: AbortSignal.timeout(20_000) });
  if (!reply.ok) throw new Error(`${reply.status} for ${url}: ${await reply.text()}`);
  return Buffer.from(await reply.arrayBuffer());
}

/** Follows a media playlist by blocking reloads; gives each version to `see`, until it says that it has seen enough. */
export async function follow(url, ms, see) {
  let ask = url;
  await until(`enough versions of ${url}`, ms, async () => {
    const version = await text(ask);
    const { msn, part } = next(version);
    ask = `${url}?_HLS_msn=${msn}&_HLS_part=${part}`;
    return see(version);
  });
}
