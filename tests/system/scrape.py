"""What daemons say over HTTP, from within the network namespace of whom it concerns."""

import contextlib
import http.client
import os
import re

from lab import netns

DOCUMENT = f"{os.path.dirname(os.path.realpath(__file__))}/../../docs/metrics.md"

_LABEL = r'[a-z_]+="(?:[^"\\\n]|\\["\\n])*"'
_SAMPLE = re.compile(rf'(?P<name>[a-z_]+)(?:\{{(?P<labels>{_LABEL}(?:,{_LABEL})*)\}})? (?P<value>\S+)')
_SUFFIXES = {"histogram": ("_bucket", "_sum", "_count")}


def get(namespace, path, *, host="127.0.0.1", port=9474, method="GET"):
    """The response, with its text as .text."""
    with netns.inside(namespace):
        connection = http.client.HTTPConnection(host, port, timeout=5)
        with contextlib.closing(connection):
            connection.request(method, path)
            response = connection.getresponse()
            response.text = response.read().decode()
    return response


class Metrics:
    """A scrape, read as strictly as the format is written."""

    def __init__(self, namespace, **where):
        response = get(namespace, "/metrics", **where)
        assert response.status == 200
        assert response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert response.text.endswith("\n")
        self.types, self.samples = {}, {}
        family = None
        for line in response.text.splitlines():
            if line.startswith("# HELP "):
                family = line.split()[2]
                assert family not in self.types, f"{family} comes twice"
            elif line.startswith("# TYPE "):
                assert line.split()[2] == family
                self.types[family] = line.split()[3]
            else:
                self._add(family, line)

    def _add(self, family, line):
        sample = _SAMPLE.fullmatch(line)
        assert sample, f"no sample: {line}"
        assert sample["name"] in [family + suffix
                                  for suffix in _SUFFIXES.get(self.types[family], ("",))], line
        labels = frozenset(re.findall(r'([a-z_]+)="((?:[^"\\]|\\.)*)"', sample["labels"] or ""))
        assert (sample["name"], labels) not in self.samples, f"twice: {line}"
        self.samples[sample["name"], labels] = float(sample["value"])

    def get(self, name, **labels):
        """The value of just this, or None."""
        return self.samples.get((name, frozenset(labels.items())))

    def all(self, name, label):
        """The values of all of 'name' by that label."""
        return {dict(labels)[label]: value for (each, labels), value in self.samples.items()
                if each == name}


def documented(who):
    """The metrics that docs/metrics.md promises of "A" or "M", with their types."""
    with open(DOCUMENT, encoding="utf-8") as file:
        rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in file
                if line.startswith("| `ovs_egress_")]
    return {row[0].strip("`"): row[1] for row in rows if who in row[2].split()}
