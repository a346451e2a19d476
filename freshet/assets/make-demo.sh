#!/bin/sh
# Makes demo.flv, the clip that `freshet dev --demo` publishes in a loop: 8 s of 720p30 H.264 and AAC, a keyframe every
# 2 s. Needs ffmpeg with libx264, DejaVu fonts and Python 3.
#
# 8 s are 240 frames of video and exactly 375 of audio (1,024 samples at 48 kHz), so that the loop has no seam. The
# audio encoder's delay would break that: the sound, which repeats every 8 s, is encoded three rounds long and the
# second round's 375 frames are taken, so that each frame, the first one too, follows the one its decoder expects.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
font=/usr/share/fonts/truetype/dejavu

# Every motion makes a whole number of turns in 8 s.
turn='(PI*T/4)'
night='8+14*Y/H'
moon="150*exp(-(pow(X-320-150*cos($turn),2)+pow(Y-112-40*sin($turn),2))/1500)"
glow="52*exp(-(pow(X-320-150*cos($turn),2)+pow(Y-112-40*sin($turn),2))/16000)"
# Three waves, one before the other; each is 1 below its crest.
far="clip(Y-(212+13*sin(X/52+$turn)+5*sin(X/21-2*$turn)),0,1)"
mid="clip(Y-(246+15*sin(X/63-$turn)+6*sin(X/27+3*$turn)),0,1)"
near="clip(Y-(284+12*sin(X/45+2*$turn)+5*sin(X/17-$turn)),0,1)"
shade='(1-0.55*(Y-200)/160)'
picture="geq=
r='$night+$moon+0.5*$glow+$far*14*$shade+$mid*6*$shade-$near*4':
g='14+30*Y/H+0.93*$moon+0.8*$glow+$far*44*$shade+$mid*46*$shade+$near*34*$shade':
b='34+52*Y/H+0.8*$moon+1.2*$glow+$far*56*$shade+$mid*40*$shade+$near*42*$shade'"
words="
drawtext=fontfile=$font/DejaVuSans-ExtraLight.ttf:text=freshet:x=72:y=60:fontsize=84:fontcolor=white,
drawtext=fontfile=$font/DejaVuSans.ttf:text='demo  ·  720p30  ·  H.264 + AAC':x=78:y=160:fontsize=24:fontcolor=white@0.75,
drawtext=fontfile=$font/DejaVuSansMono.ttf:text='%{eif\:floor(t)\:d\:2}.%{eif\:mod(n,30)\:d\:2}':x=w-330:y=66:fontsize=82:fontcolor=white,
drawtext=fontfile=$font/DejaVuSans.ttf:text='seconds . frames of 8 s':x=w-330:y=160:fontsize=24:fontcolor=white@0.75"
bars='
drawbox=x=72:y=652:w=162:h=12:c=white@0.9:t=fill,drawbox=x=234:y=652:w=162:h=12:c=0xffd75e:t=fill,
drawbox=x=396:y=652:w=162:h=12:c=0x4fd8eb:t=fill,drawbox=x=558:y=652:w=162:h=12:c=0x63d471:t=fill,
drawbox=x=720:y=652:w=162:h=12:c=0xc77dff:t=fill,drawbox=x=882:y=652:w=162:h=12:c=0xff5d5d:t=fill,
drawbox=x=1044:y=652:w=164:h=12:c=0x4d7cff:t=fill'
# A bead that crosses the bars once a round.
bead='[p][q]overlay=x=72+1136*t/8-14:y=644:shortest=1,format=yuv420p'

ffmpeg -y -v error -f lavfi -i "color=s=640x360:r=30:d=8,format=gbrp,$picture,scale=1280:720:flags=bicubic,$words,$bars" \
  -f lavfi -i 'color=white:s=28x28:r=30:d=8' \
  -filter_complex "[0:v]format=rgb24[p];[1:v]format=rgba,geq=r=255:g=255:b=255:a='255*clip(14.5-hypot(X-13.5,Y-13.5),0,1)'[q];$bead[v]" \
  -map '[v]' -frames:v 240 -c:v libx264 -preset veryslow -profile:v high -tune animation -bf 0 -g 60 -keyint_min 60 \
  -sc_threshold 0 -crf 25 -maxrate 1300k -bufsize 1300k -color_primaries bt709 -color_trc bt709 -colorspace bt709 \
  -x264-params 'aud=0:nal-hrd=none' -map_metadata -1 -fflags +bitexact -flags:v +bitexact "$work/video.flv"

# A soft chord whose notes fit 8 s (multiples of 1/8 Hz), breathing, and a tick each second.
wave='0.055*(sin(2*PI*220*t)+0.8*sin(2*PI*277.125*t)+0.7*sin(2*PI*329.625*t)+0.4*sin(2*PI*440*t))'
breath='(0.65+0.35*cos(PI*t/4))'
tick='0.12*exp(-60*mod(t,1))*sin(2*PI*880*t)'
ffmpeg -y -v error -f lavfi -i "aevalsrc='$wave*$breath+$tick|$wave*(1.3-$breath)+$tick':s=48000:d=24" \
  -c:a aac -b:a 96k -fflags +bitexact -flags:a +bitexact "$work/sound.aac"

python3 - "$work" demo.flv <<'PYTHON'
"""Puts the video's tags and the second round of the audio's frames into one FLV file."""
import sys
work, out = sys.argv[1:]

def tags(data):
    at = 13
    while at < len(data):
        kind, length = data[at], int.from_bytes(data[at + 1:at + 4])
        time = int.from_bytes(data[at + 4:at + 7]) | data[at + 7] << 24
        yield kind, time, data[at + 11:at + 11 + length]
        at += 11 + length + 4

def adts_frames(data):
    at = 0
    while at < len(data):
        length = (data[at + 3] & 3) << 11 | data[at + 4] << 3 | data[at + 5] >> 5
        yield data[at + 7:at + length]
        at += length

def tag(kind, time, data):
    head = bytes([kind]) + len(data).to_bytes(3) + (time & 0xFFFFFF).to_bytes(3) + bytes([time >> 24, 0, 0, 0])
    return head + data + (len(head) + len(data)).to_bytes(4)

video = [t for t in tags(open(f"{work}/video.flv", "rb").read()) if t[0] == 9]
pictures = [data for _, _, data in video if data[1] == 1]
header = next(data for _, _, data in video if data[1] == 0)
# Frame 0 holds the encoder's delay of 1,024 samples; the second round begins 375 frames after frame 1.
sound = list(adts_frames(open(f"{work}/sound.aac", "rb").read()))[376:751]
assert (len(pictures), len(sound)) == (240, 375), (len(pictures), len(sound))

media = [(round(n * 1000 / 30), 1, tag(9, round(n * 1000 / 30), data)) for n, data in enumerate(pictures)]
media += [(round(k * 1024 / 48), 2, tag(8, round(k * 1024 / 48), b"\xaf\x01" + data)) for k, data in enumerate(sound)]
# AudioSpecificConfig: AAC-LC, 48 kHz, stereo.
heads = tag(9, 0, header) + tag(8, 0, b"\xaf\x00\x11\x90")
with open(out, "wb") as file:
    file.write(b"FLV\x01\x05\0\0\0\x09\0\0\0\0" + heads + b"".join(data for _, _, data in sorted(media)))
PYTHON
ls -l demo.flv
