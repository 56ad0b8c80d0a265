"""The result of many pairs of channels in one message, and the results that a reader may get."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self, TypeAlias

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from cwt_schemas.analysis import Band
from cwt_schemas.arrays import IntegerMatrix, MaskCube, RealCube, RealMatrix
from cwt_schemas.codec import ContentType, message_of, parsed
from cwt_schemas.limits import MAX_CHANNELS
from cwt_schemas.live import AnalysisResult, TileResult
from cwt_schemas.message import (
    Count,
    Items,
    Message,
    Name,
    PositiveCount,
    PositiveReal,
    schema_of,
    wrong_field,
)

__all__ = ["LiveResult", "PairBand", "PairsResult", "decode_result", "is_of_pairs"]


class PairBand(Message):
    """The mean of some scales of an octave."""

    #: The band as requested, Hz; parts of it may lie in other octaves.
    band_hz: Band
    #: Number of scales of this octave in the band.
    n_scales: PositiveCount


class PairsResult(TileResult):
    """One octave of all pairs of channels over one tile, or of some of them if they are too many.

    The results of one stream, analysis, octave and `first_pair` cover the time axis without gaps or
    overlaps, and may arrive in any order. A row is a scale or, if the analysis has bands, the mean
    over the scales of this octave in one band.
    """

    schema_id: Literal["result.pairs/1"] = Field(default="result.pairs/1", alias="schema")
    #: All channels of the analysis.
    channels: Annotated[Items[Name], Field(min_length=2, max_length=MAX_CHANNELS)]
    #: (pair, 2), places in `channels`. All pairs in order are (0, 1), (0, 2) … (1, 2) …
    pairs: IntegerMatrix
    #: Place of the first pair of this message among all pairs, and their number.
    first_pair: Count
    total_pairs: PositiveCount
    #: The bands of the rows; None: each row is a scale.
    bands: Items[PairBand] | None = None
    #: Sampling rate of the stream.
    fs_hz: PositiveReal
    #: (pair, row, time), R².
    values: RealCube
    #: (pair, row, time), in radians, positive where the first channel leads; None if not requested.
    phase: RealCube | None = None
    #: (pair, row), the significance threshold of R²; of a band the mean of the thresholds of its
    #: scales, which unrelated noise exceeds less often.
    signif: RealMatrix | None = None
    #: (channel, row, time), 1 where missing data or an edge affects the channel; None: nowhere. A
    #: pair is masked where either of its channels is.
    mask: MaskCube | None = None

    @property
    def times_s(self) -> npt.NDArray[np.float64]:
        """(time,) seconds from the start of the epoch to each column."""
        return self.positions / self.fs_hz

    @property
    def names(self) -> tuple[tuple[str, str], ...]:
        """The pairs of channels in this message."""
        return tuple((self.channels[one], self.channels[other]) for one, other in self.pairs)

    @property
    def masked(self) -> np.ma.MaskedArray[Any, Any]:
        """(pair, row, time), the values as a masked array of numpy."""
        if self.mask is None:
            return np.ma.MaskedArray(self.values, np.ma.nomask)
        one, other = np.asarray(self.pairs, dtype=np.intp).T
        return np.ma.MaskedArray(self.values, self.mask[one] | self.mask[other])

    def pair(self, one: str, other: str) -> AnalysisResult:
        """Return the result of one pair, in the order of the analysis; arrays are (row, time).

        Raises
        ------
        KeyError
            This message does not have the pair.
        """
        try:
            wanted = sorted((self.channels.index(one), self.channels.index(other)))
            (place,) = np.flatnonzero((np.sort(self.pairs, axis=1) == wanted).all(axis=1))
        except ValueError:
            raise KeyError(f"{self.id} does not have the pair {one}, {other}") from None
        return self.at(int(place))

    def at(self, place: int) -> AnalysisResult:
        """Return the result of the pair at a place in `pairs`; arrays are (row, time)."""
        one, other = self.pairs[place].tolist()
        names = (self.channels[one], self.channels[other])
        names_of_both = TileResult.model_fields.keys() - {"id", "schema_id"}
        shared = {name: getattr(self, name) for name in names_of_both}
        return AnalysisResult(
            id=f"{self.id}/{self.first_pair + place}",
            channels=names,
            fs_hz=self.fs_hz,
            values=self.values[place],
            phase=None if self.phase is None else self.phase[place],
            signif=None if self.signif is None else self.signif[place],
            mask=None if self.mask is None else self.mask[one] | self.mask[other],
            **shared,
        )

    @model_validator(mode="after")
    def _shapes_agree(self) -> Self:
        pairs, k, n = len(self.pairs), len(self.freqs_hz), self.t.n
        self.check_shapes(
            {
                "pairs": (pairs, 2),
                "scales_s": (k,),
                "values": (pairs, k, n),
                "phase": (pairs, k, n),
                "signif": (pairs, k),
                "mask": (len(self.channels), k, n),
            }
        )
        if self.bands is not None and len(self.bands) != k:
            raise wrong_field("bands", f"{len(self.bands)} for {k} rows; the numbers must be equal")
        places = np.asarray(self.pairs)
        if not ((places >= 0) & (places < len(self.channels))).all():
            raise wrong_field("pairs", f"must be places below {len(self.channels)}")
        return self


#: A message on the subject of results.
LiveResult: TypeAlias = AnalysisResult | PairsResult

_NAME = schema_of(PairsResult).partition("/")[0]


def is_of_pairs(schema: object) -> bool:
    """Return whether `schema` is that of a `PairsResult`, in any version."""
    return isinstance(schema, str) and schema.partition("/")[0] == _NAME


def decode_result(data: bytes, content_type: ContentType) -> LiveResult:
    """Return the result in a body, of the type that its schema names; unknown fields are ignored.

    Raises
    ------
    BadRequest
        The body cannot be decoded.
    Unprocessable
        Fields are invalid, or the version is unknown.
    """
    tree = parsed(data, content_type)
    if is_of_pairs(tree.get("schema")):
        return message_of(PairsResult, tree, ignore_unknown=True)
    return message_of(AnalysisResult, tree, ignore_unknown=True)
