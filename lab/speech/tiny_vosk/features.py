"""MFCC exactly as Kaldi's online decoder computes them from the `mfcc.conf` that ships with the model."""

import kaldi_native_fbank as knf
import numpy as np
from numpy.typing import NDArray

from lab.speech.audio import RATE_HZ

Features = NDArray[np.float32]  # (frames, DIMENSION), 10 ms a frame

DIMENSION = 30
LOW_HZ = 60
HIGH_HZ = -200  # below the Nyquist frequency
LIFTER = 22

CONFIGURATION = f"""--sample-frequency={RATE_HZ}
--use-energy=false
--num-mel-bins={DIMENSION}
--num-ceps={DIMENSION}
--low-freq={LOW_HZ}
--high-freq={HIGH_HZ}
--cepstral-lifter={LIFTER}
--dither=0
"""


def mfcc(samples: NDArray[np.int16]) -> Features:
    """16-bit samples at 8 kHz to MFCC; Kaldi takes them unscaled."""
    options = knf.MfccOptions()
    options.frame_opts.samp_freq = RATE_HZ
    options.frame_opts.dither = 0
    options.frame_opts.window_type = "povey"
    options.frame_opts.snip_edges = True
    options.mel_opts.num_bins = DIMENSION
    options.mel_opts.low_freq = LOW_HZ
    options.mel_opts.high_freq = HIGH_HZ
    options.num_ceps = DIMENSION
    options.use_energy = False
    options.cepstral_lifter = LIFTER
    online = knf.OnlineMfcc(options)
    online.accept_waveform(RATE_HZ, samples.astype(np.float32).tolist())
    online.input_finished()
    return np.stack([online.get_frame(i) for i in range(online.num_frames_ready)]).astype(np.float32)
