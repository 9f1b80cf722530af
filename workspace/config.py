"""Settings: frozen, typed, every key named in full; a misspelled key is an error.

`configs/default.yaml` explains each.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from workspace.errors import UserError
from workspace.mask import MAX_CLASSES
from workspace.redaction import keep_secret

PositiveInt = Annotated[int, Field(gt=0)]
_BUCKET = r"^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9_-][A-Za-z0-9._-]*)*/?$"
_REMOTE = r"^[a-z][a-z0-9+-]{1,20}://[^\s:?#]+$"  # no password can be in it: credentials come from the environment
_GRANULARITY = r"^(frame|superpixel|mixed|patch:[1-9]\d{0,4}(x[1-9]\d{0,4})?)$"


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ClassConfig(Section):
    name: Annotated[str, Field(min_length=1, max_length=200)]
    color: Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$")] | None = None  # null: chosen, distinct from the others


class ProjectConfig(Section):
    name: Annotated[str, Field(min_length=3, max_length=50)] = "fewclicks"
    classes: tuple[ClassConfig, ...]
    background: str | None = None  # this class is not drawn: what annotators leave unpainted gets it

    @field_validator("classes", mode="before")
    @classmethod
    def _names_are_enough(cls, value: Any) -> Any:
        if isinstance(value, list | tuple):
            return [{"name": item} if isinstance(item, str) else item for item in value]
        return value

    @model_validator(mode="after")
    def _names_are_distinct(self) -> Self:
        names = [c.name for c in self.classes]
        if not 1 <= len(names) <= MAX_CLASSES - 1:
            raise ValueError(f"{len(names)} classes: give 1 to {MAX_CLASSES - 1}")
        doubled = sorted({n for n in names if names.count(n) > 1})
        if doubled:
            raise ValueError(f"class {doubled[0]!r} is named twice")
        if self.background is not None and self.background not in names:
            raise ValueError(f"background {self.background!r} is not one of the classes")
        return self

    @property
    def class_names(self) -> tuple[str, ...]:
        return tuple(c.name for c in self.classes)


class FramesConfig(Section):
    format: Literal["jpg", "png"] = "jpg"
    quality: Annotated[int, Field(ge=50, le=100)] = 95


class SelectionConfig(Section):
    granularity: Annotated[str, Field(pattern=r"^(frame|superpixel|mixed|patch:[1-9]\d{0,4}(x[1-9]\d{0,4})?)$")] = (
        "frame"
    )
    strategy: str = "uncertainty_centroids"
    budget: PositiveInt = 5  # samples per round; for `mixed` the clicks of so many whole frames
    superpixel_size: Annotated[int, Field(ge=4)] = 24  # side in pixels
    superpixel_method: Literal["slic", "seeds"] = "slic"
    seed: Annotated[int, Field(ge=0)] = 0


class LabelingConfig(Section):
    overlap: Annotated[int, Field(ge=1, le=5)] = 1  # different people asked about each sample
    extra_opinions: Annotated[int, Field(ge=0, le=5)] = 1  # more of them, one by one, where people disagree
    max_disagreement: Annotated[float, Field(ge=0, le=1)] = 0.1  # share of the pixels labeled
    consolidation: Literal["reliability", "majority"] = "reliability"


class ReviewConfig(Section):
    before_training: bool = False  # suspicious labels are looked at again before anything learns from them
    samples: PositiveInt = 2  # frames per round, at most
    # in learning, of regions that the labels before and after contradict; 1: as much as all others
    contradicted_weight: Annotated[float, Field(gt=0, le=1)] = 1.0


class BudgetConfig(Section):
    """Of all videos of a project together."""

    tasks: PositiveInt | None = None  # samples asked
    tasks_per_day: PositiveInt | None = None
    clicks: PositiveInt | None = None  # modelled
    clicks_per_day: PositiveInt | None = None


class StoppingConfig(Section):
    rounds: PositiveInt = 10
    clicks: PositiveInt | None = None
    quality: Annotated[float, Field(gt=0, le=1)] | None = 0.95  # estimated mIoU


class SegmenterConfig(Section):
    name: str = "mobilenet_v2"
    weights: str | None = "DEFAULT"  # a torchvision weights name, a path to a local state dict, or null for none
    input_side: Annotated[int, Field(ge=64)] = 640  # longer side in pixels; enlarged at most by 2


class PropagationConfig(Section):
    flow: Literal["dis", "raft_small", "raft_large"] = "dis"
    flow_weights: str | None = "DEFAULT"  # of RAFT: a torchvision weights name or a path to a local state dict
    flow_max_side: Annotated[int, Field(ge=64)] = 640
    flow_loss_weight: Annotated[float, Field(ge=0)] = 1.0
    decoder_steps: PositiveInt = 300
    learning_rate: Annotated[float, Field(gt=0)] = 5e-3  # peak, of the decoder on features as they come
    tuning_steps: Annotated[int, Field(ge=0)] = 300
    tuning_rate: Annotated[float, Field(gt=0)] = 4e-4  # peak, of the segmenter's own layers
    outline_radius: Annotated[int, Field(ge=0, le=8)] = 2  # pixels
    probability_stride: Literal[1, 2, 4, 8] = 4
    device: str = "auto"
    threads: PositiveInt | None = None  # on the CPU; null: as many as this process may use
    seed: Annotated[int, Field(ge=0)] = 0


Penalty = Annotated[float, Field(ge=0, le=1)]


class RubricConfig(Section):
    """What a mistake in an image's label costs of its mark of 1 (quality/rubric.py)."""

    omission: Penalty = 1.0
    inaccurate: Penalty = 1.0
    wrong_class: Penalty = 0.2
    missing_part: Penalty = 0.2
    tracking_id: Penalty = 0.2
    attribute: Penalty = 0.05
    extra: Penalty = 0.0
    critical: tuple[
        Literal["omission", "inaccurate", "wrong_class", "missing_part", "tracking_id", "attribute", "extra"], ...
    ] = ("omission", "inaccurate")
    inaccurate_px: Annotated[float, Field(gt=0)] = 2.0
    inaccurate_instances: PositiveInt = 2
    ignore_below_px: Annotated[int, Field(ge=0)] = 10
    crowd_above: PositiveInt = 75
    pass_at: Penalty = 0.95
    redo_below: Penalty = 0.8

    @property
    def penalties(self) -> dict[str, float]:
        kinds = ("omission", "inaccurate", "wrong_class", "missing_part", "tracking_id", "attribute", "extra")
        return {kind: getattr(self, kind) for kind in kinds}

    @model_validator(mode="after")
    def _bars_are_in_order(self) -> Self:
        if self.redo_below > self.pass_at:
            raise ValueError(f"redo_below {self.redo_below} is above pass_at {self.pass_at}")
        return self


