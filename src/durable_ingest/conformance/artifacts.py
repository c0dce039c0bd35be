"""What every artifact store promises, as tests.

```python
class TestMyArtifacts(ArtifactStoreContract):
    def make_artifacts(self, folder: Path) -> ArtifactStore:
        return MyArtifacts(folder)

    def damage(
        self, artifacts: ArtifactStore, ref: ArtifactRef, data: bytes
    ) -> None: ...  # overwrite the stored bytes
```
"""

from __future__ import annotations

from abc import abstractmethod
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from durable_ingest.errors import ArtifactDamaged, ArtifactMissing
from durable_ingest.ids import sha256
from durable_ingest.models import ArtifactRef
from durable_ingest.ports import ArtifactStore

__all__ = ["ArtifactStoreContract"]

_ABSENT = ArtifactRef(sha256=sha256(b"never stored"), size=12)


class ArtifactStoreContract:
    """Inherit it in a test class; say how to make a store and how to damage one."""

    @abstractmethod
    def make_artifacts(self, folder: Path) -> ArtifactStore:
        """A store in `folder`, which may hold one already: then the same one."""

    @abstractmethod
    def damage(self, artifacts: ArtifactStore, ref: ArtifactRef, data: bytes) -> None:
        """Overwrite the stored bytes of an artifact behind the store's back."""

    @pytest.fixture
    def artifacts(self, tmp_path: Path) -> ArtifactStore:
        """An empty store."""
        return self.make_artifacts(tmp_path / "artifacts")

    def test_fulfils_the_port(self, artifacts: ArtifactStore) -> None:
        """It has the port's methods."""
        assert isinstance(artifacts, ArtifactStore)

    @settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(data=st.binary(max_size=3000))
    def test_what_is_put_is_got(self, artifacts: ArtifactStore, data: bytes) -> None:
        """Any bytes come back, under the digest and size of those bytes."""
        ref = artifacts.put(data, media_type="text/plain")
        assert ArtifactRef(sha256=sha256(data), size=len(data), media_type="text/plain") == ref
        assert data == artifacts.get(ref)
        assert artifacts.contains(ref)

    def test_equal_bytes_are_one_artifact(self, artifacts: ArtifactStore) -> None:
        """Storing again changes nothing; the media type is no part of the identity."""
        first = artifacts.put(b"same", media_type="text/plain")
        second = artifacts.put(b"same", media_type="application/json")
        assert (first.sha256, first.size) == (second.sha256, second.size)
        assert artifacts.delete([first]) == 1
        assert not artifacts.contains(second)

    def test_artifacts_outlive_the_object_that_stored_them(self, tmp_path: Path) -> None:
        """Another object on the same place reads them."""
        ref = self.make_artifacts(tmp_path / "a").put(b"kept")
        assert self.make_artifacts(tmp_path / "a").get(ref) == b"kept"

    def test_what_was_never_stored_is_missing(self, artifacts: ArtifactStore) -> None:
        """Reading says so by error, asking by False, deleting by 0."""
        assert not artifacts.contains(_ABSENT)
        assert artifacts.delete([_ABSENT]) == 0
        with pytest.raises(ArtifactMissing, match=_ABSENT.sha256):
            artifacts.get(_ABSENT)

    def test_deleted_artifacts_are_missing_and_can_come_back(
        self, artifacts: ArtifactStore
    ) -> None:
        """Deleting counts what was there; storing again brings it back."""
        refs = [artifacts.put(data) for data in (b"one", b"two", b"three")]
        assert artifacts.delete([refs[0], _ABSENT, refs[2]]) == 2
        assert [artifacts.contains(ref) for ref in refs] == [False, True, False]
        with pytest.raises(ArtifactMissing):
            artifacts.get(refs[0])
        assert refs[0] == artifacts.put(b"one")
        assert artifacts.get(refs[0]) == b"one"

    @pytest.mark.parametrize(
        "found",
        [b"", b"the rigth bytes", b"the right", b"the right bytes and more"],
        ids=["empty", "another", "truncated", "longer"],
    )
    def test_damaged_bytes_are_never_served_and_putting_again_heals(
        self, artifacts: ArtifactStore, found: bytes
    ) -> None:
        """Bytes without the promised digest are an error until the artifact is stored again."""
        ref = artifacts.put(b"the right bytes")
        self.damage(artifacts, ref, found)
        with pytest.raises(ArtifactDamaged, match=ref.sha256):
            artifacts.get(ref)
        assert ref == artifacts.put(b"the right bytes")
        assert artifacts.get(ref) == b"the right bytes"

    def test_a_reference_with_another_size_is_refused(self, artifacts: ArtifactStore) -> None:
        """Digest and size must both be right."""
        ref = artifacts.put(b"abc")
        wrong = ref.model_copy(update={"size": 4})
        with pytest.raises(ArtifactDamaged):
            artifacts.get(wrong)

    def test_threads_may_store_the_same_bytes_at_once(self, tmp_path: Path) -> None:
        """All get the same reference, and it can be read."""
        stores = [self.make_artifacts(tmp_path / "shared") for _ in range(4)]
        data = [bytes([number]) * 10_000 for number in range(10)]

        def put_all(store: ArtifactStore) -> list[ArtifactRef]:
            return [store.put(each) for each in data]

        with ThreadPoolExecutor(len(stores)) as pool:
            results = list(pool.map(put_all, stores))
        assert [results[0]] * len(stores) == results
        assert data == [stores[0].get(ref) for ref in results[0]]
