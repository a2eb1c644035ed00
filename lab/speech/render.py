"""Render prompts and lab lines: `.venv-speech/bin/python -m lab.speech.render [SLUG …]`.

The FLAC files are committed, so only someone who changes a text needs flite and espeak-ng.
"""

import sys

from lab.speech import audio, catalogue, voices

# flite's rms is the clearest English voice here (see README); the callee must sound like somebody else.
VOICES: dict[tuple[str, str], voices.Voice] = {
    ("en", "announcer"): voices.Flite("rms", stretch=1.05),
    ("en", "caller"): voices.Flite("rms"),
    ("en", "callee"): voices.Flite("slt"),
    ("zh-CN", "announcer"): voices.Espeak("cmn-latn-pinyin", rate_wpm=190),
    ("zh-CN", "caller"): voices.Espeak("cmn-latn-pinyin", rate_wpm=190, pitch=35),
    ("zh-CN", "callee"): voices.Espeak("cmn-latn-pinyin+f2", rate_wpm=185, pitch=60),
}


def main(wanted: list[str]) -> int:
    """Render all or the wanted slugs; the exit status is 1 if one is longer than it may be."""
    too_long = 0
    for item in [*catalogue.prompts(), *catalogue.lines()]:
        if wanted and item.slug not in wanted:
            continue
        samples = audio.prompt(*VOICES[item.language, item.speaker].say(item.text))
        audio.write(item.path, samples)
        length_s = len(samples) / audio.RATE_HZ
        too_long += length_s > item.max_s
        mark = "  TOO LONG" if length_s > item.max_s else ""
        print(f"{item.language:6} {item.slug:28} {length_s:5.2f} s of {item.max_s:4.1f}{mark}")
    return 1 if too_long else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
