"""Checkpoints: what goes in comes out, the last k and the best stay, and nothing foreign is loaded."""

from __future__ import annotations

import json
import pickle
import struct
import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import Tensor

from mezzotint.core import atomic
from mezzotint.core.errors import CheckpointError
from mezzotint.engine import _checkpoint_folder as inside
from mezzotint.engine.checkpoint import CheckpointStore, read_safetensors, write_safetensors

DTYPES = [
    torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.complex64, torch.bool, torch.uint8, torch.int8,
    torch.int16, torch.int32, torch.int64, torch.uint16, torch.uint32, torch.uint64, torch.float8_e4m3fn,
]  # fmt: skip


def same(a: Tensor, b: Tensor) -> bool:
    """Equal in dtype, shape and every bit."""
    raw = [t.detach().resolve_conj().contiguous().reshape(-1).view(torch.uint8) for t in (a, b)]
    return a.dtype == b.dtype and a.shape == b.shape and torch.equal(*raw)


def awkward() -> dict[str, Tensor]:
    """Tensors of every dtype and of every memory layout that training has."""
    generator = torch.Generator().manual_seed(0)
    tensors = {
        f"dtype.{dtype}": torch.randint(0, 2 if dtype == torch.bool else 100, (3, 5), generator=generator).to(dtype)
        for dtype in DTYPES
    }
    base = torch.randn(4, 6, 8, 2, generator=generator)
    return tensors | {
        "scalar": torch.tensor(3.5),
        "scalar.bool": torch.tensor(True),
        "empty": torch.empty(0),
        "empty.2d": torch.empty(3, 0, dtype=torch.int64),
        "transposed": base.transpose(0, 2),
        "channels_last": base.to(memory_format=torch.channels_last),
        "strided": base[::2, 1::3],
        "expanded": torch.tensor([1.0]).expand(7, 3),
        "conjugate": torch.randn(3, dtype=torch.complex64, generator=generator).conj(),
        "negative": torch.randn(3, dtype=torch.complex64, generator=generator).conj().imag,
        "shared.a": base,
        "shared.b": base.view(-1)[5:50],
        "not.finite": torch.tensor([float("nan"), float("inf"), -0.0]),
        "parameter": torch.nn.Parameter(torch.ones(2)),
        'name "with" \\ ünïcode/…\n': torch.ones(1),
    }


@pytest.fixture
def store(tmp_path: Path) -> CheckpointStore:
    return CheckpointStore(tmp_path / "run" / "checkpoints")


def save_steps(store: CheckpointStore, *steps: int, best: int | None = None) -> None:
    for step in steps:
        store.save(step, {"w": torch.full((3,), float(step))}, {"at": step}, best=step == best)


def test_every_dtype_and_layout_comes_back_equal(store: CheckpointStore) -> None:
    tensors = awkward()
    path = store.save(7, tensors, {})
    loaded = store.load(7).tensors
    by_library = load_file(path / inside.TENSORS)
    assert loaded.keys() == by_library.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert same(loaded[name], tensor), name
        assert same(by_library[name], tensor), name


def test_loaded_tensors_do_not_refer_to_the_file(tmp_path: Path) -> None:
    write_safetensors(tmp_path / "w", {"w": torch.ones(50_000)})
    loaded = read_safetensors(tmp_path / "w")["w"]
    (tmp_path / "w").write_bytes(b"")  # a mapped tensor would end the process here
    assert loaded.sum() == 50_000


def test_what_the_library_writes_is_read(tmp_path: Path) -> None:
    tensors = {"a": torch.randn(3, 4), "b": torch.arange(5), "c": torch.tensor(True)}
    save_file(tensors, tmp_path / "w.safetensors", metadata={"format": "pt"})
    assert all(same(tensor, tensors[name]) for name, tensor in read_safetensors(tmp_path / "w.safetensors").items())


plain_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
names = st.text(st.characters(exclude_categories=["Cs"]), max_size=12).filter(lambda name: name != "__metadata__")


