"""The control plane of a lab: etcd and kube-apiserver in a namespace of their own on the fabric.

    with Cluster.up("demo", kube=True) as cluster:
        print(cluster.control.kubectl("get", "nodes"))

There is no controller manager, scheduler or kubelet: the lab does what tests need of that."""

import contextlib
import http.client
import json
import os
import subprocess

import yaml

from . import addresses, daemon, fabric, kube_api, kube_credentials, manifests, netns, process

TOP = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
PORT = 6443
ETCD_PORT = 2379
ISSUER = "https://kubernetes.default.svc"
SYSTEM_NAMESPACE = "ovs-egress"
NODES_NAMESPACE = "ovs-egress-nodes"
AGENT_ACCOUNT, MANAGER_ACCOUNT = "ovs-egress-agent", "ovs-egress-manager"

# Those that every cluster has.
NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")

# The same kinds with what this version of the API server does not know.
_LATER_CRDS = "crds-cel"
_RIGHTS = ("ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding")
# Who asked for what, and the answer's code: without the requests' bodies, once per request.
_AUDIT_POLICY = {"apiVersion": "audit.k8s.io/v1", "kind": "Policy",
                 "omitStages": ["RequestReceived"], "rules": [{"level": "Metadata"}]}


def prepare_programs():
    """The directory with kube-apiserver and kubectl; builds them if they are not there yet."""
    output = process.run([f"{TOP}/scripts/prepare-kube"], timeout=3600)
    return os.path.dirname(output.splitlines()[-1])


class Server(daemon.Daemon):
    """A program that does not go to the background by itself and writes no pidfile."""

    def __init__(self, place, directory, argv):
        self.name = os.path.basename(argv[0])
        super().__init__(self.name, f"{directory}/{self.name}.pid")
        self.place = place
        self.argv = argv
        self.log = f"{directory}/{self.name}.log"
        self._directory = directory

    def _is_ours(self, pid):
        return netns.lives_in(pid, self.place.netns)

    def start(self, *extra):
        self._check_absent()
        with open(self.log, "ab") as log:
            child = self.place.popen([*self.argv, *extra], stdin=subprocess.DEVNULL, stdout=log,
                                     stderr=log, cwd=self._directory, start_new_session=True)
        with open(self.pidfile, "w", encoding="ascii") as file:
            file.write(str(child.pid))


