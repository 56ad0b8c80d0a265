"""Examples in the help of the commands."""

from __future__ import annotations

__all__ = ["EXAMPLES", "examples"]

#: Command lines by the command that they show.
EXAMPLES: dict[str, tuple[str, ...]] = {
    "up": (
        "pycwt-mod up --workers 4 --data /srv/pycwt-mod",
        "pycwt-mod up --secure accounts --host 0.0.0.0",
    ),
    "demo": ("pycwt-mod demo --speed 0 --no-keep",),
    "describe": (
        "pycwt-mod describe night.edf",
        "pycwt-mod describe lsl:type=EEG --seconds 5",
    ),
    "publish": (
        "pycwt-mod publish night.edf --stream night --coherence C3,C4 --band 2,40 --speed 0",
        "pycwt-mod publish --stream eeg --source lsl:type=EEG --define eeg.json",
    ),
    "mark": (
        "pycwt-mod mark night 'eyes closed' --time now",
        "pycwt-mod mark night artefact --sample 12000 --duration 2.5 --channel C3",
    ),
    "watch": (
        "pycwt-mod watch",
        "pycwt-mod watch night coherence --channels C3,C4",
        "pycwt-mod watch night --json",
    ),
    "export": (
        "pycwt-mod export night coherence --netcdf night.nc --plot night.png",
        "pycwt-mod export night --npz left.npz --around 'stimulus left' --before 0.5 --after 1.5",
    ),
    "query": (
        "pycwt-mod query cwt night.edf --channels C3 --plot spectrum.png",
        "pycwt-mod query wct left.csv right.csv --fs 250 --seed 1",
    ),
    "bench": ("pycwt-mod bench --backends sequential,joblib",),
    "accounts": (
        "pycwt-mod accounts accounts --device eeg --reader ward=eeg,ecg --analyst lab",
        "pycwt-mod accounts accounts --tls nats.example.org",
    ),
    "audit": ("pycwt-mod audit night --limit 20",),
    "stream delete": ("pycwt-mod stream delete night --data",),
    "job submit": (
        "pycwt-mod job submit wct night.edf --channels C3,C4,O1,O2 --seed 1 --watch",
        "pycwt-mod job submit tasks tasks.json --name night",
    ),
    "job results": ("pycwt-mod job results JOB --out replies",),
    "key add": (
        "pycwt-mod key add dashboard --role reader --expires 30d",
        "pycwt-mod key add eeg --role device",
    ),
    "hw selftest": ("pycwt-mod hw selftest fpga0",),
    "hw verify": ("pycwt-mod hw verify fpga0 --operation cwt",),
}


def examples(command: str) -> str:
    """Return the examples of a command as the end of its help, one per line."""
    return "\n\n".join(("Examples:", *EXAMPLES[command]))