class LabelStudioConfig(Section):
    url: str | None = None  # null: the server that `fewclicks serve` started
    api_key_file: str | None = None  # mode 600; the environment variable LABEL_STUDIO_API_KEY comes first
    files_root: str | None = None  # LOCAL_FILES_DOCUMENT_ROOT of that server; null: the workspace folder
    storage: Annotated[str, Field(pattern=_BUCKET)] | None = None  # s3://bucket/prefix for the pictures; null: files
    tiles: Annotated[int, Field(ge=1, le=60)] = 20  # superpixels per task
    tile_patches: bool = False  # ask for one class per patch in tiles too, and to draw only those of several
    count_clicks: bool = False  # `fewclicks serve` counts clicks and active seconds, through a proxy of its own
    webhook: str | None = None  # http address at which Label Studio reaches `fewclicks run --watch`; null: none


class AssistConfig(Section):
    url: Annotated[str, Field(pattern=r"^http://[A-Za-z0-9.-]+:[0-9]{1,5}$")] | None = None  # null: no help
    backend: str = "classic"
    model: str | None = None  # a folder made by `fewclicks assist train`, for clicks and boxes
    weights: str | None = None  # of the backend sam: a folder or a name on the Hugging Face hub; null: SAM 2.1 tiny


class DashboardConfig(Section):
    url: Annotated[str, Field(pattern=r"^https?://[A-Za-z0-9.:\[\]-]+(/[A-Za-z0-9._~/-]*)?$")] | None = (
        None  # as people reach it
    )


