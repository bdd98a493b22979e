"""Every option of every command: values that cannot be meant, and the modes of the command in which it can be used.

A mode is a command line that works. A row says what is added to it, and in which modes that is accepted; in the others
it is refused, since it would be without effect. A new option needs a row.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """``value``: what the option is given, None for a flag; ``modes``: where it is accepted, None: everywhere;
    ``wrong``: values that it cannot take."""

    value: str | None = None
    modes: frozenset[str] | None = None
    wrong: tuple[str, ...] = ()


def row(value: str | None = None, modes: str | None = None, wrong: tuple[str, ...] = ()) -> Row:
    return Row(value, None if modes is None else frozenset(modes.split()), wrong)


NUMBER = ("0", "-1", "1.5", "many", "")
RATE = ("0", "-1", "often", "1e9", "")
SHARE = ("-0.1", "1.1", "nan", "half", "")
TIME = ("-1", "soon", "1:75:00", "")
DEVICE = ("toaster", "cuda:", "cuda:x", "cpuu")

SHOWN = {
    "--style": row("spotlight", "", ("fil", "Fill", "")),
    "--alpha": row("0.5", "", SHARE),
    "--labels": row(None, ""),
    "--no-labels": row(None, ""),
    "--strip": row("below", "", ("under", "Over", "")),
    "--palette": row("white", "", ("rainbow", "e6194", "")),
}
COMMON = {"--debug": row(), "--quiet": row()}


def _vpo(setting: str) -> list[str]:
    given = ["--annotations", "GT", "--images", "FRAMES", "--sounds", "VIDEOS", "--output", "OUT"]
    return ["vpo", "build", *given, "--setting", setting]


MODES: dict[str, dict[str, list[str]]] = {
    "segment": {
        "file": ["segment", "CLIP"],
        "folder": ["segment", "VIDEOS"],
        "pictures": ["segment", "FRAMES", "--frame-rate", "5"],
        "stdin": ["segment", "-"],
        "tracks": ["segment", "CLIP", "--only", "tracks"],
        "masks": ["segment", "CLIP", "--only", "masks"],
        "silence": ["segment", "CLIP", "--only", "tracks", "--mute"],
        "cluster": ["segment", "VIDEOS", "--cluster", "local"],
    },
    "collect": {"folder": ["collect", "OUT"]},
    "stream": {
        "file": ["stream", "CLIP"],
        "lines": ["stream", "CLIP", "--json"],
        "paced": ["stream", "CLIP", "--realtime"],
        "recorded": ["stream", "CLIP", "--record", "OUT"],
        "live": ["stream", "tcp://127.0.0.1:9"],
    },
    "render": {
        "video": ["render", "TRACKS", "CLIP", "--overwrite"],
        "pictures": ["render", "TRACKS", "FRAMES", "--overwrite"],
    },
    "export": {
        "captions": ["export", "TRACKS", "--to", "srt"],
        "masks": ["export", "TRACKS", "--to", "davis"],
        "coco": ["export", "TRACKS", "--to", "coco", "--video", "CLIP"],
    },
    "evaluate": {
        "list": ["evaluate", "--gt", "GT", "--pred", "PRED"],
        "folder": ["evaluate", "--gt", "GT", "--pred", "VIDEOS"],
        "data": ["evaluate", "--data", "VIDEOS"],
        "cluster": ["evaluate", "--data", "VIDEOS", "--cluster", "local"],
        "semantic": ["evaluate", "--data", "MAPS", "--model", "avism-tiny"],
        "reference": ["evaluate", "--reference"],
        "maps": ["evaluate", "--task", "s4", "--gt", "VIDEOS", "--pred", "VIDEOS"],
    },
    "synth": {
        "making": ["synth", "OUT", "--videos", "2"],
        "preview": ["synth", "OUT", "--preview"],
        "stats": ["synth", "OUT", "--stats"],
        "maps": ["synth", "OUT", "--videos", "2", "--layout", "ms3"],
        "stills": ["synth", "OUT", "--videos", "2", "--layout", "vpo-ms"],
    },
    "train": {
        "steps": ["train", "--data", "VIDEOS", "--out", "OUT", "--steps", "5"],
        "minutes": ["train", "--data", "VIDEOS", "--out", "OUT", "--minutes", "5"],
        "vggish": ["train", "--data", "VIDEOS", "--out", "OUT", "--steps", "5", "--preset", "avism-r50-coco"],
    },
    "info": {"file": ["info", "CLIP"]},
    "doctor": {"here": ["doctor"]},
    "vpo build": {
        "one": _vpo("ss"),
        "several": _vpo("ms"),
        "rendered": [*_vpo("msmi"), "--render", "stereo"],
    },
    "weights list": {"all": ["weights", "list"]},
    "weights pull": {
        "bundled": ["weights", "pull", "avism-tiny"],
        "hub": ["weights", "pull", "hf://OWNER/REPO/FILE.safetensors"],
        "everything": ["weights", "pull", "--all"],
    },
    "weights path": {"bundled": ["weights", "path", "avism-tiny"]},
    "weights import": {
        "file": ["weights", "import", "CLIP"],
        "several": ["weights", "import", "CLIP", "GT"],
    },
    "weights export": {"bundled": ["weights", "export", "avism-tiny", "OUT"]},
    "weights default": {"one": ["weights", "default", "avism-tiny"], "none": ["weights", "default"]},
    "weights verify": {"one": ["weights", "verify", "avism-tiny"], "all": ["weights", "verify"]},
}

_WITH_OVERLAY = "file folder pictures stdin cluster"
ROWS: dict[str, dict[str, Row]] = {
    "segment": {
        **{name: row(shown.value, _WITH_OVERLAY, shown.wrong) for name, shown in SHOWN.items()},
        "--labels": row(),  # what holds anyway
        "--strip": row("over", None, SHOWN["--strip"].wrong),  # what holds anyway
        "--palette": row("white", f"{_WITH_OVERLAY} masks", SHOWN["--palette"].wrong),
        "--output": row("OUT"),
        "--model": row("avism-tiny", None, ("avism-tny", "nothing")),
        "--device": row("cpu", None, (*DEVICE, "cpu,", ",")),
        "--fps": row("2", None, RATE),
        "--mask-fps": row("video", None, (*RATE, "vide")),
        "--fill": row("flow", None, ("flo", "Flow", "")),
        "--refine": row("aurora", None, ("aurra", "Aurora", "")),
        "--instances": row("sort", None, ("srt", "Sort", "")),
        "--start": row("0.5", None, TIME),
        "--end": row("0:01", None, (*TIME, "0")),
        "--threshold": row("0.1", None, SHARE),
        "--max-tracks": row("2", None, NUMBER),
        "--audio-track": row("0", "file folder stdin tracks masks cluster"),
        "--frame-rate": row("10", "pictures", RATE),
        "--audio": row("SOUND", "file folder pictures stdin tracks masks cluster", ("",)),
        "--allow-silent": row(),
        "--mute": row(),
        "--clean": row(),
        "--gate": row(),
        "--no-gate": row(),
        "--window": row("10", None, NUMBER),
        "--max-gap": row("5", None, ("-1", "nan", "long", "")),
        "--strict": row(),
        "--max-pixels": row("1000000", None, NUMBER),
        "--precision": row("bf16", None, ("fp64", "FP32", "")),
        "--only": row("tracks,overlay", None, ("poem", "tracks,poem", "track", "", ",")),
        "--recursive": row(None, "folder pictures cluster"),
        "--overwrite": row(),
        "--skip-existing": row(),
        "--jobs": row("2", "file folder pictures stdin tracks masks silence", NUMBER),
        "--shard": row("1/1", "file folder pictures tracks masks silence cluster", ("0/3", "4/3", "1", "", "a/b")),
        "--cluster": row("local", "file folder pictures tracks masks silence cluster", ("", "here", "host", "host:0")),
        "--workers": row("2", "cluster", NUMBER),
        "--cpus-per-worker": row("0.5", "cluster", ("0", "-1", "nan", "many", "")),
        "--gpus-per-worker": row("0.5", "cluster", ("-1", "nan", "inf", "many", "")),
        "--retries": row("0", "cluster", ("-1", "1.5", "many", "")),
        "--timeout": row("60", "cluster", ("0", "-1", "nan", "inf", "soon", "")),
        "--dry-run": row(),
        "--offline": row(),
        "--json": row(),
        **COMMON,
    },
    "collect": {"--json": row(), **COMMON},
    "stream": {
        "--style": row("spotlight", "recorded", SHOWN["--style"].wrong),
        "--alpha": row("0.5", "recorded", SHARE),
        "--labels": row(),  # what holds anyway
        "--no-labels": row(None, "recorded"),
        "--palette": row("white", "recorded", SHOWN["--palette"].wrong),
        "--audio": row("SOUND"),
        "--realtime": row(None, "file lines paced recorded"),
        "--duration": row("2", None, ("0", "-1", "nan", "long", "")),
        "--no-reconnect": row(None, "live"),
        "--list": row(None, ""),
        "--model": row("seavis-tiny"),
        "--device": row("cpu"),
        "--threshold": row("0.1", None, SHARE),
        "--gate": row(),
        "--no-gate": row(),
        "--fps": row("2", None, RATE),
        "--precision": row("bf16", None, ("fp64", "FP32", "")),
        "--confirm": row("2", None, ("-1", "1.5", "many", "")),
        "--max-latency": row("100", "paced live", ("0", "-1", "nan", "late", "")),
        "--json": row(),
        "--masks": row("polygon", "lines", ("boxes", "RLE", "")),
        "--serve": row("0", None, ("web", "70000", "")),
        "--record": row("OUT"),
        "--overwrite": row(None, "recorded"),
        "--window": row(None, ""),  # where there is no display
        "--publish": row("rtsp://localhost/x", None, ("out.mp4", "")),
        "--offline": row(),
        **COMMON,
    },
    "render": {
        **{name: row(shown.value, None, shown.wrong) for name, shown in SHOWN.items()},
        "--output": row("OUT.mp4"),
        "--overwrite": row(),
        "--audio-track": row("0", "video"),
        "--frame-rate": row("5", "pictures", RATE),
        "--audio": row("SOUND", None, ("",)),
        "--max-pixels": row("1000000", None, NUMBER),
        **COMMON,
    },
    "export": {
        "--to": row("mots", "masks captions coco", ("srtt", "SRT", "")),
        "--output": row("OUT"),
        "--video": row("CLIP", "masks coco"),
        "--overwrite": row(),
        **COMMON,
    },
    "evaluate": {
        "--task": row("ms3", "list folder maps semantic", ("s5", "S4", "")),
        "--batch-size": row("4", "maps semantic", NUMBER),
        "--gt": row("GT", "list folder maps"),
        "--pred": row("PRED", "list folder data maps cluster"),
        "--data": row("VIDEOS", "data semantic reference cluster"),  # --reference beside it is then shown too
        "--split": row("val", "data semantic cluster", ("a/b", "..", "")),
        "--model": row("avism-tiny", "data semantic cluster", ("avism-tny",)),
        "--device": row("cpu", "data semantic cluster", DEVICE),
        "--threshold": row("0.1", "data cluster", SHARE),
        "--mute": row(None, "data semantic cluster"),
        "--gate": row(None, "data cluster"),
        "--no-gate": row(None, "data cluster"),
        "--refine": row("aurora", "data cluster", ("aurra", "Aurora", "")),
        "--precision": row("bf16", "data semantic cluster", ("fp64", "")),
        "--null-empty": row(None, "data cluster"),
        "--other-sounds": row(None, "semantic"),
        "--cluster": row("local", "data cluster", ("", "here", "host", "host:0")),
        "--workers": row("2", "cluster", NUMBER),
        "--cpus-per-worker": row("0.5", "cluster", ("0", "-1", "nan", "many", "")),
        "--gpus-per-worker": row("0.5", "cluster", ("-1", "nan", "inf", "many", "")),
        "--retries": row("0", "cluster", ("-1", "1.5", "many", "")),
        "--timeout": row("60", "cluster", ("0", "-1", "nan", "inf", "soon", "")),
        "--offline": row(None, "data semantic cluster"),
        "--overwrite": row(None, "data cluster"),
        "--output": row("OUT.json", "list folder data maps semantic cluster"),
        "--format": row("json", None, ("xml", "JSON", "")),
        "--compare": row("PRED", "list folder data maps semantic cluster"),
        "--reference": row(None, "list folder data reference cluster"),
        "--worst": row("3", "list folder data maps semantic cluster", ("-1", "some", "1.5", "")),
        "--plots": row("OUT", "list folder data maps semantic cluster"),
        "--ignore-unknown": row(None, "list folder maps"),
        "--allow-empty": row(None, "list folder data cluster"),
        "--gt-fps": row("5", "folder", ("0", "-1", "nan", "inf", "often", "")),
        "--jobs": row("1", "list folder data cluster", NUMBER),
        "--max-bytes": row("1000", "list folder data cluster", NUMBER),
        **COMMON,
    },
    "vpo build": {
        "--annotations": row("GT"),
        "--images": row("FRAMES"),
        "--sounds": row("VIDEOS"),
        "--setting": row("ms", None, ("mss", "MS", "")),
        "--output": row("OUT"),
        "--seed": row("3", None, ("-1", "1.5", "x", "")),
        "--samples": row("9", None, NUMBER),
        "--map": row("LABELS"),
        "--shares": row("1,0,0", None, ("1,1", "a,b,c", "-1,1,1", "0,0,0", "")),
        "--smallest": row("0.1", None, SHARE),
        "--most": row("2", "several rendered", NUMBER),
        "--overlap": row("0.1", "several rendered", SHARE),
        "--once": row(None, "one"),
        "--render": row("mono", None, ("quad", "Mono", "")),
        "--seconds": row("2", "rendered", ("0", "-1", "61", "long", "")),
        "--overwrite": row(),
        **COMMON,
    },
    "synth": {
        "--split": row("test", "making preview stats maps", ("tran", "TRAIN", "")),
        "--videos": row("3", None, (*NUMBER, "1000001")),
        "--seed": row("5", "making preview maps stills", ("-1", "1.5", "x", "")),
        "--layout": row("avss", "making maps stills", ("coco", "MS3", "")),
        "--frames": row("5", "making preview maps", (*NUMBER, "3601")),
        "--size": row("64x48", "making preview maps stills", ("64", "0x0", "64x", "31x48", "64x5000", "big", "")),
        "--mp4": row(None, "making"),
        "--unaligned": row(None, "making preview maps"),
        "--preview": row(None, "making preview stats"),
        "--stats": row(None, "making preview stats"),
        "--json": row(None, "stats"),
        "--jobs": row("2", "making maps stills", NUMBER),
        "--overwrite": row(None, "making maps stills"),
        **COMMON,
    },
    "train": {
        "--data": row("VIDEOS"),
        "--out": row("OUT"),
        "--preset": row("avism-r50-coco", None, ("avism-tny", "none", "")),
        "--init": row("avism-tiny"),
        "--vggish": row("CLIP", "vggish"),
        "--resume": row(),
        "--steps": row("7", "steps vggish", NUMBER),
        "--minutes": row("7", "minutes", ("0", "-1", "nan", "inf", "long", "")),
        "--split": row("other"),
        "--val-split": row("there", None, ("a/b", "..")),
        "--without": row("audio", None, ("audo", "nothing", "")),
        "--batch": row("2", None, NUMBER),
        "--rate": row("0.001", None, ("0", "-1", "nan", "inf", "fast", "")),
        "--seed": row("5", None, ("-1", "1.5", "x", "", "9223372036854775808")),
        "--device": row("cpu", None, DEVICE),
        "--precision": row("bf16", None, ("fp16", "FP32", "")),
        "--pack": row(),
        "--no-pack": row(),
        "--workers": row("2", None, ("-1", "1.5", "x", "")),
        "--log-every": row("5", None, NUMBER),
        "--checkpoint-every": row("5", None, NUMBER),
        "--validate-every": row("0", None, ("-1", "1.5", "x", "")),
        **COMMON,
    },
    "info": {"--json": row(), "--max-pixels": row("1000000", None, NUMBER), **COMMON},
    "doctor": {"--json": row(), "--debug": row()},
    "weights list": {"--json": row(), **COMMON},
    "weights pull": {
        "--force": row(None, "hub everything"),
        "--all": row(None, "everything"),
        "--offline": row(),
        **COMMON,
    },
    "weights path": COMMON,
    "weights import": {
        "--vggish": row("CLIP"),
        "--name": row("avism-tiny", "file", ("avism-tny", "nothing")),
        "--overwrite": row(),
        **COMMON,
    },
    "weights export": {"--offline": row(), **COMMON},
    "weights default": {"--reset": row(None, "none"), **COMMON},
    "weights verify": {"--record": row(None, "one"), **COMMON},
}
