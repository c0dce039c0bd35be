"""A real Temporal server with time skipping, shared by the session."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

from durable_ingest.devserver import Executable, find_executable
from durable_ingest.plugin import DurableIngestPlugin
from tests.support.sites import Site, running_site


@pytest.fixture(scope="session")
def executable() -> Executable:
    """The pinned server; built when it is nowhere to be found, so this may take minutes once."""
    return find_executable()


@pytest_asyncio.fixture(scope="session")
async def environment(executable: Executable) -> AsyncIterator[WorkflowEnvironment]:
    """A server whose workflows have clocks of their own that can be moved."""
    async with await WorkflowEnvironment.start_time_skipping_v2(
        dev_server_existing_path=str(executable.path),
        dev_server_extra_args=[
            "--dynamic-config-value",
            "frontend.WorkflowTimeSkippingEnabled=true",
        ],
        plugins=[DurableIngestPlugin()],
    ) as env:
        yield env


@pytest.fixture
def client(environment: WorkflowEnvironment) -> Client:
    """A client of the shared server, with the plugin."""
    return environment.client


@pytest.fixture
def documents(tmp_path: Path) -> Path:
    """A folder of five small documents in three formats."""
    folder = tmp_path / "documents"
    folder.mkdir()
    (folder / "tides.md").write_text("# Tides\n\nThe moon pulls the sea twice a day.\n")
    (folder / "bread.md").write_text("# Bread\n\nFlour, water, salt and time make a loaf.\n")
    (folder / "bees.txt").write_text("Bees dance to tell their sisters where the flowers are.\n")
    (folder / "clocks.html").write_text(
        "<html lang=en><title>Clocks</title><body><h1>Clocks</h1>"
        "<p>A pendulum keeps time by its length alone.</p></body></html>"
    )
    (folder / "snow.txt").write_text("Every flake of snow has six arms.\n")
    return folder


@pytest.fixture
def site() -> Iterator[Site]:
    """A web site on loopback that answers as told."""
    with running_site() as running:
        yield running
