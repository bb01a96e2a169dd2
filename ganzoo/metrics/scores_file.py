"""The scores of a run, saved in `scores.json` and in the header of its model card."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, cast

from ganzoo.base.storage import read_json, to_json, write_file
from ganzoo.errors import CorruptFile
from ganzoo.metrics.score import Score
from ganzoo.model.card import open_card
from ganzoo.model.format import CARD, CONFIG
from ganzoo.model.hub import PLACEHOLDER
from ganzoo.run.folder import MODEL

if TYPE_CHECKING:
    from huggingface_hub import EvalResult, ModelCardData

SCORES = "scores.json"


def save_scores(run: Path, scores: Mapping[str, Score]) -> None:
    """Save scores in a run folder and in its model card. A score with an equal stamp is replaced.

    Args:
        run: Run folder, or its `best` folder.
        scores: Scores by metric.
    """
    new = list(scores.values())
    old = [score for score in read_scores(run) if all(score.stamp != s.stamp for s in new)]
    rows = [{"model": weights_hash(run), **score.to_dict()} for score in [*old, *new]]
    write_file(run / SCORES, to_json(rows))
    if (card := _model_folder(run) / CARD).is_file():
        set_scores(card, [*old, *new])


def read_scores(run: Path) -> list[Score]:
    """Read the scores of a run's present weights.

    Args:
        run: Run folder, or its `best` folder.

    Returns:
        The scores, oldest first.

    Raises:
        CorruptFile: The file is damaged.
    """
    path = run / SCORES
    if not path.is_file():
        return []
    try:
        present = weights_hash(run)
        return [Score.of(row) for row in json.loads(path.read_bytes()) if row.get("model", present) == present]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise CorruptFile(
            f"{path} cannot be read as scores ({error}); delete it, then repeat: ganzoo evaluate {run}"
        ) from error


def weights_hash(run: Path) -> str:
    """Return a SHA-256 that identifies the present weights of a run; empty if it has no model yet."""
    config = _model_folder(run) / CONFIG
    return hashlib.sha256(to_json(read_json(config).get("sha256"))).hexdigest() if config.is_file() else ""


def _model_folder(run: Path) -> Path:
    """Return the model folder of a run; the folder of its best weights is a model folder itself."""
    return run / MODEL if (run / MODEL).is_dir() else run


def set_scores(card: Path, scores: Sequence[Score]) -> None:
    """Write scores with their stamps into the header of a model card, as `model-index`.

    Earlier scores are replaced; the rest of the card is not changed.

    Args:
        card: Path of the card.
        scores: All scores of the model.

    Raises:
        CorruptFile: The header cannot be read.
    """
    document = open_card(card)
    header = cast("ModelCardData", document.data)
    others = [result for result in header.eval_results or [] if not result.metric_args]
    header.model_name = header.model_name or PLACEHOLDER
    header.eval_results = [*others, *(result for score in scores for result in to_eval_results(score))]
    write_file(card, str(document).encode())


def to_eval_results(score: Score) -> Iterator[EvalResult]:
    """Convert the values of a score to entries of the Hub's `model-index`, whose arguments are the stamp."""
    from huggingface_hub import EvalResult

    stamp = asdict(score.stamp)
    extractor = f"{stamp['extractor']} {stamp['extractor_sha256'][:8]}" if stamp["extractor"] else ""
    fake = f"{stamp['fake_count']:,} generated" if stamp["fake_count"] else ""
    protocol = [p for p in (extractor, fake, f"{stamp['real_count']:,} real", f"{stamp['weights']} weights") if p]
    for name, value in score.values.items():
        if "/" not in name:  # values of single classes are only in scores.json
            yield EvalResult(
                task_type="unconditional-image-generation" if fake else "image-classification",
                dataset_type=stamp["real"].partition(",")[0],
                dataset_name=stamp["real"],
                metric_type=name,
                metric_name=f"{name} ({', '.join(protocol)})",
                metric_value=round(value, 6),
                metric_args=stamp,
            )