class FactsConfig(Section):
    database: str | None = None  # postgresql://user@host/name, without a password; null: SQLite in the workspace
    schema_name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,50}$")] | None = None  # null: from project.name


class ExecutorConfig(Section):
    """Where the heavy work inside one video is done; the masks do not depend on it."""

    name: Literal["local", "ray"] = "local"
    actors: Annotated[int, Field(ge=1, le=64)] = 2
    gpus_per_actor: Annotated[float, Field(ge=0, le=8)] = 0.0


class WorkspaceConfig(Section):
    remote: Annotated[str, Field(pattern=_REMOTE)] | None = None  # null: files lie in the project's folder only

    @field_validator("remote", mode="before")
    @classmethod
    def _a_password_is_not_shown(cls, value: Any) -> Any:
        for secret in re.findall(r"://[^/]*:([^/@]+)@", value) if isinstance(value, str) else ():
            keep_secret(secret)  # the error that refuses it shows the value
        return value

    @field_validator("remote")
    @classmethod
    def _buckets_have_legal_names(cls, value: str | None) -> str | None:
        if value is not None and value.startswith("s3://") and not re.fullmatch(_BUCKET, value):
            raise ValueError("an S3 address is s3://bucket or s3://bucket/prefix")
        return value


class LeaseConfig(Section):
    seconds: Annotated[float, Field(ge=1)] = 120.0


class Config(Section):
    project: ProjectConfig
    frames: FramesConfig = FramesConfig()
    selection: SelectionConfig = SelectionConfig()
    labeling: LabelingConfig = LabelingConfig()
    review: ReviewConfig = ReviewConfig()
    budget: BudgetConfig = BudgetConfig()
    stopping: StoppingConfig = StoppingConfig()
    segmenter: SegmenterConfig = SegmenterConfig()
    propagation: PropagationConfig = PropagationConfig()
    rubric: RubricConfig = RubricConfig()
    label_studio: LabelStudioConfig = LabelStudioConfig()
    assist: AssistConfig = AssistConfig()
    dashboard: DashboardConfig = DashboardConfig()
    facts: FactsConfig = FactsConfig()
    executor: ExecutorConfig = ExecutorConfig()
    workspace: WorkspaceConfig = WorkspaceConfig()
    lease: LeaseConfig = LeaseConfig()

    @model_validator(mode="after")
    def _files_and_facts_are_shared_together(self) -> Self:
        if self.workspace.remote is not None and self.facts.database is None:
            raise ValueError("workspace.remote needs facts.database: who shares files shares facts")
        return self


def parse_config(values: Any, source: str) -> Config:
    """Settings from a mapping; one UserError that lists everything wrong with it."""
    if not isinstance(values, dict):
        raise UserError(f"{source} holds no settings.", "It must be a mapping that begins with `project:`.")
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        wrong = []
        for e in error.errors():
            where = ".".join(str(part) for part in e["loc"])
            wrong.append(f"{where}: {e['msg']}" + ("" if e["type"] == "missing" else f" (it is {_short(e['input'])})"))
        raise UserError(
            f"{source} has {len(wrong)} wrong value(s): {' / '.join(wrong)}.",
            "Every key is explained in configs/default.yaml.",
        ) from None


def load_config(path: Path) -> Config:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"There is no project at {path.parent}.", "Make one with `fewclicks init DIR`.") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"{path} cannot be read: {' '.join(str(error).split())}.") from None
    return parse_config(values, str(path))


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
