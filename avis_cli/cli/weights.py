"""``avis weights``: which models there are, where their weights are, and how they get here or to others."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from avis_cli.cli import completion, console
from avis_cli.cli.command import add_command, examples
from avis_cli.cli.console import Debug, Quiet
from avis_cli.cli.progress_bars import progress_bar
from avis_cli.errors import AvisError, UsageError

SOME_FAILED = 3  # the exit code where some of several did not work

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


def list_models(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of text.")] = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Say of each model where its weights are, what it knows, its scores, its licence, and where it would come from."""
    from avis_cli.hub.lookup import default_model
    from avis_cli.hub.manifest import load_manifest

    manifest = load_manifest()
    default, chosen_by = default_model(manifest)
    models = [_describe(entry.name) for entry in manifest.models.values()]
    if as_json:
        console.result(json.dumps({"default": default, "default_chosen_by": chosen_by, "models": models}))
        return
    for model in models:
        console.result(_in_text(model, default))
    if default not in manifest.models:
        console.result(f"{default}  (default, by {chosen_by})")


@examples(
    ("fetch, check and convert ACVIS", "avis weights pull acvis-r50-coco"),
    ("everything that can be fetched", "avis weights pull --all"),
    ("a file on the Hub", "avis weights pull hf://OWNER/REPO/FILE.safetensors"),
)
def pull(
    model: Name = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Every model of `avis weights list` that comes by itself.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Download again even what is here.")] = False,
    offline: Offline = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Download a model's weights, check them, convert them where they are as their authors published them, and print
    where they are."""
    from avis_cli.hub.lookup import is_local

    if everything and model is not None:
        raise UsageError(f"--all and {model}", hint="give one of the two")
    if force and offline:
        raise UsageError("--force with --offline", hint="what is downloaded again comes over the network")
    if everything:
        _pull_all(force, offline)
        return
    if force and is_local(model):
        raise UsageError(f"--force with {model or 'the default model'}", hint="it is on no Hub to download it from")
    _pull(model, force, offline)


def _pull(model: str | None, force: bool, offline: bool) -> None:
    from avis_cli.hub.lookup import resolve

    with progress_bar() as progress:
        resolved = resolve(model, offline=offline, progress=progress, force=force, note=console.note)
    console.note(f"{resolved.name}: sha256 {resolved.sha256}")
    console.result(str(resolved.path))


def _pull_all(force: bool, offline: bool) -> None:
    from avis_cli.hub.lookup import hub_file, is_local, where
    from avis_cli.hub.manifest import load_manifest

    manifest, works = load_manifest(), []
    for entry in manifest.models.values():
        if where(manifest, entry) == "not here" and not entry.sources and hub_file(entry) is None:
            console.note(f"{entry.name} does not come by itself: `avis weights pull {entry.name}` says what to do")
        else:
            works.append(partial(_pull, entry.name, force and not is_local(entry.name), offline))
    _each(works)


def _each(works: Sequence[Callable[[], None]]) -> None:
    """All of it, whatever becomes of the others: what fails is reported, and ends with the exit code for that."""
    failed = 0
    for work in works:
        try:
            work()
        except AvisError as failure:
            if len(works) == 1:
                raise
            console.report(failure)
            failed += 1
    if failed:
        raise typer.Exit(SOME_FAILED if failed < len(works) else AvisError.exit_code)


def default(
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="[MODEL]",
            help="A model's name, a weights file, or hf://OWNER/REPO[@REVISION]/FILE; without one it is printed.",
            autocompletion=completion.models,
        ),
    ] = None,
    reset: Annotated[bool, typer.Option("--reset", help="Back to the bundled model.")] = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Choose the model that is used when none is named; kept in AVIS_HOME. AVIS_MODEL goes before it."""
    from avis_cli.hub import store
    from avis_cli.hub.lookup import default_model, where, whole_name
    from avis_cli.hub.manifest import load_manifest

    manifest = load_manifest()
    if reset and model is not None:
        raise UsageError(f"--reset and {model}", hint="give one of the two")
    if reset or model is not None:
        store.choose_model(None if model is None else whole_name(model))
    name, chosen_by = default_model(manifest)
    if (reset or model is not None) and chosen_by == "AVIS_MODEL":
        console.warn(f"AVIS_MODEL goes before it: {name} is used as long as that is set")
    if name in manifest.models and where(manifest, manifest.models[name]) in ("not here", "on the Hub"):
        console.note(f"its weights are not here yet: `avis weights pull {name}`")
    console.note(f"chosen by {chosen_by}")
    console.result(name)


def print_path(model: Name = None, quiet: Quiet = False, debug: Debug = False) -> None:
    """Print where a model's weights are on this machine; download nothing."""
    from avis_cli.hub.lookup import resolve

    console.result(str(resolve(model, offline=True).path))


@examples(
    ("", "avis weights import AVISM_R50_COCO.pth"),
    ("from an address", "avis weights import https://drive.google.com/file/d/ID/view"),
    ("several", "avis weights import AVISM_R50_IN.pth AVISM_R50_COCO.pth"),
)
def import_weights(
    checkpoints: Annotated[
        list[str],
        typer.Argument(
            metavar="CHECKPOINT...",
            help="Released checkpoints, such as AVISM_R50_COCO.pth: files, or addresses (https, Google Drive, hf://).",
        ),
    ],
    vggish: Annotated[
        Path | None,
        typer.Option("--vggish", metavar="FILE", help="The public VGGish weights; without it they are fetched."),
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
    """Turn released checkpoints into one safetensors file each, kept under its model's name."""
    if name is not None and len(checkpoints) > 1:
        raise UsageError(f"--name {name} with {len(checkpoints)} files", hint="import them one by one")
    _each([partial(_import, checkpoint, vggish, name, overwrite) for checkpoint in checkpoints])


def _import(checkpoint: str, vggish: Path | None, name: str | None, overwrite: bool) -> None:
    from avis_cli.hub import acquire
    from avis_cli.hub.convert import import_released

    with progress_bar() as progress, ExitStack() as stack:
        if "://" in checkpoint:
            fetched = acquire.from_address(checkpoint, note=console.note, progress=progress)
            path = stack.enter_context(fetched)
        else:
            path = Path(checkpoint)
        fetch = partial(acquire.vggish, note=console.note, progress=progress)
        done = import_released(
            path, vggish=vggish, name=name, overwrite=overwrite, fetch_vggish=fetch, progress=progress
        )
    console.note(f"imported as {done.name}: use it with --model {done.name}")
    if not done.has_audio:
        why = "" if done.without is None else f" ({done.without})"
        console.warn(
            f"without VGGish this model cannot hear a clip{why}: import again with --overwrite --vggish"
            " vggish-10086976.pth (https://github.com/harritaylor/torchvggish/releases)"
        )
    console.result(str(done.path))


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
    from avis_cli.hub.publish import export as write

    with progress_bar() as progress:
        write(model, folder, offline=offline, progress=progress)
    console.note(f"to publish it: hf upload OWNER/REPO {folder}")
    console.result(str(folder))


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
    from avis_cli.hub.lookup import comes_from, where
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
        "size": entry.size or entry.about,
        "scores": dict(entry.scores),
        "scored_on": entry.scored_on,
        "from": comes_from(entry),
        "download": entry.download,
    }


def _in_text(model: Mapping[str, Any], default: str) -> str:
    """One model in six lines."""
    from avis_cli.hub import store

    mark = ", default" if model["name"] == default else ""
    size = "size not known" if model["size"] is None else f"about {store.in_words(model['size'])}"
    scores = ", ".join(f"{name} {value}" for name, value in model["scores"].items())
    lines = (
        ("knows", f"{len(model['categories'])} categories: {', '.join(model['categories'])}"),
        ("trained on", model["trained_on"]),
        ("scores", f"{scores} ({model['scored_on']})" if scores else "none published"),
        ("licence", model["licence"]),
        ("from", model["from"]),
    )
    texts = (f"    {what:<11}{text}" for what, text in lines)
    return "\n".join([f"{model['name']}  ({model['where']}, {size}{mark})", *texts])


add_command(app, list_models, "list")
add_command(app, pull)
add_command(app, print_path, "path")
add_command(app, import_weights, "import")
add_command(app, export)
add_command(app, verify)
add_command(app, default)
