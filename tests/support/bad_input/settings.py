"""Settings and arguments that are refused."""

from tests.support.bad_input.kind import FILE, Kind


def _setting(*assignments: str, words: str) -> Kind:
    return Kind(("run", *(f"--set={one}" for one in assignments)), words)


REFUSED: dict[str, Kind] = {
    "an unknown setting": _setting(
        "train.epoch=3", words="found the unknown setting train.epoch, expected one that exists; did you mean"
    ),
    "a setting out of range": _setting("train.epochs=0", words="train.epochs: found '0', expected: Input should be"),
    "a setting of another type": _setting("train.epochs=many", words="train.epochs: found 'many', expected: "),
    "split ratios beyond 1": _setting("split.ratios=0.8,0.4", words="found ratios (0.8, 0.4), expected two or three"),
    "split ratios that are no numbers": _setting(
        "split.ratios=nan,1", words="split.ratios.0: found 'nan', expected: Input should be a finite number"
    ),
    "a negative seed": _setting("split.seed=-5", words="split.seed: found '-5', expected: Input should be greater"),
    "an infinite rating range": _setting(
        "ingest.rating_range=-inf,inf", words="found -inf to inf, expected a lower end below the upper one, both"
    ),
    "a registered model with a slash": _setting(
        "tracking.registered_model=a/b", words="found 'a/b', expected a name without / and :"
    ),
    "a rating range upside down": _setting("ingest.rating_range=5,1", words="found 5 to 1, expected a lower end below"),
    "an unknown model": _setting("models=svd", words="found the model 'svd', expected some of explicit_mf"),
    "a search budget that is none": Kind(("tune", "--budget", "soon"), "--budget: found 'soon', expected a duration"),
    "a study that is a path": Kind(
        ("tune", "--model", "explicit_mf", "--study", "../up"), "--study: found '../up', expected letters"
    ),
    "an unknown preset": Kind(("run", "--preset", "newest"), "'newest' is not one of 'best', 'notebook', 'tuned'"),
    "an unknown command": Kind(("runn",), "No such command 'runn'"),
    "a workspace at another URI": Kind(
        ("run", FILE, "--set=work.path=ftp://host/x"), "work.path: found 'ftp://host/x', expected a folder or one of",
        content=b"user,item,rating\n1,2,3\n",
    ),
    "no value for a setting": _setting("train.epochs", words="found 'train.epochs', expected section.key=value"),
    "a misspelt variable": Kind(
        ("run",), "environment: found the unknown setting trian", environment=(("RECOBATCH_TRIAN__EPOCHS", "1"),)
    ),
    "a broken recobatch.toml": Kind(
        ("run",), "recobatch.toml: found no valid TOML",
        spoil=lambda here: (here / "recobatch.toml").write_text("train ="),
    ),
    "two ways to divide the ratings": Kind(
        ("evaluate", "--folds", "3", "--repeats", "2"), "found --repeats and --folds, expected one of them"
    ),
    "a horizon that is no length": Kind(
        ("evaluate", "--windows", "3", "--horizon", "month"), "found 'month', expected a number and h, d, w or y"
    ),
}  # fmt: skip
