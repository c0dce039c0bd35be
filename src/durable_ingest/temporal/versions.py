"""Named changes of workflow code.

From the first tagged release on, every change that alters what a workflow does is made under a
`Patch` listed here, with two recorded histories: one with the patch, one without.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Patch:
    """A change that running workflows must not see half way.

    Attributes:
        id: Name on the wire; never used twice.
        workflow: Workflow type that it changes.
        why: What was wrong before.
    """

    id: str
    workflow: str
    why: str


PATCHES: tuple[Patch, ...] = ()
"""All patches, oldest first."""
