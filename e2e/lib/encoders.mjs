// Encoders as streamers have them: ffmpeg, and GStreamer with each of its two RTMP sinks (rtmpsink is librtmp).
import { clockFilter } from "./clock.mjs";
import { Program } from "./process.mjs";

/** ffmpeg, publishing 640×360 at 30 frames a second with a keyframe every 2 s and the clock burnt in. */
export function ffmpeg(url, output = []) {
  const picture = ["-re", "-f", "lavfi", "-i", "testsrc2=s=640x360:r=30"];
  const tone = ["-re", "-f", "lavfi", "-i", "sine=f=440:r=48000"];
  const video = ["-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "60", "-keyint_min", "60", "-sc_threshold", "0", "-b:v", "800k", "-pix_fmt", "yuv420p"];
  const audio = ["-c:a", "aac", "-b:a", "96k", "-ac", "2"];
  const all = ["-nostdin", "-hide_banner", "-loglevel", "info", ...picture, ...tone, "-vf", clockFilter(), ...video, ...audio, ...output, "-f", "flv", url];
  return new Program("ffmpeg", all, { name: "ffmpeg" });
}

/** ffmpeg, publishing one picture to two channels: at 640×360, and at 320×180 with the same keyframes. */
export function twoSizes(large, small) {
  const inputs = ["-re", "-f", "lavfi", "-i", "testsrc2=s=640x360:r=30", "-re", "-f", "lavfi", "-i", "sine=f=440:r=48000"];
  const pictures = `[0:v]${clockFilter()},split[large][whole];[whole]scale=320:180[small]`;
  const coded = ["-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "60", "-keyint_min", "60", "-sc_threshold", "0", "-pix_fmt", "yuv420p", "-c:a", "aac", "-b:a", "96k", "-ac", "2"];
  const output = (pad, bits, url) => ["-map", `[${pad}]`, "-map", "1:a", ...coded, "-b:v", bits, "-f", "flv", url];
  const all = ["-nostdin", "-hide_banner", "-loglevel", "info", ...inputs, "-filter_complex", pictures, ...output("large", "800k", large), ...output("small", "250k", small)];
  return new Program("ffmpeg", all, { name: "ffmpeg" });
}

function gstreamer(sink) {
  // The pixel format is pinned: x264enc would take 4:4:4 from the test source, which browsers can't decode.
  const video = "videotestsrc is-live=true ! video/x-raw,format=I420,width=640,height=360,framerate=30/1 ! x264enc tune=zerolatency speed-preset=ultrafast bitrate=800 key-int-max=60 ! h264parse ! flvmux name=m streamable=true";
  const audio = "audiotestsrc is-live=true ! audio/x-raw,rate=48000,channels=2 ! avenc_aac ! aacparse ! m.";
  return new Program("gst-launch-1.0", [...words(video), "!", ...sink, ...words(audio)], { name: sink[0] });
}

const words = (text) => text.split(" ");

/** Over RTMPS it takes any certificate: a development server's is its own. */
export const rtmp2sink = (url) => gstreamer(["rtmp2sink", `location=${url}`, ...(url.startsWith("rtmps:") ? ["tls-validation-flags=0"] : [])]);
export const rtmpsink = (url) => gstreamer(["rtmpsink", `location=${url} live=1`]);
