"""A tiny but real Vosk model (Kaldi nnet3) from synthesised speech alone, with neither Kaldi nor OpenFst.

Text → synthesised telephone speech → MFCC → flat-start alignment → TDNN in numpy → Kaldi's files.
"""
