"""Who is who on a lab's API server: certificates, tokens, and kubeconfig files that hold them."""

import json
import os
import secrets

from . import process

CA_CERTIFICATE = "ca.crt"
SERVICE_ACCOUNT_KEY = "service-account.key"
TOKENS = "tokens.csv"
# A user that nobody gave any right, who has a token in his kubeconfig.
GUEST = "guest"

_DAYS = "30"
_EC = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]


class Credentials:
    """The files in one directory."""

    def __init__(self, directory, server):
        """'server' is the URL that goes into kubeconfig files."""
        self.directory = directory
        self.server = server

    def path(self, name):
        return f"{self.directory}/{name}"

    def create(self, addresses):
        """Makes the CA, the server's certificate for 'addresses', the administrator's, the key that
        signs ServiceAccount tokens, and the guest's token."""
        os.makedirs(self.directory, mode=0o700)
        process.run(["openssl", "req", "-x509", *_EC, "-days", _DAYS, "-subj", "/CN=lab CA",
                     "-addext", "basicConstraints=critical,CA:TRUE",
                     "-addext", "keyUsage=critical,keyCertSign",
                     "-keyout", self.path("ca.key"), "-out", self.path(CA_CERTIFICATE)])
        names = ["DNS:kubernetes", "DNS:kubernetes.default.svc",
                 *(f"IP:{address}" for address in addresses)]
        self.issue("server", "/CN=kube-apiserver", "serverAuth",
                   ["-addext", f"subjectAltName={','.join(names)}"])
        self.issue("admin", "/O=system:masters/CN=admin", "clientAuth")
        process.run(["openssl", "genrsa", "-out", self.path(SERVICE_ACCOUNT_KEY), "2048"])
        token = secrets.token_hex(16)
        self._write(TOKENS, f'{token},{GUEST},{GUEST}\n')
        self.write_kubeconfig("admin", {"client-certificate": self.path("admin.crt"),
                                        "client-key": self.path("admin.key")})
        self.write_kubeconfig(GUEST, {"token": token})

    def issue(self, name, subject, usage, options=()):
        """Makes NAME.crt and NAME.key, signed by the lab's CA."""
        process.run(["openssl", "req", "-x509", *_EC, "-days", _DAYS, "-subj", subject,
                     "-CA", self.path(CA_CERTIFICATE), "-CAkey", self.path("ca.key"),
                     "-addext", "basicConstraints=critical,CA:FALSE",
                     "-addext", f"extendedKeyUsage={usage}", *options,
                     "-keyout", self.path(f"{name}.key"), "-out", self.path(f"{name}.crt")])

    def _write(self, name, text):
        """Writes a file that appears complete or not at all, as when a kubelet renews a token."""
        new = self.path(f"{name}.new")
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w",
                  encoding="utf-8") as file:
            file.write(text)
        os.rename(new, self.path(name))

    def kubeconfig(self, name):
        return self.path(f"{name}.kubeconfig")

    def write_kubeconfig(self, name, user, server=None, ca=None):
        """Writes the kubeconfig of 'name', whose credentials are 'user', as in the file's "user".
        Returns its path."""
        # JSON is YAML.
        self._write(f"{name}.kubeconfig", json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "lab",
            "clusters": [{"name": "lab", "cluster": {
                "server": server or self.server,
                "certificate-authority": ca or self.path(CA_CERTIFICATE)}}],
            "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": name}}],
            "users": [{"name": name, "user": user}],
        }, indent=1) + "\n")
        return self.kubeconfig(name)

    def write_token(self, name, token):
        """Writes the token of 'name' where its kubeconfig, which this writes the first time, says
        that it is."""
        self._write(f"{name}.token", token)
        if not os.path.exists(self.kubeconfig(name)):
            self.write_kubeconfig(name, {"tokenFile": self.path(f"{name}.token")})