class ControlPlane(fabric.Place):
    def __init__(self, lab, directory, programs):
        """'programs' is the directory that prepare_programs() returned."""
        super().__init__(netns.full_name(lab, "control"))
        self.name = "control"
        self.ipv4, self.ipv6 = addresses.CONTROL4, addresses.CONTROL6
        self._directory = directory
        self._lab = lab
        self._kubectl = f"{programs}/kubectl"
        self.audit_log = f"{directory}/audit.jsonl"
        self.credentials = kube_credentials.Credentials(f"{directory}/credentials",
                                                        f"https://{self.ipv4}:{PORT}")
        self.etcd = Server(self, directory, self._etcd_arguments())
        self.api_server = Server(self, directory,
                                 [f"{programs}/kube-apiserver", *self._api_server_options()])
        path = self.credentials.path
        self.client = kube_api.Client(self.netns, self.ipv4, PORT,
                                      ca=path(kube_credentials.CA_CERTIFICATE),
                                      certificate=(path("admin.crt"), path("admin.key")))

    def _etcd_arguments(self):
        url = f"http://127.0.0.1:{ETCD_PORT}"
        peer = "http://127.0.0.1:2380"
        return ["etcd", "--name=lab", f"--data-dir={self._directory}/etcd-data", "--logger=zap",
                f"--listen-client-urls={url}", f"--advertise-client-urls={url}",
                f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}",
                f"--initial-cluster=lab={peer}", "--quota-backend-bytes=4294967296",
                "--unsafe-no-fsync"]    # Processes are killed here, but never the machine.

    def _api_server_options(self):
        path = self.credentials.path
        key = path(kube_credentials.SERVICE_ACCOUNT_KEY)
        return [f"--etcd-servers=http://127.0.0.1:{ETCD_PORT}",
                "--etcd-compaction-interval=0",         # compact() does it when a test wants it.
                "--bind-address=::", f"--secure-port={PORT}", f"--advertise-address={self.ipv4}",
                "--service-cluster-ip-range=10.96.0.0/16,fd00:10:96::/108",
                "--feature-gates=IPv6DualStack=true",   # Else a pod would have one address only.
                f"--tls-cert-file={path('server.crt')}",
                f"--tls-private-key-file={path('server.key')}",
                f"--client-ca-file={path(kube_credentials.CA_CERTIFICATE)}",
                f"--token-auth-file={path(kube_credentials.TOKENS)}",
                "--anonymous-auth=false", "--authorization-mode=RBAC",
                f"--service-account-issuer={ISSUER}", f"--service-account-key-file={key}",
                f"--service-account-signing-key-file={key}",
                # Controllers that the lab has not would have to create a pod's ServiceAccount, and
                # to take the taint of a new node away.
                "--disable-admission-plugins=ServiceAccount,TaintNodesByCondition",
                f"--audit-policy-file={self._directory}/audit-policy.json",
                f"--audit-log-path={self.audit_log}"]

    def connect(self):
        """Makes the namespace and its link to the fabric."""
        fabric_netns = netns.full_name(self._lab, "fabric")
        netns.ip_batch([f"netns add {self.netns}"])
        netns.prepare(self.netns)
        netns.ip_batch([fabric.veth_line("eth0", self.netns, "control", fabric_netns)])
        netns.ip_batch(["link set control master fabric up"], fabric_netns)
        netns.ip_batch(["link set lo up", "link set eth0 up",
                        f"addr add {self.ipv4}/24 dev eth0",
                        f"addr add {self.ipv6}/64 dev eth0 nodad",
                        f"route add default via {addresses.ROUTER4}",
                        f"route add default via {addresses.ROUTER6}"], self.netns)
        for place, device in ((fabric_netns, "control"), (self.netns, "eth0")):
            with netns.inside(place):
                netns.checksum_in_software(device)

    def create(self):
        """Makes the credentials and starts both servers the first time; wait_ready() and install()
        are for afterwards."""
        os.makedirs(self._directory)
        self.credentials.create([self.ipv4, self.ipv6, "127.0.0.1", "::1"])
        with open(f"{self._directory}/audit-policy.json", "w", encoding="ascii") as file:
            json.dump(_AUDIT_POLICY, file)
        self.etcd.start()
        self.api_server.start()

    def start(self, *options):
        """Starts what does not run; 'options' are more options for kube-apiserver, which count
        until it ends.  Returns when it is ready."""
        if not self.etcd.pid():
            self.etcd.start()
        if not self.api_server.pid():
            self.api_server.start(*options)
        self.wait_ready()

    def stop(self):
        self.api_server.stop()
        self.etcd.stop()

    def kill(self):
        """Ends both with SIGKILL."""
        self.api_server.kill()
        self.etcd.kill()

    def restart(self, *options):
        self.stop()
        self.start(*options)

    def ready(self):
        try:
            return self.client.raw("GET", "/readyz")[0] == 200
        except process.LabError:
            return False                # Nobody listens yet.

    def wait_ready(self, deadline=120.0):
        def ready_or_ended():
            for server in (self.etcd, self.api_server):
                if not server.pid():
                    raise process.LabError(f"{server.name} ended: see {server.log}")
            return self.ready()

        process.wait_until(ready_or_ended, "an API server that is ready", deadline, 0.1)

    # What an installation would bring.

    def install(self, node_names):
        """Creates what a cluster has before anybody comes: labels of namespaces, the kinds and
        rights of deploy/, accounts and kubeconfigs for agents and managers."""
        for name in (*NAMESPACES, SYSTEM_NAMESPACE, NODES_NAMESPACE):
            self._create("/api/v1/namespaces", manifests.namespace(name))
            # The API server may have been first; later versions than this one set the label.
            self.client.patch(f"/api/v1/namespaces/{name}",
                              {"metadata": manifests.namespace(name)["metadata"]})
        for document in _deployed():
            kind = document.get("kind")
            if kind == "CustomResourceDefinition":
                self.add_crd(document)
            elif kind in _RIGHTS:
                self._create(_rights_path(document), document)
        for account in (AGENT_ACCOUNT, MANAGER_ACCOUNT):
            self._create(f"/api/v1/namespaces/{SYSTEM_NAMESPACE}/serviceaccounts",
                         {"metadata": {"name": account}})
        for name in node_names:
            self.renew_token(f"agent-{name}", AGENT_ACCOUNT)
        self.renew_token("manager", MANAGER_ACCOUNT)
        for name in (*(f"agent-{node_name}" for node_name in node_names), "manager"):
            self._wait_rights(name)

    def _wait_rights(self, name):
        """Waits until the API server knows what agents and managers may do: it hears of it by watches."""
        with open(self.credentials.path(f"{name}.token"), encoding="ascii") as file:
            client = kube_api.Client(self.netns, self.ipv4, PORT, token=file.read(),
                                     ca=self.credentials.path(kube_credentials.CA_CERTIFICATE))
        with contextlib.closing(client):
            process.wait_until(lambda: client.raw("GET", "/api/v1/nodes?limit=1")[0] == 200,
                               f"the rights of {name}", 60.0, 0.05)

    def _create(self, path, body):
        try:
            self.client.post(path, body)
        except kube_api.ApiError as error:
            if error.reason != "AlreadyExists":
                raise

    def add_crd(self, crd):
        """Creates a CustomResourceDefinition and waits until its kind is served."""
        crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        spec, name = crd["spec"], crd["metadata"]["name"]
        self._create(crds, crd)
        served = [each["name"] for each in spec["versions"] if each["served"]]

        def serves():
            return all(self.client.raw("GET", f"/apis/{spec['group']}/{version}/"
                                              f"{spec['names']['plural']}?limit=1")[0] == 200
                       for version in served)

        process.wait_until(serves, f"{name} served", 60.0, 0.05)

    def renew_token(self, name, account, namespace=SYSTEM_NAMESPACE, seconds=86400):
        """Requests a token for a ServiceAccount and puts it into the place of the former token of
        the kubeconfig 'name'."""
        answer = self.client.post(
            f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token",
            {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
             "spec": {"expirationSeconds": seconds}})
        self.credentials.write_token(name, answer["status"]["token"])

    def kubeconfig(self, name):
        """The kubeconfig file of "admin", "guest", "manager", or "agent-NODE"."""
        return self.credentials.kubeconfig(name)

    def kubectl_arguments(self, *arguments, user="admin"):
        return [self._kubectl, f"--kubeconfig={self.kubeconfig(user)}",
                f"--cache-dir={self._directory}/kubectl-cache", *arguments]

    def kubectl(self, *arguments, user="admin", **options):
        """What kubectl says, as one of those who have a kubeconfig."""
        return self.run(self.kubectl_arguments(*arguments, user=user), **options)

    # For tests.

    def _etcd_call(self, method, body):
        with netns.inside(self.netns):
            connection = http.client.HTTPConnection("127.0.0.1", ETCD_PORT, timeout=10)
            with contextlib.closing(connection):
                connection.request("POST", f"/v3/kv/{method}", json.dumps(body))
                response = connection.getresponse()
                answer = response.read()
        if response.status != 200:
            raise process.LabError(f"etcd: {method}: {answer.decode(errors='replace')}")
        return json.loads(answer)

    def compact(self):
        """Makes etcd forget everything but the present; returns its revision.

        That ends lists that are continued with an older token.  Watches that resume at an older
        resourceVersion still find it in kube-apiserver's cache, unless it was started anew since or
        with --watch-cache=false."""
        revision = self._etcd_call("range", {"key": "MA=="})["header"]["revision"]
        self._etcd_call("compaction", {"revision": revision, "physical": True})
        return int(revision)

    def mark(self):
        """A point in the audit log, for audit(since=...)."""
        return os.path.getsize(self.audit_log)

    def audit(self, since=0, user=None, verbs=()):
        """The requests that were completed since 'since', as audit.k8s.io/v1 Events."""
        found = []
        with open(self.audit_log, "rb") as file:
            file.seek(since)
            for line in file:
                if not line.endswith(b"\n"):
                    break               # Not written to its end yet.
                event = json.loads(line)
                if (event["stage"] == "ResponseComplete"
                        and user in (None, event["user"]["username"])
                        and (not verbs or event["verb"] in verbs)):
                    found.append(event)
        return found


def account_user(account, namespace=SYSTEM_NAMESPACE):
    """How a ServiceAccount is called as a user."""
    return f"system:serviceaccount:{namespace}:{account}"


def _deployed():
    """The objects in deploy/, folder by folder."""
    documents = []
    for directory, folders, files in os.walk(f"{TOP}/deploy"):
        folders[:] = sorted(set(folders) - {_LATER_CRDS})
        for name in sorted(files):
            if name.endswith(".yaml"):
                with open(f"{directory}/{name}", encoding="utf-8") as file:
                    documents += [each for each in yaml.safe_load_all(file) if each]
    return documents


def _rights_path(document):
    namespace = document["metadata"].get("namespace")
    core = document["kind"] == "ServiceAccount"
    return "/".join([f"/{'api' if core else 'apis'}/{document['apiVersion']}",
                     *(["namespaces", namespace] if namespace else []),
                     f"{document['kind'].lower()}s"])
