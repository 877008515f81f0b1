"""Labs with a real API server.

They do whatever those of the other system tests do: make_egress() and egress of ../conftest.py
are the same here, with objects on the API server in the place of manifests.  To be up takes
them seconds of processor time, so tests that can do share the lab of their file.  Where there
is no kube-apiserver and none can be built, every test is skipped and says why."""

import os

import pytest

from lab import cluster, kube, process


@pytest.fixture(scope="session")
def kube_programs():
    """The directory of kube-apiserver and kubectl."""
    try:
        return kube.prepare_programs()
    except process.LabError as error:
        pytest.skip(f"NOT TESTED, because there is no kube-apiserver: {error}")


@pytest.fixture
def make_egress(kube_programs, make_egress):
    """Makes a lab with an API server, unless kube=False, and whatever else ../conftest.py's
    make_egress() takes."""
    def make(**options):
        egress = make_egress(**{"kube": True, **options})
        # A busy server may take longer than the 5 s that an agent waits at its start.  Egress.settle() waits until
        # it has answered.
        egress.expect_warning(r"egress_kube_source\|WARN\|the API server does not answer")
        return egress

    return make


@pytest.fixture(scope="module")
def shared_lab(kube_programs):
    """A lab with two nodes and no agent for all tests of a file, each of which uses names of
    its own."""
    with cluster.Cluster.up(f"t{os.getpid() % 100000}-kube", nodes=2, kube=True) as lab:
        yield lab


@pytest.fixture
def control(shared_lab):
    """The control plane of the shared lab, which runs, whatever the test before did."""
    shared_lab.control.start()
    return shared_lab.control
