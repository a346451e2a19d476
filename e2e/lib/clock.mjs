// The wall clock in the picture: 20 bits of white squares along the top, drawn by the encoder, read by the page.
// What is between is all of Freshet, an encoder and a decoder: glass to glass.

const BITS = 20;
/** Pixels of a square's side. Larger than a macroblock, so that compression can't blur its middle. */
const SIDE = 24;
/** The clock counts hundredths of a second and wraps after 2.9 hours. */
const UNIT_MS = 10;

/** ffmpeg's filters that draw it. */
export function clockFilter() {
  const ground = `drawbox=x=0:y=0:w=${BITS * SIDE}:h=${SIDE}:color=black:t=fill`;
  const bits = Array.from({ length: BITS }, (_, bit) => {
    const lit = `mod(floor(time(0)*100/${2 ** bit})\\,2)`;
    return `drawbox=x=${bit * SIDE}:y=0:w=${SIDE}:h=${SIDE}:color=white:t=fill:enable='${lit}'`;
  });
  return [ground, ...bits].join(",");
}

/** How old the picture in the page's <video> is, ms; null when there is none. */
export async function pictureAge(page) {
  return page.evaluate(
    ([bits, side, unit]) => {
      const video = document.querySelector("video");
      if (!video || video.readyState < 2) return null;
      const canvas = document.createElement("canvas");
      canvas.width = bits * side;
      canvas.height = side;
      const drawing = canvas.getContext("2d", { willReadFrequently: true });
      drawing.drawImage(video, 0, 0);
      const now = Date.now() / unit;
      const { data } = drawing.getImageData(0, side / 2, canvas.width, 1);
      let value = 0;
      for (let bit = 0; bit < bits; bit++) if (data[(bit * side + side / 2) * 4] > 128) value += 2 ** bit;
      return ((now - value) % 2 ** bits) * unit;
    },
    [BITS, SIDE, UNIT_MS],
  ).then((age) => (age === null ? null : (age + 2 ** BITS * UNIT_MS) % (2 ** BITS * UNIT_MS)));
}

export function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)];
}
