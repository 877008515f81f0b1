"""The Kubernetes objects of a lab that has an API server.  It does what manifests.Directory does,
with the same words, and so takes the place of kubelets and of the one who types kubectl."""

import json
import os

import yaml

from . import kube_api, manifests, process

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# What deletes an object at once: there is no kubelet that would end a pod first.
_NOW = {"gracePeriodSeconds": 0}


def object_path(kind, name):
    """The path of the Node, the Namespace or the Pod (NAMESPACE_POD) of the kind in lower case."""
    if kind == "pod":
        namespace, _, name = name.partition("_")
        return f"/api/v1/namespaces/{namespace}/pods/{name}"
    return f"/api/v1/{kind}s/{name}"


def _references(text):
    """What names the objects in 'text' and nothing else of them."""
    found = []
    for document in yaml.load_all(text, Loader=_Loader):
        if document:
            metadata = document.get("metadata", {})
            found.append({"apiVersion": document["apiVersion"], "kind": document["kind"],
                          "metadata": {key: metadata[key] for key in ("name", "namespace")
                                       if key in metadata}})
    return found


class Objects:
    """'client' is for the lab's own objects, 'kubectl' a function that runs kubectl for all that
    is applied.  'directory' keeps what was applied under which name."""

    def __init__(self, client, kubectl, directory):
        self._client = client
        self._kubectl = kubectl
        self.path = directory

    def write(self, manifest):
        """Writes one object of the lab's own: a Node, a Namespace or a Pod, with its status."""
        kind, metadata = manifest["kind"].lower(), manifest["metadata"]
        path = object_path(kind, "_".join(filter(None, (metadata.get("namespace"),
                                                        metadata["name"]))))
        new = {key: value for key, value in manifest.items() if key != "status"}
        if kind == "pod":
            # The API server wants one; nobody runs it.
            new["spec"] = {**new["spec"], "containers": [{"name": "main", "image": "lab"}]}
        try:
            self._client.post(path.rpartition("/")[0], new)
        except kube_api.ApiError as error:
            if error.reason != "AlreadyExists":
                raise
            old = self._client.get(path)
            old["metadata"]["labels"] = metadata.get("labels", {})
            old["metadata"]["annotations"] = metadata.get("annotations", {})
            self._client.put(path, old)
        if kind != "namespace":         # Whose status is the API server's own.
            self._client.patch(f"{path}/status", {"status": manifest["status"]})

    def read(self, kind, name):
        return self._client.get(object_path(kind, name))

    def exists(self, kind, name):
        try:
            self.read(kind, name)
        except kube_api.ApiError as error:
            if error.code != 404:
                raise
            return False
        return True

    def remove(self, kind, name):
        path = object_path(kind, name)
        try:
            self._client.delete(path, **_NOW)
            if kind == "namespace":
                self._finish_namespace(path)
        except kube_api.ApiError as error:
            if error.code != 404:
                raise

    def _finish_namespace(self, path):
        """Does the namespace controller's work: the pods go, then the namespace."""
        self._client.delete(f"{path}/pods", **_NOW)
        namespace = self._client.get(path)
        namespace["spec"]["finalizers"] = []
        self._client.put(f"{path}/finalize", namespace)

    def relabel(self, kind, name, changes):
        """Sets each label in 'changes'; a value of None takes it away."""
        self._client.patch(object_path(kind, name), {"metadata": {"labels": changes}})

    def set_ready(self, name, ready):
        self._client.patch(f"{object_path('node', name)}/status",
                           {"status": {"conditions": [manifests.ready_condition(ready)]}})

    def set_phase(self, name, phase):
        """Sets the phase of the pod NAMESPACE_POD."""
        self._client.patch(f"{object_path('pod', name)}/status", {"status": {"phase": phase}})

    def _record(self, name):
        return f"{self.path}/{manifests.policy_file(name)}"

    def apply_text(self, name, text):
        """Has kubectl apply 'text' and remembers it under 'name'.  Objects that the former text of
        that name had and this one has not are deleted.  Returns what kubectl said."""
        former = self._applied_text(name)
        said = self._kubectl("apply", "-f", "-", stdin=text)
        kept = _references(text)
        self._delete_objects([each for each in _references(former) if each not in kept])
        with open(self._record(name), "w", encoding="utf-8") as file:
            file.write(text)
        return said

    def _applied_text(self, name):
        try:
            with open(self._record(name), encoding="utf-8") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def _delete_objects(self, references):
        if references:
            text = json.dumps({"apiVersion": "v1", "kind": "List", "items": references})
            self._kubectl("delete", "--ignore-not-found", "--wait=false", "-f", "-", stdin=text)

    def apply_file(self, path):
        self.apply_text(path, manifests.read_text(path))

    def delete(self, name):
        """Deletes the objects that were applied under 'name'."""
        if not os.path.exists(self._record(name)):
            raise process.LabError(f"nothing was applied under the name {name}")
        self._delete_objects(_references(self._applied_text(name)))
        os.unlink(self._record(name))

    def applied(self):
        return manifests.applied_in(self.path)
