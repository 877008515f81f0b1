"""The lab's directory of Kubernetes manifests, one file per object, every write atomic."""

import os
import re
import tempfile

import yaml

from . import process

_Dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def node(name, cidrs, internal_ips, labels=None, ready=True):
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name,
                                              "kubernetes.io/os": "linux", **(labels or {})}},
        "spec": {"podCIDR": cidrs[0], "podCIDRs": list(cidrs)},
        "status": {
            "addresses": [{"type": "InternalIP", "address": ip} for ip in internal_ips]
            + [{"type": "Hostname", "address": name}],
            "conditions": [ready_condition(ready)],
        },
    }


def ready_condition(ready):
    return {"type": "Ready", "status": "True" if ready else "False"}


def namespace(name, labels=None):
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name,
                                              **(labels or {})}},
        "status": {"phase": "Active"},
    }


def pod(namespace_name, name, node_name, host_ip, ips, labels=None, annotations=None):
    metadata = {"name": name, "namespace": namespace_name, "labels": dict(labels or {})}
    if annotations:
        metadata["annotations"] = dict(annotations)
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {"nodeName": node_name, "hostNetwork": False},
        "status": {"phase": "Running", "hostIP": host_ip, "podIP": ips[0],
                   "podIPs": [{"ip": ip} for ip in ips]},
    }


def policy_file(name):
    """The file that keeps what was applied under 'name'."""
    stem, suffix = os.path.splitext(os.path.basename(name))
    stem = re.sub(r"[^A-Za-z0-9._-]", "-", stem)
    return f"policy_{stem}{suffix if suffix in ('.yaml', '.yml', '.json') else '.yaml'}"


def read_text(path):
    """The text of a manifest that somebody wants to be applied."""
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except OSError as error:
        raise process.LabError(f"{path}: {error.strerror}") from None


def applied_in(directory):
    """The names under which something was applied."""
    return sorted(entry[len("policy_"):] for entry in os.listdir(directory)
                  if entry.startswith("policy_"))


class Directory:
    def __init__(self, path):
        self.path = path

    def _file(self, kind, name):
        return f"{self.path}/{kind}_{name}.yaml"

    def write_text(self, file_name, text):
        """Writes 'text' to the file 'file_name', which appears complete or not at all."""
        fd, temporary = tempfile.mkstemp(prefix=".", suffix=".tmp", dir=self.path)
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(temporary, 0o644)
        os.rename(temporary, f"{self.path}/{file_name}")

    def write(self, manifest):
        """Writes one object of the lab's own: a Node, a Namespace or a Pod."""
        metadata = manifest["metadata"]
        # '_' is in no name of Kubernetes, so no two objects share a file.
        name = "_".join(filter(None, (metadata.get("namespace"), metadata["name"])))
        text = yaml.dump(manifest, Dumper=_Dumper, sort_keys=False)
        self.write_text(os.path.basename(self._file(manifest["kind"].lower(), name)), text)

    def read(self, kind, name):
        """The object 'name' (for pods NAMESPACE_POD) of the kind in lower case."""
        try:
            with open(self._file(kind, name), encoding="utf-8") as file:
                return yaml.load(file, Loader=_Loader)
        except FileNotFoundError:
            raise process.LabError(f"no manifest of {kind} {name}") from None

    def exists(self, kind, name):
        return os.path.exists(self._file(kind, name))

    def remove(self, kind, name):
        try:
            os.unlink(self._file(kind, name))
        except FileNotFoundError:
            pass

    def relabel(self, kind, name, changes):
        """Sets each label in 'changes'; a value of None takes it away."""
        manifest = self.read(kind, name)
        labels = manifest["metadata"].setdefault("labels", {})
        for key, value in changes.items():
            if value is None:
                labels.pop(key, None)
            else:
                labels[key] = value
        self.write(manifest)

    def set_ready(self, name, ready):
        manifest = self.read("node", name)
        manifest["status"]["conditions"] = [ready_condition(ready)]
        self.write(manifest)

    def set_phase(self, name, phase):
        """Sets the phase of the pod NAMESPACE_POD."""
        manifest = self.read("pod", name)
        manifest["status"]["phase"] = phase
        self.write(manifest)

    def apply_text(self, name, text):
        """Puts the manifest 'text' in under 'name', in the place of what had that name."""
        self.write_text(policy_file(name), text)

    def apply_file(self, path):
        self.apply_text(path, read_text(path))

    def delete(self, name):
        """Takes away what was applied under 'name' (of the file it came from the base name)."""
        try:
            os.unlink(f"{self.path}/{policy_file(name)}")
        except FileNotFoundError:
            raise process.LabError(f"nothing was applied under the name {name}") from None

    def applied(self):
        return applied_in(self.path)
