"""Attributes of cgroups: the job, pod, container or unit that each is of."""
