"""Train and measure: `python -m lab.speech.tiny_vosk [LANGUAGE …]`, normally by `lab/speech/train.sh`."""

import argparse
import sys
import time
from pathlib import Path

from lab.speech.catalogue import LANGUAGES
from lab.speech.tiny_vosk import align, corpus, evaluate, features, graph, kaldi_format, lexicon, tdnn

MODELS = Path(__file__).parents[1] / "models"
SEED = 1

DECODING = """--beam=13.0
--max-active=3000
--min-active=200
--lattice-beam=5.0
--acoustic-scale=0.4
--frame-subsampling-factor=3
--endpoint.silence-phones=1
--endpoint.rule2.min-trailing-silence=0.5
--endpoint.rule3.min-trailing-silence=0.8
--endpoint.rule4.min-trailing-silence=1.5
"""


def train(language: str, folder: Path, utterances: int, epochs: int) -> None:
    """Make the model of one language from nothing and write it to `folder`."""
    began = time.monotonic()

    def tell(what: str) -> None:
        print(f"{time.monotonic() - began:5.0f} s  {language}: {what}", flush=True)

    pronounce = lexicon.english if language == "en" else lexicon.mandarin
    words = pronounce(corpus.vocabulary(language))
    sounds = lexicon.phones_of(words)
    tell(f"{len(words)} words of {len(sounds)} sounds; speaking {utterances} utterances")
    spoken = list(corpus.spoken(language, utterances, SEED))
    minutes = sum(len(item.mfcc) for item in spoken) / 6000
    tell(f"aligning {minutes:.0f} minutes")
    aligned = align.align(spoken, words, sounds)
    tell("training")
    network = tdnn.train([item.mfcc for item in spoken], aligned, len(sounds), epochs, SEED)
    write(language, folder, words, network)
    tell(f"wrote {folder}")


def write(language: str, folder: Path, words: lexicon.Lexicon, network: tdnn.Network) -> None:
    """Write the files Vosk reads."""
    for part in ("am", "conf", "graph/phones"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    phones = kaldi_format.Phones(lexicon.phones_of(words))
    (folder / "am" / "final.mdl").write_bytes(kaldi_format.model(phones, network))
    graph.build(corpus.sentences(language), words, phones).write(folder / "graph" / "HCLG.fst")
    table = "".join(f"{word} {number}\n" for word, number in graph.word_table(words).items())
    (folder / "graph" / "words.txt").write_text(table, "utf-8")
    (folder / "graph" / "phones" / "word_boundary.int").write_text(phones.word_boundaries(), "utf-8")
    (folder / "conf" / "mfcc.conf").write_text(features.CONFIGURATION, "utf-8")
    (folder / "conf" / "model.conf").write_text(DECODING, "utf-8")


def main() -> int:
    """Train every language named, and print how well it recognises."""
    parser = argparse.ArgumentParser(prog="lab.speech.tiny_vosk", description=__doc__)
    parser.add_argument("language", nargs="*", help=f"of {', '.join(LANGUAGES)}; default: all")
    parser.add_argument("--utterances", type=int, default=3000)
    parser.add_argument("--epochs", type=int, default=24)
    parser.add_argument("--folder", type=Path, default=MODELS, help="where LANGUAGE/ is written")
    parser.add_argument("--measure", action="store_true", help="only measure the model that is there")
    arguments = parser.parse_args()
    for language in arguments.language or LANGUAGES:
        if language not in LANGUAGES:
            parser.error(f"no language {language!r}")
        folder = arguments.folder / language
        if not arguments.measure:
            train(language, folder, arguments.utterances, arguments.epochs)
        evaluate.report(language, folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
