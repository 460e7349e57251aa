"""What a process that runs a model's code can reach: its own files, libraries, and no more.

rules      what that is, for one version
landlock   files, TCP ports, signals and abstract sockets (Landlock, a Linux security module)
seccomp    calls that Landlock knows nothing of (libseccomp)
way_out    how much of the network that is
confine    both, and the rest, applied by the process to itself; what this machine has of them
quarters   rules and a folder of its own for one process
"""
