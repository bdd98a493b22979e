"""A weights file <-> tensors by name. Nothing is ever unpickled that is not a tensor or a plain container."""

from __future__ import annotations

import os
import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from avis_cli.errors import OutputError, WeightsError
from avis_cli.files.atomic import cannot_write, output_file
from avis_cli.hub import pickle_file, store
from avis_cli.hub.safetensors_header import FORMAT_VERSION, pack_metadata, read_header

SAFETENSORS = ".safetensors"
PICKLES = (".pth", ".pt", ".pkl")
_REMEDY = "choose a folder that can be written"
DTYPES = (
    torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64,
    torch.float16, torch.bfloat16, torch.float32, torch.float64,
)  # fmt: skip
"""What networks are filled from."""
STATE_KEYS = ("model", "state_dict")  # where training programs keep the tensors inside a checkpoint


def read(path: str | os.PathLike[str]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors by name on the CPU, and the file's metadata (empty for a pickle).

    A ``.safetensors`` file is checked before it is loaded; ``.pth``, ``.pt`` and ``.pkl`` are read with
    ``weights_only=True``. Raises WeightsError for a file that is missing, damaged, of another kind, in need of more
    than tensors, or that holds a parameter that is not finite.
    """
    path = Path(path)
    store.require_regular(path)
    suffix = path.suffix.lower()
    if suffix == SAFETENSORS:
        tensors, metadata = _read_safetensors(path)
    elif suffix in PICKLES:
        tensors, metadata = _read_pickle(path), {}
    else:
        known = ", ".join((SAFETENSORS, *PICKLES))
        raise WeightsError(f"{suffix or 'no'} file extension, expected one of {known}", file=path)
    for name, tensor in tensors.items():
        # computed with as float32, so that a float64 has to be finite as one
        narrow = tensor.float() if tensor.dtype == torch.float64 else tensor
        if tensor.is_floating_point() and not narrow.isfinite().all():
            raise WeightsError(
                f"non-finite parameters: {name[:80]}", hint="use other weights, these are broken", file=path
            )
    return tensors, metadata


def write(path: str | os.PathLike[str], tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Writes a safetensors file whole or not at all; the same tensors and metadata give the same bytes.

    ``metadata``: ``preset`` (the network they fill), ``source`` (where they come from) and whatever else the writer
    wants back from `read`; the format's version is added. Raises OutputError if the file cannot be written.
    """
    path = Path(path)
    with output_file(path, overwrite=True, durable=True, remedy=_REMEDY) as temporary:
        try:
            safetensors.torch.save_file(_separate(tensors), temporary, metadata=pack_metadata(dict(metadata)))
        except OSError as error:
            raise cannot_write(error, path, _REMEDY) from error
        except safetensors.SafetensorError as error:
            hint = "free some space" if "No space left" in str(error) else _REMEDY
            raise OutputError(f"cannot be written: {_first_line(error)}", hint=hint, file=path) from error


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    header = read_header(path)
    version = header.metadata.get("format_version", "1")
    if version != str(FORMAT_VERSION):
        raise WeightsError(
            f"weights file of format version {version[:20]!r}, this avis reads {FORMAT_VERSION}",
            hint="update avis-cli",
            file=path,
        )
    try:
        return safetensors.torch.load_file(path, device="cpu"), header.metadata
    except (safetensors.SafetensorError, OSError, ValueError, RuntimeError) as error:
        if "annot allocate memory" in str(error):  # of a file whose size is what its header says
            raise MemoryError from error
        raise WeightsError(f"cannot be loaded: {_first_line(error)}", hint="get the file again", file=path) from error


def _read_pickle(path: Path) -> dict[str, Tensor]:
    pickle_file.check(path)
    size = 0
    try:
        size = path.stat().st_size
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise WeightsError("no such weights file", file=path) from error
    except pickle.UnpicklingError as error:
        raise _refusal(error, path) from error
    except MemoryError:
        raise
    except Exception as error:  # torch raises nearly every kind for a damaged file
        asked = re.search(r"DefaultCPUAllocator: .*tried to allocate (\d{1,30}) bytes", str(error))
        if asked is not None and int(asked[1]) <= size:
            raise MemoryError from error
        raise WeightsError(
            f"not a whole PyTorch weights file ({_first_line(error)})", hint="get the file again", file=path
        ) from error
    tensors = _tensors_in(content, path)
    storages = {storage.data_ptr(): storage.nbytes() for storage in map(Tensor.untyped_storage, tensors.values())}
    if sum(storages.values()) > size * pickle_file.MOST_UNPACKED + pickle_file.SMALL:
        raise WeightsError("its tensors are larger than the file", hint="get the file again", file=path)
    return tensors


def _refusal(error: Exception, path: Path) -> WeightsError:
    wanted = re.search(r"\b(?:GLOBAL|class|function) ([\w.]+\.[\w.]+)", str(error))
    if wanted is None:
        return WeightsError("not a PyTorch weights file, or a damaged one", hint="get the file again", file=path)
    return WeightsError(
        f"holds more than tensors ({wanted[1]}): refused, since reading that could run code",
        hint="save only its tensors, best as .safetensors, on a machine where you trust it",
        file=path,
    )


def _tensors_in(content: Any, path: Path) -> dict[str, Tensor]:
    for key in STATE_KEYS:
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
            break
    if not isinstance(content, dict) or not content:
        raise WeightsError(
            f"holds {type(content).__name__} where tensors by name were expected", hint="give a checkpoint", file=path
        )
    for name, tensor in content.items():
        if not isinstance(name, str) or not isinstance(tensor, Tensor):
            raise WeightsError(
                f"holds {type(tensor).__name__} under {str(name)[:80]!r} where a tensor was expected",
                hint="give a checkpoint of tensors by name",
                file=path,
            )
        if tensor.dtype not in DTYPES:
            raise WeightsError(
                f"the tensor {name[:80]!r} is of dtype {str(tensor.dtype).removeprefix('torch.')}, expected one of "
                + ", ".join(str(dtype).removeprefix("torch.") for dtype in DTYPES),
                hint="convert it to float16 or float32 where it was made, or take other weights",
                file=path,
            )
        # a view may claim far more elements than the file holds: never to be copied or computed with
        if (
            tensor.layout != torch.strided
            or tensor.is_quantized
            or tensor.device.type != "cpu"
            or tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes()
        ):
            raise WeightsError(f"the tensor {name[:80]!r} is not a plain dense one", file=path)
    return dict(content)


def _separate(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Contiguous tensors on the CPU that share no memory, as safetensors wants them."""
    separate, seen = {}, set()
    for name, tensor in tensors.items():
        plain = tensor.detach().to("cpu").contiguous()
        storage = plain.untyped_storage().data_ptr()
        separate[name] = plain.clone() if storage in seen else plain
        seen.add(storage)
    return separate


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__