@st.composite
def random_tensors(draw: st.DrawFn) -> dict[str, Tensor]:
    tensors = {}
    for name in draw(st.lists(names, max_size=4, unique=True)):
        dtype = draw(st.sampled_from(DTYPES))
        shape = draw(st.lists(st.integers(0, 4), max_size=4))
        values = torch.randint(0, 256, (torch.Size(shape).numel() * dtype.itemsize,), dtype=torch.uint8)
        values = values % 2 if dtype == torch.bool else values
        tensor = values.view(dtype).reshape(shape)
        tensors[name] = tensor.permute(draw(st.permutations(range(len(shape)))))
    return tensors


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tensors=random_tensors(), state=st.dictionaries(st.text(), plain_json, max_size=4), step=st.integers(0, 10**12))
def test_round_trip(
    tmp_path_factory: pytest.TempPathFactory, tensors: dict[str, Tensor], state: dict[str, Any], step: int
) -> None:
    store = CheckpointStore(tmp_path_factory.mktemp("round"))
    store.save(step, tensors, state)
    found = store.latest()
    assert found is not None
    assert (found.step, found.state, found.warnings) == (step, state, ())
    assert found.tensors.keys() == tensors.keys()
    assert all(same(found.tensors[name], tensor) for name, tensor in tensors.items())


def test_nothing_saved_is_none_and_a_sentence(store: CheckpointStore) -> None:
    assert store.latest() is None
    assert store.steps() == []
    for which in ("latest", "best", 3):
        with pytest.raises(CheckpointError, match="There is no checkpoint"):
            store.load(which)
    assert not store.folder.exists(), "asking must not create anything"


def test_unknown_selector(store: CheckpointStore) -> None:
    with pytest.raises(CheckpointError, match='ask for "latest", "best" or a step'):
        store.load("newest")


def test_keep_last_and_best(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path, keep=2)
    save_steps(store, 10, 20, 30, 40, 50, best=20)
    assert store.steps() == [20, 40, 50]
    assert store.load("best").step == 20
    assert store.load("latest").step == 50
    store.save(60, {}, {}, best=True)
    assert store.steps() == [50, 60], "what was best before goes when another is"
    assert store.load("best").step == 60
    assert sorted(p.name for p in tmp_path.iterdir()) == ["best.json", "step-00000050", "step-00000060"]


def test_best_within_the_last_k_takes_no_extra_place(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path, keep=2)
    save_steps(store, 1, 2, 3, best=2)
    assert store.steps() == [2, 3]


def test_later_checkpoints_of_a_run_taken_back_stay_until_passed(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path, keep=1)
    CheckpointStore(tmp_path, keep=9).save(30, {}, {})
    save_steps(store, 10, 20)
    assert store.steps() == [20, 30], "a resumed run must not lose what it has just saved, nor the later one"
    save_steps(store, 40)
    assert store.steps() == [40]


def test_saving_a_step_again_replaces_it(store: CheckpointStore) -> None:
    save_steps(store, 5)
    for turn in range(3):
        path = store.save(5, {"w": torch.tensor(turn)}, {"turn": turn})
        assert store.load(5).state == {"turn": turn}
        assert store.load(5).path == path
        assert [p.name for p in store.folder.iterdir()] == [path.name]
    assert store.steps() == [5]


def test_damaged_replacement_falls_back_to_the_earlier_save_of_the_step(store: CheckpointStore, tmp_path: Path) -> None:
    first = store.save(5, {}, {"turn": 1})
    first.rename(tmp_path / "aside")
    second = store.save(5, {}, {"turn": 2})
    second.rename(second.with_name("step-00000005-2"))
    (tmp_path / "aside").rename(first)
    (store.folder / "step-00000005-2" / "state.json").write_text("{}")
    found = store.load(5)
    assert found.state == {"turn": 1}
    assert len(found.warnings) == 1


