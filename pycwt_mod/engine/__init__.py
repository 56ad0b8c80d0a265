"""How rows of transforms and of smoothed spectra are computed.

`pycwt_mod` exports `VoiceGrid`, `OctaveLayout`, `octave_layouts`, `Octave` and `MultirateResult`;
all other names may change without notice.
"""
