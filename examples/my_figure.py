"""A figure of your own: how success spreads over the tests of the declared contrast."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes

from dumb_bench.report.figures.base import BLUE, NothingToShowError, figure


@figure(
    "success_histogram",
    table="tests",
    section="cases",
    title="Success, test by test",
    needs={"case", "asr", "counted", "primary", "reference", "n_victim_correct"},
)
class SuccessHistogram:
    """Histogram of the success of single tests at the declared contrast."""

    def prepare(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return the data drawn, which is written as CSV; raise NothingToShowError where there is none."""
        rows = frame[frame["counted"] & frame["primary"] & frame["reference"]]
        if rows.empty:
            raise NothingToShowError("Success test by test is not drawn: no test of an attack has a case.")
        return rows[["case", "asr", "n_victim_correct"]].reset_index(drop=True)

    def draw(self, axes: Axes, frame: pd.DataFrame) -> None:
        """Draw one panel; a column `panel` in the data would give several."""
        axes.hist(frame["asr"], bins=20, range=(0, 1), color=BLUE)
        axes.set_xlabel("success")
        axes.set_ylabel("tests")

    def caption(self, frame: pd.DataFrame) -> str:
        """Say what is shown, its denominator and its n."""
        return (
            f"{len(frame)} tests; a test's success: images misclassified by the victim / images it gets right when "
            f"clean (median {frame['n_victim_correct'].median():.0f})."
        )
