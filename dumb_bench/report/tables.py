"""Tables as files: CSV that a spreadsheet cannot be tricked with, LaTeX that compiles whatever the names are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dumb_bench.case import CASE_MEANING, CASES

if TYPE_CHECKING:
    import pandas as pd

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
}  # fmt: skip


def guarded(text: str) -> str:
    """Return text for a CSV cell: what a spreadsheet would run as a formula gets a leading apostrophe."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def write_csv(frame: pd.DataFrame, path: Path) -> None:
    """Write a frame as CSV: text cells guarded, numbers at 10 significant digits, unix line ends."""
    shown = frame.copy()
    for index, name in enumerate(shown.columns):
        if shown.dtypes.iloc[index].kind not in "biuf":
            values = [guarded(value) if isinstance(value, str) else value for value in shown[name]]
            shown[name] = values
    shown.columns = [guarded(str(name)) for name in shown.columns]
    shown.to_csv(path, index=False, lineterminator="\n", float_format="%.10g")


def escaped(text: str) -> str:
    """Return text for LaTeX; control characters become spaces."""
    return "".join(_LATEX.get(letter, letter if letter.isprintable() else " ") for letter in text)


LATEX_ROWS = 200


def write_figure_latex(name: str, title: str, caption: str, data: pd.DataFrame, path: Path) -> None:
    """Write a figure's LaTeX: a `figure` with its caption, and after it the data as a table (at most 200 rows)."""
    shown = data.head(LATEX_ROWS)
    cells = [[_number(value) for value in row] for row in shown.itertuples(index=False, name=None)]
    rest = f"% {len(data) - len(shown)} more rows: {name}.csv" if len(data) > len(shown) else "%"
    lines = [
        r"% Needs \usepackage{graphicx,booktabs,longtable}.",
        r"\begin{figure}", r"  \centering", rf"  \includegraphics[width=\linewidth]{{{name}.pdf}}",
        rf"  \caption{{\textbf{{{escaped(title)}.}} {escaped(caption)}}}", rf"  \label{{fig:{name}}}", r"\end{figure}",
        "",
        r"\iffalse % the data drawn: remove this line and \fi to print it", r"{\scriptsize",
        rf"\begin{{longtable}}{{{'l' * len(data.columns)}}}", r"\toprule",
        " & ".join(escaped(str(column)) for column in data.columns) + r" \\", r"\midrule", r"\endhead",
        *(" & ".join(row) + r" \\" for row in cells), r"\bottomrule", r"\end{longtable}}", rest, r"\fi", "",
    ]  # fmt: skip
    path.write_text("\n".join(lines), encoding="utf-8")


def _number(value: object) -> str:
    if value is None or value != value:
        return "--"
    return f"{value:.4g}" if isinstance(value, float) else escaped(str(value))


def pivot(summary: pd.DataFrame) -> pd.DataFrame:
    """Return one row a (population, attack, strength): for each case rate, low, high, n and the controls.

    Denominators: `contrasts.summary`. `sign_noise` rows of their own are left out: they stand beside as `Ck_noise`.
    """
    import pandas as pd

    rows = []
    attacks = summary[~summary["label"].astype(str).str.startswith(("sign_noise", "delta_swap of "))]
    for (population, label, setting), group in attacks.groupby(["population", "label", "setting"], sort=True):
        row: dict[str, object] = {"population": population, "attack": label, "strength": setting}
        by_case = group.set_index("case")
        for case in (*CASES, "WB"):
            for name in ("rate", "low", "high", "n_tests", "noise", "excess", "excess_low", "excess_high", "swap"):
                row[f"{case}_{name}"] = by_case[name].get(case)
        rows.append(row)
    return pd.DataFrame(rows)


def _cell(row: pd.Series | None, name: str = "rate") -> str:
    if row is None or row[name] != row[name] or row[name] is None:
        return "--"
    text = f"{100 * row[name]:.1f}"
    if name == "rate" and row["low"] == row["low"]:
        text += rf" {{\scriptsize[{100 * row['low']:.1f}, {100 * row['high']:.1f}]}}"
    return text


def latex(summary: pd.DataFrame) -> str:
    """Return the table of success by case as LaTeX (booktabs), to be input inside a `table`; percentages.

    For each attack and strength: the rate with its interval, the number of tests, and the controls beneath.
    """
    lines = [
        r"% Needs \usepackage{booktabs,graphicx}. Mean success in percent: images misclassified by the victim / images",
        r"% it gets right when clean, mean over tests; 95 % intervals for new seeds on the same images.",
        r"\resizebox{\linewidth}{!}{%",
        rf"\begin{{tabular}}{{ll{'r' * len(CASES)}}}",
        r"\toprule",
        "attack & strength & " + " & ".join(CASES) + r" \\",
        " & & " + " & ".join(rf"{{\scriptsize {escaped(CASE_MEANING[case])}}}" for case in CASES) + r" \\",
        r"\midrule",
    ]
    attacks = summary[~summary["label"].astype(str).str.startswith(("sign_noise", "delta_swap of "))]
    several = attacks["population"].nunique() > 1
    for population, part in attacks.groupby("population", sort=True):
        if several:
            lines.append(rf"\multicolumn{{{2 + len(CASES)}}}{{l}}{{\emph{{{escaped(str(population))}}}}} \\")
        for (label, setting), group in part.groupby(["label", "setting"], sort=True):
            found = {row["case"]: row for _, row in group.iterrows()}
            cells = [found.get(case) for case in CASES]
            lines.append(f"{escaped(str(label))} & {escaped(str(setting))} & " + " & ".join(map(_cell, cells)) + r" \\")
            counts = [f"{int(row['n_tests'])}" if row is not None else "--" for row in cells]
            lines.append(
                r" & {\scriptsize tests} & " + " & ".join(rf"{{\scriptsize {count}}}" for count in counts) + r" \\"
            )
            for name, title in (("noise", "sign noise"), ("swap", "delta swap")):
                if group[name].notna().any():
                    beside = " & ".join(rf"{{\scriptsize {_cell(row, name)}}}" for row in cells)
                    lines.append(rf" & {{\scriptsize {title}}} & {beside} \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}}", ""])


def write_tables(summary: pd.DataFrame, tunings: pd.DataFrame, folder: Path) -> list[str]:
    """Write the tables and return their names.

    `success_by_case.csv` (wide), `contrasts.csv` (long), `success_by_case.tex`; `tuned_strengths.csv` if there are any.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_csv(pivot(summary), folder / "success_by_case.csv")
    write_csv(summary, folder / "contrasts.csv")
    (folder / "success_by_case.tex").write_text(latex(summary), encoding="utf-8")
    names = ["success_by_case.csv", "contrasts.csv", "success_by_case.tex"]
    if len(tunings):
        write_csv(tunings, folder / "tuned_strengths.csv")
        names.append("tuned_strengths.csv")
    return names
