"""kubectl in few words: what it prints, what it refuses, what it is given."""

import re

import yaml

from lab import process

# What a directory of manifests has to have for agents to decide the same on their own.
INPUT = "nodes,namespaces,pods,egresses,externalippools,egresspolicies,egresspools"


# What a manager writes.
_WRITTEN = ("ovs-egress.io/v1alpha1/egressroutes", "ovs-egress.io/v1alpha1/egresspolicies",
            "ovs-egress.io/v1alpha1/egresspools", "crd.antrea.io/v1beta1/egresses",
            "crd.antrea.io/v1beta1/externalippools", "events.k8s.io/v1/events")


def manifest(api_version, kind, spec, name="x"):
    return yaml.safe_dump({"apiVersion": api_version, "kind": kind, "metadata": {"name": name},
                           "spec": spec})


def dry_run(control, text):
    """What the API server's refusal says, or None if it takes it."""
    try:
        control.kubectl("apply", "--dry-run=server", "--validate=false", "-f", "-", stdin=text)
    except process.LabError as error:
        return str(error)
    return None


def table(control, *arguments):
    """What "kubectl get" prints, without the ages."""
    lines = control.kubectl("get", *arguments).splitlines()
    return [re.sub(r"\b\d+[smh]\b", "AGE", line).split() for line in lines]


def events(control, name):
    """The Events about the object 'name', oldest first, as (type, reason, message)."""
    found = [event for event in control.client.get("/api/v1/events")["items"]
             if event["involvedObject"]["name"] == name]
    return [(event["type"], event["reason"], event["message"])
            for event in sorted(found, key=lambda event: event["metadata"]["name"])]


def versions(control):
    """The resourceVersion of everything that a manager writes: it changes with each write that
    changes something."""
    return {(kind, item["metadata"]["name"]): item["metadata"]["resourceVersion"]
            for kind in _WRITTEN for item in control.client.get(f"/apis/{kind}")["items"]}
