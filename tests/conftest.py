"""What every test shares: the Hypothesis profiles."""

from __future__ import annotations

import os

import hypothesis

hypothesis.settings.register_profile("dev", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
# What a property finds does not depend on the interpreter: the second one searches less.
hypothesis.settings.register_profile("brief", deadline=None, derandomize=True, max_examples=20)
hypothesis.settings.load_profile(
    os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "dev")
)
