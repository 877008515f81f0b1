"""A cluster in a box: nodes, pods and hosts as network namespaces, an Open vSwitch per node."""