@pytest.mark.parametrize(
    ("state", "error"),
    [({1: 2}, TypeError), ({"a": [{2: 3}]}, TypeError), ({"a": float("nan")}, ValueError), ({"a": {1}}, TypeError)],
)
def test_state_that_would_not_come_back_is_refused_before_writing(
    store: CheckpointStore, state: dict[Any, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        store.save(1, {}, state)
    assert not store.folder.exists()


@pytest.mark.parametrize(
    "tensors",
    [
        {"s": torch.eye(2).to_sparse()},
        {"m": torch.empty(2, device="meta")},
        {"c": torch.zeros(2, dtype=torch.complex128)},
        {"__metadata__": torch.zeros(1)},
        {"\ud800": torch.zeros(1)},
    ],
)
def test_tensors_that_cannot_be_held_are_refused(store: CheckpointStore, tensors: dict[str, Tensor]) -> None:
    with pytest.raises(ValueError):
        store.save(1, tensors, {})
    assert store.latest() is None


@pytest.mark.parametrize("step", [-1, 1.0, True, "3", 10**18])
def test_step_must_be_a_count(store: CheckpointStore, step: Any) -> None:
    with pytest.raises(ValueError):
        store.save(step, {}, {})


def test_keep_must_be_positive(tmp_path: Path) -> None:
    with pytest.raises(ValueError):
        CheckpointStore(tmp_path, keep=0)


def test_saving_streams(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No write is handed a copy of more than one tensor, and contiguous ones are handed over without a copy."""
    pieces: list[memoryview] = []
    write = atomic.disk.write
    monkeypatch.setattr(atomic.disk, "write", lambda d, data: pieces.append(data) or write(d, data))
    tensors = {name: torch.zeros(2_000_000) for name in "abcd"}
    CheckpointStore(tmp_path).save(1, tensors, {})
    addresses = {torch.frombuffer(p, dtype=torch.uint8).data_ptr() for p in pieces if len(p) > 1_000_000}
    assert addresses == {tensor.data_ptr() for tensor in tensors.values()}


# --- what is refused ---------------------------------------------------------------------------------------------


def raw(header: Any, data: bytes = b"", length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def entry(dtype: Any = "F32", shape: Any = (2,), offsets: Any = (0, 8), **more: Any) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets, **more}


MALFORMED = {
    "empty": b"",
    "short": b"\x01\x00",
    "header longer than file": raw({}, length=10_000),
    "huge header": raw({}, length=2**63),
    "header of zero bytes": raw(b""),
    "not JSON": raw(b"hello!!!"),
    "not UTF-8": raw(b'{"\xff\xfe": {}}'),
    "a list": raw([]),
    "nested for ever": raw(b'{"a":' + b"[" * 200_000),
    "NaN": raw(b'{"a":{"dtype":"F32","shape":[NaN],"data_offsets":[0,8]}}', bytes(8)),
    "endless number": raw(b'{"a":{"dtype":"F32","shape":[' + b"9" * 10_000 + b'],"data_offsets":[0,8]}}', bytes(8)),
    "duplicate keys": raw(
        b'{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}',
        bytes(1),
    ),
    "overlapping": raw({"a": entry(), "b": entry(offsets=(4, 12))}, bytes(12)),
    "same place twice": raw({"a": entry(), "b": entry()}, bytes(8)),
    "gap": raw({"a": entry(), "b": entry(offsets=(12, 20))}, bytes(20)),
    "starts late": raw({"a": entry(offsets=(4, 12))}, bytes(12)),
    "negative offsets": raw({"a": entry(offsets=(-8, 0))}, bytes(8)),
    "offsets backwards": raw({"a": entry(offsets=(8, 0))}, bytes(8)),
    "beyond the end": raw({"a": entry(shape=(4,), offsets=(0, 16))}, bytes(8)),
    "bytes left over": raw({"a": entry()}, bytes(9)),
    "size mismatch": raw({"a": entry(shape=(3,))}, bytes(8)),
    "dtype mismatch": raw({"a": entry(dtype="F64")}, bytes(8)),
    "unknown dtype": raw({"a": entry(dtype="PICKLE")}, bytes(8)),
    "dtype not text": raw({"a": entry(dtype=["F32"])}, bytes(8)),
    "negative shape": raw({"a": entry(shape=(-1, -2))}, bytes(8)),
    "overflowing shape": raw({"a": entry(shape=(2**62, 2**62, 0), offsets=(0, 0))}),
    "overflowing shape 2": raw({"a": entry(shape=(2**63, 2), offsets=(0, 0))}),
    "endless shape": raw({"a": entry(shape=(2**62,) * 5000, offsets=(0, 8))}, bytes(8)),
    "fractional shape": raw({"a": entry(shape=(2.0,))}, bytes(8)),
    "boolean shape": raw({"a": entry(shape=(True, 2))}, bytes(8)),
    "three offsets": raw({"a": entry(offsets=(0, 8, 8))}, bytes(8)),
    "no shape": raw({"a": {"dtype": "F32", "data_offsets": [0, 8]}}, bytes(8)),
    "extra key": raw({"a": entry(code="import os")}, bytes(8)),
    "entry not an object": raw({"a": [1, 2]}, bytes(8)),
    "metadata not text": raw({"__metadata__": {"a": 1}, "a": entry()}, bytes(8)),
    "bool of two": raw({"a": entry(dtype="BOOL", shape=(1,), offsets=(0, 1))}, b"\x02"),
    "zip": b"PK\x03\x04" + bytes(100),
    "text": b"import os\nos.system('x')\n",
}


@pytest.mark.parametrize("kind", MALFORMED)
def test_malformed_safetensors_are_refused_in_one_sentence(tmp_path: Path, kind: str) -> None:
    (tmp_path / "w.safetensors").write_bytes(MALFORMED[kind])
    with pytest.raises(CheckpointError) as caught:
        read_safetensors(tmp_path / "w.safetensors")
    sentence = str(caught.value).replace(str(tmp_path), "")
    assert "w.safetensors" in sentence
    assert sentence.endswith(".")
    assert ". " not in sentence
    assert "\n" not in sentence


def test_not_a_file(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing", Path("/dev/zero")):
        with pytest.raises(CheckpointError):
            read_safetensors(path)


class Evil:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> Any:
        return Path.touch, (self.target,)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("zipped", [True, False, None])
def test_malicious_pickle_is_refused_and_not_run(tmp_path: Path, protocol: int, zipped: bool | None) -> None:
    trap, store = tmp_path / "trap", CheckpointStore(tmp_path / "run")
    if zipped is None:
        evil = pickle.dumps(Evil(trap), protocol=protocol)
    else:
        torch.save(
            {"w": Evil(trap)}, tmp_path / "e", _use_new_zipfile_serialization=zipped, pickle_protocol=max(protocol, 2)
        )
        evil = (tmp_path / "e").read_bytes()
    for name in ("w.pt", "w.pth", "w.ckpt", "w.safetensors"):
        (tmp_path / name).write_bytes(evil)
        with pytest.raises(CheckpointError):
            read_safetensors(tmp_path / name)
    folder = store.save(1, {}, {})
    for name in (inside.TENSORS, inside.STATE, inside.COMMIT):
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(evil)
        with pytest.raises(CheckpointError):
            store.latest()
        (folder / name).write_bytes(whole)
    forge(folder, inside.TENSORS, evil)
    with pytest.raises(CheckpointError):
        store.latest()
    assert not trap.exists()
    if zipped is None:
        pickle.loads(evil)
        assert trap.exists(), "the trap must be a working one, or this test shows nothing"


def forge(folder: Path, name: str, content: bytes) -> None:
    """Replace a file and make COMMIT.json agree, as someone could who wants us to load it."""
    commit = json.loads((folder / inside.COMMIT).read_bytes())
    commit.pop("check")
    (folder / name).write_bytes(content)
    commit["files"][name] = {"sha256": atomic.file_sha256(folder / name), "size": len(content)}
    (folder / inside.COMMIT).write_bytes(inside.seal(commit))


@pytest.mark.parametrize(
    "content",
    [
        b"[]", b"null", b'"text"', b"", b"\xff", b'{"schema":1,"step":1,"state":[]}',
        b'{"schema":1,"step":2,"state":{}}', b'{"step":1,"state":{}}', b'{"schema":"1","step":1,"state":{}}',
        b'{"schema":1,"step":1,"state":{"a":NaN}}',
        b'{"schema":1,"step":1,"state":{"a":Infinity}}', b'{"schema":1,"step":1,"state":{"a":1,"a":2}}', b"[" * 99_999,
    ],
)  # fmt: skip
def test_forged_state_is_refused(store: CheckpointStore, content: bytes) -> None:
    forge(store.save(1, {}, {}), inside.STATE, content)
    with pytest.raises(CheckpointError, match=r"state\.json"):
        store.latest()


@pytest.mark.parametrize("kind", ["overlapping", "zip", "NaN"])
def test_forged_tensors_are_refused(store: CheckpointStore, kind: str) -> None:
    forge(store.save(1, {}, {}), inside.TENSORS, MALFORMED[kind])
    with pytest.raises(CheckpointError, match="damaged"):
        store.latest()


@pytest.mark.parametrize(
    "change",
    [
        {"files": {}}, {"files": []}, {"files": {"../../secret": {"sha256": "", "size": 1}}}, {"step": 8},
        {"files": {inside.TENSORS: 1, inside.STATE: 2}}, {"schema": 0}, {"schema": None}, {"schema": True},
    ],
)  # fmt: skip
def test_forged_commit_is_refused(store: CheckpointStore, change: dict[str, Any]) -> None:
    folder = store.save(1, {}, {})
    (folder / inside.COMMIT).write_bytes(inside.seal({**inside.unseal(folder / inside.COMMIT), **change}))
    assert store.steps() == []
    with pytest.raises(CheckpointError, match=r"COMMIT\.json"):
        store.latest()


def test_newer_schema_says_upgrade_and_does_not_fall_back(store: CheckpointStore) -> None:
    save_steps(store, 1, 2)
    commit = store.folder / "step-00000002" / inside.COMMIT
    commit.write_bytes(inside.seal({"schema": 2, "anything": ["else"]}))
    with pytest.raises(CheckpointError, match="newer Mezzotint; upgrade"):
        store.latest()
    assert store.load(1).step == 1
    commit.write_bytes(inside.seal({"schema": 1, "step": 2}))
    forge(store.save(3, {}, {}), inside.STATE, b'{"schema": 7, "new": "form"}')
    with pytest.raises(CheckpointError, match="newer Mezzotint; upgrade"):
        store.latest()


def test_damaged_best_is_said_and_nothing_is_pruned(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path, keep=1)
    save_steps(store, 1, 2, best=1)
    for content in (b"", b"{", inside.seal({"schema": 1, "step": 1}).replace(b'"step":1', b'"step":2')):
        (tmp_path / "best.json").write_bytes(content)
        with pytest.raises(CheckpointError, match=r"best\.json"):
            store.load("best")
    save_steps(store, 3)
    assert store.steps() == [1, 2, 3]
    save_steps(store, 4, best=4)
    assert store.steps() == [4]


def test_damaged_best_checkpoint_is_not_replaced_by_another(store: CheckpointStore) -> None:
    save_steps(store, 1, 2, best=2)
    (store.folder / "step-00000002" / inside.TENSORS).write_bytes(b"x")
    with pytest.raises(CheckpointError, match="is damaged"):
        store.load("best")
    with pytest.raises(CheckpointError, match="is damaged"):
        store.load(2)


def test_folders_of_other_names_are_ignored(store: CheckpointStore) -> None:
    save_steps(store, 1)
    for name in ("step-2", "step-00000003.bak", "notes", "step-٠٠٠٠٠٠٠٩", ".partial-x"):
        (store.folder / name).mkdir()
    assert store.steps() == [1]
    found = store.latest()
    assert found is not None
    assert found.warnings == ()


def test_reader_while_saving(tmp_path: Path) -> None:
    """Whatever moment a reader picks, it gets a whole checkpoint, and never an older one than before."""
    store = CheckpointStore(tmp_path, keep=1)
    store.save(0, {"w": torch.zeros(2000)}, {"at": 0})
    failures: list[BaseException] = []

    def write() -> None:
        try:
            for step in range(1, 40):
                for _ in range(2):
                    store.save(step, {"w": torch.full((2000,), float(step))}, {"at": step}, best=step % 2 == 0)
        except BaseException as error:
            failures.append(error)

    writer = threading.Thread(target=write)
    writer.start()
    before, reads = 0, 0
    while writer.is_alive():
        found = CheckpointStore(tmp_path).load("best" if reads % 5 == 4 and before > 2 else "latest")
        assert found.warnings == ()
        assert found.state == {"at": found.step}
        assert bool((found.tensors["w"] == found.step).all())
        before, reads = max(before, found.step), reads + 1
    writer.join()
    assert failures == []
    assert reads > 3
    assert store.steps() == [38, 39]
