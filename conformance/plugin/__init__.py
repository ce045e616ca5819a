"""What the pytest plugin does once it is asked to; see :mod:`lastref.conformance.pytest_plugin`.

cases       a test for each conformance case, on one adapter for each worker
running     an adapter that is asked for one case at a time
handles     cases and races on a class of the user's
schedules   the model's interleavings on a class of the user's
found       what a fixture is given, and what it says where it can do nothing with it
scenes      a scenario of the user's own, among processes whose pids come back
"""
