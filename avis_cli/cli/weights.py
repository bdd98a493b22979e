"""``avis weights``: which models there are, where their weights are, and how they get here or to others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from avis_cli.cli import completion, console
from avis_cli.cli.command import Command
from avis_cli.cli.console import Debug, Quiet
from avis_cli.cli.progress_bars import progress_bar
from avis_cli.errors import AvisError, UsageError

app = typer.Typer(help="List, fetch, import, export and check the weights of models.", no_args_is_help=True)

Name = Annotated[
    str | None,
    typer.Argument(
        metavar="[MODEL]",
        help="A model's name, a weights file, or hf://OWNER/REPO[@REVISION]/FILE.",
        autocompletion=completion.models,
    ),
]
Offline = Annotated[bool, typer.Option("--offline", help="Ask nobody: use what is on this machine.")]


@app.command("list", cls=Command)
def list_models(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of text.")] = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Say which models there are, and where the weights of each one are."""
    from avis_cli.hub.manifest import load_manifest

    manifest = load_manifest()
    models = [_describe(entry.name) for entry in manifest.models.values()]
    if as_json:
        console.result(json.dumps({"default": manifest.default, "models": models}))
        return
    width = max(len(model["name"]) for model in models)
    for model in models:
        mark = " (default)" if model["name"] == manifest.default else ""
        console.result(f"{model['name']:{width}}  {model['where']:10}  trained on {model['trained_on']}{mark}")
    if any(model["where"] == "not here" for model in models):
        console.note("weights that are not here: `avis weights pull MODEL` says how to get them")


@app.command(cls=Command)
def pull(
    model: Name = None,
    force: Annotated[bool, typer.Option("--force", help="Download again even what is here.")] = False,
    offline: Offline = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Download a model's weights, check them, and print where they are."""
    from avis_cli.hub.lookup import is_local, resolve

    if force and offline:
        raise UsageError("--force with --offline", hint="what is downloaded again comes over the network")
    if force and is_local(model):
        raise UsageError(f"--force with {model or 'the default model'}", hint="it is on no Hub to download it from")
    with progress_bar() as progress:
        resolved = resolve(model, offline=offline, progress=progress, force=force)
    console.note(f"{resolved.name}: sha256 {resolved.sha256}")
    console.result(str(resolved.path))


@app.command("path", cls=Command)
def print_path(model: Name = None, quiet: Quiet = False, debug: Debug = False) -> None:
    """Print where a model's weights are on this machine; download nothing."""
    from avis_cli.hub.lookup import resolve

    console.result(str(resolve(model, offline=True).path))


@app.command("import", cls=Command)
def import_weights(
    checkpoint: Annotated[Path, typer.Argument(help="A released checkpoint, such as AVISM_R50_COCO.pth.")],
    vggish: Annotated[
        Path | None, typer.Option("--vggish", metavar="FILE", help="The public VGGish weights, vggish-10086976.pth.")
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            "--name",
            metavar="MODEL",
            help="Which model it is, where its tensors do not tell.",
            autocompletion=completion.presets,
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier import.")] = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Turn a released checkpoint into one safetensors file, kept under its model's name."""
    from avis_cli.hub.convert import import_released

    with progress_bar() as progress:
        done = import_released(checkpoint, vggish=vggish, name=name, overwrite=overwrite, progress=progress)
    console.note(f"imported as {done.name}: use it with --model {done.name}")
    if not done.has_audio:
        console.warn(
            "without VGGish this model cannot hear a clip: import again with --overwrite --vggish vggish-10086976.pth"
            " (https://github.com/harritaylor/torchvggish/releases)"
        )
    console.result(str(done.path))


@app.command(cls=Command)
def export(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL", help="A model's name or a .safetensors file of avis.", autocompletion=completion.models
        ),
    ],
    folder: Annotated[Path, typer.Argument(help="A folder that does not exist yet.")],
    offline: Offline = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Write a folder ready for `hf upload`: weights, config and model card."""
    from avis_cli.hub.convert import export as write

    with progress_bar() as progress:
        write(model, folder, offline=offline, progress=progress)
    console.note(f"to publish it: hf upload OWNER/REPO {folder}")
    console.result(str(folder))


@app.command(cls=Command)
def verify(
    models: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[MODEL]...",
            help="Names or files; all that are here by default.",
            autocompletion=completion.models,
        ),
    ] = None,
    record: Annotated[
        bool, typer.Option("--record", help="Write a bundled model's checksum into the manifest of a source checkout.")
    ] = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Compare weights with their checksums; print the checksum and name of each one that is right."""
    if record:
        if not models:
            raise UsageError("--record without a model", hint="name the bundled models to record")
        _record(models)
        return
    from avis_cli.hub.lookup import resolve
    from avis_cli.hub.manifest import load_manifest

    here = [name for name in load_manifest().models if _describe(name)["where"] in ("bundled", "imported", "cached")]
    if not models and not here:
        console.note("no weights are on this machine")
    wrong = 0
    for name in models or here:
        try:
            with progress_bar() as progress:
                resolved = resolve(name, offline=True, progress=progress)
            console.result(f"{resolved.sha256}  {name}")
        except AvisError as error:
            console.error(str(error))
            wrong += 1
    if wrong:
        raise typer.Exit(AvisError.exit_code)


def _record(models: list[str]) -> None:
    from avis_cli.hub import store
    from avis_cli.hub.manifest import load_manifest, record

    manifest = load_manifest()
    for name in models:
        entry = manifest.models.get(name)
        if entry is None or not entry.bundled:
            raise UsageError(f"{name!r} is not a bundled model", hint="--record is for bundled models only")
        path = manifest.folder / entry.file
        console.note(f"recorded in {record(name, store.checksum(path), path.stat().st_size)}")


def _describe(name: str) -> dict[str, Any]:
    """One model as plain JSON values."""
    from avis_cli.hub.lookup import where
    from avis_cli.hub.manifest import load_manifest

    manifest = load_manifest()
    entry = manifest.models[name]
    return {
        "name": entry.name,
        "where": where(manifest, entry),
        "preset": entry.preset,
        "trained_on": entry.trained_on,
        "categories": list(entry.categories),
        "source": entry.source,
        "licence": entry.licence,
        "sha256": entry.sha256,
        "download": entry.download,
    }
