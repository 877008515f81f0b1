"""The table that a bench run prints: what, value, reference, ratio, aim, met or not."""

import statistics

HEADER = ("what", "value", "reference", "ratio", "aim", "met")


def median(values):
    return statistics.median(values)


def paired_ratio(values, references):
    """The median of the ratios of what was measured in the same round: what else the machine did
    meanwhile concerned both."""
    return median([value / reference for value, reference in zip(values, references, strict=True)])


def percentile(values, percent):
    """The smallest of 'values' that at least 'percent' of them do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


class Table:
    def __init__(self):
        self._rows = [HEADER]

    def add(self, what, value, reference="", ratio=None, aim="", met=None):
        """'met' is None where nothing is aimed at."""
        self._rows.append((what, value, reference, "" if ratio is None else f"{ratio:.2f}", aim,
                           {None: "", True: "yes", False: "NO"}[met]))

    def text(self):
        widths = [max(len(row[i]) for row in self._rows) for i in range(len(HEADER))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()
                 for row in self._rows]
        lines.insert(1, "  ".join("-" * width for width in widths))
        return "\n".join(lines)
